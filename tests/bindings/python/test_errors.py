"""What operations refuse, in one sentence, by the names that Python has."""

import os
import pickle

import kiban
import numpy
import pytest

SHAPE = (4, 5, 6)
affine = kiban.skeleton.affine


@pytest.mark.parametrize(
    "make, sentence, code",
    [
        (lambda a: a.astype("f8"), r"input is not float32; .*array.astype\(numpy.float32\)", "input"),
        (lambda a: a.astype(">f4"), "give a float32 array", "usage"),
        (lambda a: a[:, ::2], "input is not in C order; .*ascontiguousarray", "input"),
        (lambda a: numpy.asfortranarray(a), "not in C order", "input"),
        (lambda a: numpy.zeros(481, "u1")[1:].view("f4").reshape(SHAPE), r"input is not aligned .*array.copy\(\)", "input"),
        (lambda a: a[0], "input has 2 axes", "input"),
        (lambda a: a[None], "input has 4 axes", "input"),
        (lambda a: kiban.Volume(a[:, :, ::-1]), "not in C order", "input"),
        (lambda a: kiban.Volume(a.astype("i2")), "not float32", "input"),
        (lambda a: a.tolist(), "input is of type list, .*numpy.asarray", "usage"),
        (lambda a: None, "input is of type NoneType", "usage"),
        (lambda a: "no/such/file.mha", "no/such/file.mha", "input"),
    ],
)
def test_refuses_arrays_that_it_would_have_to_copy(array, make, sentence, code):
    with pytest.raises(kiban.Error, match=sentence) as caught:
        affine(make(array))
    assert caught.value.code is kiban.ErrorCode[code]


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda a: numpy.zeros(SHAPE), "output is not float32"),
        (lambda a: numpy.zeros((4, 5, 7), "f4"), "output .*4, 5, 7|4 x 5 x 7|shape|7"),
        (lambda a: numpy.zeros((4, 5, 12), "f4")[:, :, ::2], "output is not in C order"),
        (lambda a: numpy.zeros(481, "u1")[1:].view("f4").reshape(SHAPE), "output is not aligned"),
        (lambda a: numpy.broadcast_to(numpy.float32(0), SHAPE), "output is not in C order|read-only"),
        (lambda a: numpy.frombuffer(bytes(480), "f4").reshape(SHAPE), "output is to be filled and is read-only"),
        (lambda a: a, "output is memory of an input"),
        (lambda a: "out.mha", "output takes an array .*kiban.run writes files"),
        (lambda a: [0.0], "output is of type list"),
    ],
)
def test_refuses_memory_that_it_cannot_fill(array, make, sentence):
    before = array.copy()
    with pytest.raises(kiban.Error, match=sentence):
        affine(array, scale=2, output=make(array))
    assert (array == before).all()


def test_names_are_those_of_python(scan):
    with pytest.raises(kiban.Error, match="^spacing_mm is -8 mm, but must be above 0") as caught:
        kiban.ct.fdk(*scan, spacing_mm=-8)
    assert caught.value.code is kiban.ErrorCode.usage
    with pytest.raises(kiban.Error, match="give a larger sid_mm, or pixel_mm$"):
        kiban.ct.simulate(phantom="shepp-logan", sid_mm=10)
    with pytest.raises(kiban.Error, match="^window is 'hamm', but must be one of ram-lak.*did you mean hamming"):
        kiban.ct.fdk(*scan, window="hamm")
    with pytest.raises(kiban.Error, match="^window"):
        kiban.ct.fdk(*scan, window=3)
    with pytest.raises(kiban.Error, match="^size"):
        kiban.ct.fdk(*scan, size=(1, 2))


def test_a_default_that_is_given_counts_as_given(scan):
    with pytest.raises(kiban.Error, match="views and scan_geometry contradict each other"):
        kiban.ct.simulate(phantom="shepp-logan", scan_geometry=scan.geometry, views=int("360"))
    kiban.ct.simulate(phantom="shepp-logan", scan_geometry=scan.geometry, columns=16)


def test_paths_in_sentences_stay_as_they_are():
    with pytest.raises(kiban.Error, match="/no/pixel-mm/scan-geometry.xml"):
        kiban.ct.simulate(phantom="shepp-logan", scan_geometry="/no/pixel-mm/scan-geometry.xml")


def test_other_peoples_images_are_named(array):
    SimpleITK, nibabel = pytest.importorskip("SimpleITK"), pytest.importorskip("nibabel")
    with pytest.raises(kiban.Error, match="kiban.Volume.from_sitk makes one"):
        affine(SimpleITK.GetImageFromArray(array))
    with pytest.raises(kiban.Error, match="kiban.Volume.from_nibabel makes one"):
        affine(nibabel.Nifti1Image(array, numpy.eye(4)))


def test_projections_without_a_place_ask_for_the_pitch(scan):
    with pytest.raises(kiban.Error, match="how large its pixels are; give pixel_mm"):
        kiban.ct.fdk(scan.projections.array, scan.geometry, size=16, spacing_mm=8)
    pitch = scan.projections.spacing_mm[0]
    bare = kiban.ct.fdk(scan.projections.array, scan.geometry, size=16, spacing_mm=8, pixel_mm=pitch)
    assert numpy.allclose(bare.array, kiban.ct.fdk(*scan, size=16, spacing_mm=8).array, rtol=1e-5, atol=1e-8)


def test_values_that_are_not_finite_are_named(scan):
    broken = scan.projections.array.copy()
    broken[7, 8, 9] = numpy.nan
    with pytest.raises(kiban.Error, match="view 7.*row 8.*column 9") as caught:
        kiban.ct.fdk(scan.projections.with_array(broken), scan.geometry, size=16, spacing_mm=8)
    assert caught.value.code is kiban.ErrorCode.input


def test_geometry_of_another_scan(scan):
    other = kiban.ct.geometry(views=39)
    with pytest.raises(kiban.Error, match="39 views.* 40"):
        kiban.ct.fdk(scan.projections, other)
    with pytest.raises(kiban.Error, match="geometry is of type int, but must be a kiban.ct.Geometry or a path"):
        kiban.ct.fdk(scan.projections, 39)


def test_devices_that_are_not_there(array):
    for device, code in (("cuda:7", "device"), ("gpu", "usage")):
        with pytest.raises(kiban.Error) as caught:
            affine(array, device=device)
        assert caught.value.code is kiban.ErrorCode[code]
    with pytest.raises(kiban.Error):
        affine(array, threads=-1)


def test_errors_survive_pickling():
    error = kiban.Error("one sentence", kiban.ErrorCode.input)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "one sentence" and again.code is kiban.ErrorCode.input


def test_run_refuses_unknown_names(tmp_path):
    with pytest.raises(kiban.Error, match="no operation ct.fdq; did you mean ct.fdk"):
        kiban.run("ct.fdq")
    with pytest.raises(kiban.Error, match="no port or parameter spacing; did you mean spacing_mm"):
        kiban.run("ct.fdk", spacing=3)
    with pytest.raises(kiban.Error, match="geometry must be given"):
        kiban.run("ct.fdk", projections="p.mha", volume="v.mha")
    with pytest.raises(kiban.Error, match="volume is of type ndarray, but must be a path"):
        kiban.run("ct.fdk", projections="p.mha", geometry="g.xml", volume=numpy.zeros(SHAPE, "f4"))


def test_a_failed_run_leaves_nothing(array, tmp_path):
    array[1, 2, 3] = numpy.inf
    with pytest.raises(kiban.Error):
        kiban.run("skeleton.affine", input=array, output=tmp_path / "a.mha", scale=float("nan"))
    assert os.listdir(tmp_path) == []
