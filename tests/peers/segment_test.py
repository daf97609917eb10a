"""Ready-made segmentations beside TotalSegmentator's labels, in every order and sense of axes, and on what they are not for."""

import itertools
import os
from pathlib import Path

import kiban
import numpy
import pytest

ndimage = pytest.importorskip("scipy.ndimage")

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "image"
LEFT, RIGHT = (10, 11), (12, 13, 14)  # lobes


def ct(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return kiban.read(path, keep_type=True)


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("name", ["ct_upper_3mm", "ct_torso_3mm"])
def test_lungs_are_total_segmentators(name):
    volume = ct(f"{name}.nii.gz")
    reference = kiban.read(DATA / f"{name}_totalseg.nii.gz", labels=True).array
    labels, report = kiban.segment.lungs(volume)
    found = labels.array
    assert dice((found == 1) | (found == 2), numpy.isin(reference, LEFT + RIGHT)) >= 0.93
    assert dice(found == 1, numpy.isin(reference, LEFT)) >= 0.93 and dice(found == 2, numpy.isin(reference, RIGHT)) >= 0.93
    assert report["why_empty"] is None and [of["name"] for of in report["labels"]][:2] == ["left lung", "right lung"]
    assert report["labels"][0]["volume_ml"] == pytest.approx((found == 1).sum() * 0.027)
    assert report["labels"][1]["mean_hu"] == pytest.approx(volume.array[found == 2].mean())


def test_a_chest_has_its_airways():
    volume = ct("ct_aorta_1.5mm.nii.gz")
    labels = kiban.segment.lungs(volume).labels.array
    ml = numpy.bincount(labels.ravel(), minlength=4) * 1.5 ** 3 / 1000
    assert ml[1] > 1000 and ml[2] > 1000 and 15 < ml[3] < 80
    assert ndimage.label(labels == 3)[1] == 1 and (volume.array[labels == 3] < -400).all()
    z, _, x = numpy.nonzero(labels == 3)
    assert z.max() == labels.shape[0] - 1 and x[z == z.min()].size  # from the top of the volume down


def bodies():
    for name in ("ct_torso_3mm", "ct_upper_3mm"):
        yield ct(name + ".nii.gz"), kiban.read(DATA / f"{name}_totalseg.nii.gz", labels=True).array


def test_a_body_holds_all_organs_and_no_table():
    for volume, organs in bodies():
        body = kiban.segment.body(volume).labels.array
        assert (body[organs != 0] == 1).mean() > 0.999
        assert ndimage.label(body)[1] == 1
        below = volume.array[:, :8][body[:, :8] == 0]  # the rows in which the table lies
        assert (below > -400).sum() > 1000


def turned(volume, order, sense):
    """The same volume with its array turned: index a of the new one runs along index order[a] of the old."""
    array = volume.array.transpose(order)[tuple(slice(None, None, way) for way in sense)]
    axes = [2 - axis for axis in order][::-1]  # in x, y, z order
    ways = sense[::-1]
    direction = numpy.asarray(volume.direction)[:, axes] * ways
    first = [0, 0, 0]
    for axis, way in zip(axes, ways):
        if way < 0:
            first[axis] = volume.array.shape[2 - axis] - 1
    return kiban.Volume(numpy.ascontiguousarray(array), tuple(volume.spacing_mm[axis] for axis in axes),
                        tuple(volume.world(first)), direction)


def test_the_order_and_sense_of_axes_change_nothing():
    volume = ct("ct_upper_3mm.nii.gz")
    lungs, body = kiban.segment.lungs(volume).labels.array, kiban.segment.body(volume).labels.array
    assert lungs.any()
    for order in itertools.permutations(range(3)):
        for sense in itertools.product((1, -1), repeat=3):
            def back(array):
                return array[tuple(slice(None, None, way) for way in sense)].transpose(numpy.argsort(order))

            other = turned(volume, order, sense)
            assert (back(kiban.segment.lungs(other).labels.array) == lungs).all()
            assert (back(kiban.segment.body(other).labels.array) == body).all()


def test_an_oblique_volume_has_nearly_the_same_lungs():
    volume = ct("ct_upper_3mm.nii.gz")
    angle = numpy.radians(12)
    tilt = numpy.array([[1, 0, 0], [0, numpy.cos(angle), -numpy.sin(angle)], [0, numpy.sin(angle), numpy.cos(angle)]])
    other = kiban.Volume(volume.array, volume.spacing_mm, volume.origin_mm, tilt @ numpy.asarray(volume.direction))
    assert (kiban.segment.lungs(other).labels.array == kiban.segment.lungs(volume).labels.array).all()


def test_what_is_no_chest_has_no_lungs():
    labels, report = kiban.segment.lungs(ct("mr_t1_256.nii.gz"))
    assert not labels.array.any() and "no air in the patient" in report["why_empty"]
    assert [of["mean_hu"] for of in report["labels"]] == [None] * 3
    nothing = kiban.Volume(numpy.full((4, 5, 6), numpy.nan, numpy.float32), 1.0)
    assert not kiban.segment.lungs(nothing).labels.array.any() and not kiban.segment.body(nothing).labels.array.any()
    assert not kiban.segment.lungs(numpy.full((1, 1, 1), -1000, numpy.int16)).labels.array.any()


def test_a_dicom_series_of_an_abdomen_has_a_body_with_arms_and_no_lungs():
    path = DATA / "ct_dicom_series"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    labels, report = kiban.segment.lungs(path)
    assert labels.array.shape == (20, 512, 512) and not labels.array.any()
    assert "no air in the patient of 20 mL or more" in report["why_empty"]
    body, report = kiban.segment.body(path)
    parts = ndimage.label(body.array)[1]
    assert parts == 3 and 3000 < report["labels"][0]["volume_ml"] < 3600  # trunk and arms
    organs = kiban.read(DATA / "ct_dicom_series_totalseg.nii.gz", labels=True)
    same = kiban.image.resample(organs, like=body, interpolation="nearest").array
    assert same.any() and (body.array[same != 0] == 1).mean() > 0.999


def test_a_dicom_series_is_read_as_simpleitk_reads_it():
    simpleitk = pytest.importorskip("SimpleITK")
    path = DATA / "ct_dicom_series"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    reader = simpleitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
    truth = reader.Execute()
    found = kiban.read(path, keep_type=True)
    assert found.array.dtype == numpy.int16 and (found.array == simpleitk.GetArrayFromImage(truth)).all()
    assert numpy.allclose(found.spacing_mm, truth.GetSpacing(), atol=1e-4)
    assert numpy.allclose(found.origin_mm, truth.GetOrigin(), atol=1e-4)
    assert numpy.allclose(numpy.ravel(found.direction), truth.GetDirection(), atol=1e-6)
    one = kiban.read(sorted(path.iterdir())[0])
    assert one.array.shape == (1, 512, 512)
