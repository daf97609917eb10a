"""Geometry and values through SimpleITK and nibabel: where a voxel lies is asked of them, not of kiban."""

import gc
import itertools

import kiban
import numpy
import pytest

SimpleITK = pytest.importorskip("SimpleITK")
nibabel = pytest.importorskip("nibabel")

SHAPE = (3, 4, 5)  # z, y, x
SPACING = (0.7, 1.3, 2.9)
ORIGIN = (-123.4, 56.7, 890.1)
CORNERS = [(0, 0, 0), (4, 0, 0), (0, 3, 0), (0, 0, 2), (4, 3, 2), (1, 2, 1)]  # x, y, z


def turns():
    """All 48 orders and senses of the axes."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            yield numpy.eye(3)[:, list(order)] * signs


def oblique(seed=1):
    """A rotation about no axis in particular."""
    q, _ = numpy.linalg.qr(numpy.random.default_rng(seed).normal(size=(3, 3)))
    return q * numpy.sign(numpy.linalg.det(q))


DIRECTIONS = [pytest.param(turn, id=f"turn{k}") for k, turn in enumerate(turns())] + [
    pytest.param(oblique() @ turn, id=f"oblique{k}") for k, turn in enumerate(turns())
]


def values(dtype="f4"):
    return numpy.random.default_rng(5).integers(0, 100, SHAPE).astype(dtype)


def make(direction, dtype="f4"):
    return kiban.Volume(values(dtype), SPACING, ORIGIN, direction)


def where_sitk(image):
    return numpy.array([image.TransformIndexToPhysicalPoint(corner) for corner in CORNERS])


def where_nibabel(image):
    return nibabel.affines.apply_affine(image.affine, CORNERS) * (-1, -1, 1)


def where(volume):
    return volume.world(CORNERS)


def close(a, b, mm=1e-6):
    return float(numpy.abs(a - b).max()) <= mm


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_to_and_from_sitk(direction):
    volume = make(direction)
    image = volume.to_sitk()
    assert close(where_sitk(image), where(volume))
    for corner in CORNERS:
        assert image.GetPixel(corner) == volume.array[corner[::-1]]
    again = kiban.Volume.from_sitk(image)
    assert close(where(again), where(volume)) and (again.array == volume.array).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_to_and_from_nibabel(direction):
    volume = make(direction)
    image = volume.to_nibabel()
    assert close(where_nibabel(image), where(volume))
    for corner in CORNERS:
        assert image.dataobj[corner] == volume.array[corner[::-1]]
    again = kiban.Volume.from_nibabel(image)
    assert close(where(again), where(volume)) and (again.array == volume.array).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_from_one_to_the_other(direction):
    image = SimpleITK.GetImageFromArray(values())
    image.SetSpacing(SPACING), image.SetOrigin(ORIGIN), image.SetDirection(direction.ravel().tolist())
    handed = kiban.Volume.from_sitk(image).to_nibabel()
    assert close(where_nibabel(handed), where_sitk(image))
    back = kiban.Volume.from_nibabel(handed).to_sitk()
    assert close(where_sitk(back), where_sitk(image))
    assert (SimpleITK.GetArrayFromImage(back) == values()).all()


def write_sitk(volume, path):
    SimpleITK.WriteImage(volume.to_sitk(), path)


def write_nibabel(volume, path):
    nibabel.save(volume.to_nibabel(), path)


def read_sitk(path):
    image = SimpleITK.ReadImage(path)
    return where_sitk(image), SimpleITK.GetArrayFromImage(image)


def read_nibabel(path):
    image = nibabel.load(path)
    return where_nibabel(image), numpy.asarray(image.dataobj).T


def read_kiban(path):
    volume = kiban.read(path)
    return where(volume), volume.array


def read_by_way_of_sitk(path):
    volume = kiban.Volume.from_sitk(SimpleITK.ReadImage(path))
    return where(volume), volume.array


def read_by_way_of_nibabel(path):
    volume = kiban.Volume.from_nibabel(nibabel.load(path))
    return where(volume), volume.array


# NIfTI keeps its matrices in single precision.
FILES = [
    (write, read, ending, mm)
    for ending, mm, writers, readers in [
        (".mha", 1e-6, (kiban.Volume.write, write_sitk), (read_sitk, read_kiban, read_by_way_of_sitk)),
        (".nrrd", 1e-6, (kiban.Volume.write, write_sitk), (read_sitk, read_kiban, read_by_way_of_sitk)),
        (".h5", 1e-6, (kiban.Volume.write, write_sitk), (read_sitk, read_kiban, read_by_way_of_sitk)),
        (".nii.gz", 5e-4, (kiban.Volume.write, write_sitk, write_nibabel),
         (read_sitk, read_nibabel, read_kiban, read_by_way_of_sitk, read_by_way_of_nibabel)),
    ]
    for write in writers
    for read in readers
]


@pytest.mark.parametrize("write, read, ending, mm", FILES)
def test_files_mean_the_same_to_all(tmp_path, write, read, ending, mm):
    for number, direction in enumerate([*turns(), oblique(2), oblique(3) @ numpy.diag([1, -1, 1])]):
        volume = make(direction)
        path = str(tmp_path / f"{number}{ending}")
        write(volume, path)
        places, array = read(path)
        assert close(places, where(volume), mm), f"{number}: {direction.tolist()}"
        assert (array == volume.array).all()


def test_a_nifti_file_says_the_same_in_both_forms(tmp_path):
    path = str(tmp_path / "a.nii")
    write_nibabel(make(oblique()), path)
    header = nibabel.load(path).header
    assert header["sform_code"] == header["qform_code"] == 1
    assert numpy.abs(header.get_sform() - header.get_qform()).max() < 5e-4
    assert header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("unit, mm", [("meter", 1000), ("micron", 1e-3), ("mm", 1), ("unknown", 1)])
def test_units_of_nifti_become_mm(unit, mm):
    affine = numpy.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (10, 20, 30)
    image = nibabel.Nifti1Image(values().T, affine)
    image.header.set_xyzt_units(unit)
    volume = kiban.Volume.from_nibabel(image)
    assert volume.spacing_mm == pytest.approx((2 * mm, 3 * mm, 4 * mm), rel=1e-12)
    assert volume.origin_mm == pytest.approx((-10 * mm, -20 * mm, 30 * mm), rel=1e-12)


def test_other_formats_of_nibabel():
    affine = make(oblique()).affine
    image = nibabel.freesurfer.MGHImage(values().T, affine)
    assert close(where(kiban.Volume.from_nibabel(image)), where_nibabel(image))


def test_sform_comes_before_qform(tmp_path):
    sform, qform = numpy.diag([2.0, 2, 2, 1]), numpy.diag([3.0, 3, 3, 1])
    for codes, spacing in [((1, 1), 2), ((0, 1), 3), ((1, 0), 2)]:
        image = nibabel.Nifti1Image(values().T, None)
        image.set_sform(sform, codes[0]), image.set_qform(qform, codes[1])
        path = str(tmp_path / "a.nii")
        nibabel.save(image, path)
        assert kiban.Volume.from_nibabel(nibabel.load(path)).spacing_mm == (spacing,) * 3


def test_sitk_shares_memory_and_keeps_it():
    image = SimpleITK.GetImageFromArray(values())
    before = address(SimpleITK.GetArrayViewFromImage(image))
    volume = kiban.Volume.from_sitk(image)
    assert address(volume.array) == before
    assert volume.array.flags.c_contiguous and not volume.array.flags.writeable
    # The image changes; the volume does not.
    image[0, 0, 0] = -1000
    image *= 2
    assert (volume.array == values()).all() and address(volume.array) == before
    del image
    gc.collect()
    [SimpleITK.GetImageFromArray(numpy.full(SHAPE, 7, "f4")) for _ in range(50)]
    assert (volume.array == values()).all()


def test_nibabel_shares_memory(tmp_path):
    array = values()
    image = kiban.Volume(array).to_nibabel()
    assert address(numpy.asanyarray(image.dataobj)) == address(array)
    assert address(kiban.Volume.from_nibabel(image).array) == address(array)
    path = str(tmp_path / "a.nii")
    nibabel.save(image, path)
    mapped = kiban.Volume.from_nibabel(nibabel.load(path)).array
    assert isinstance(mapped, numpy.memmap) and mapped.flags.c_contiguous and (mapped == array).all()


def test_scaled_nifti_values_are_what_the_file_means(tmp_path):
    image = nibabel.Nifti1Image(values("i2").T, numpy.eye(4))
    image.header.set_slope_inter(0.5, -3)
    path = str(tmp_path / "a.nii")
    nibabel.save(image, path)
    volume = kiban.Volume.from_nibabel(nibabel.load(path))
    assert numpy.allclose(volume.array, nibabel.load(path).get_fdata().T)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8", "c16"])
def test_types_are_kept(dtype):
    volume = make(numpy.eye(3), dtype)
    for again in (kiban.Volume.from_sitk(volume.to_sitk()), kiban.Volume.from_nibabel(volume.to_nibabel())):
        assert again.dtype == volume.dtype and (again.array == volume.array).all()


@pytest.mark.parametrize("to_peer", [kiban.Volume.to_sitk, kiban.Volume.to_nibabel])
@pytest.mark.parametrize("dtype", ["?", "f2"])
def test_types_that_a_peer_has_not(to_peer, dtype):
    with pytest.raises(kiban.Error, match="has no (bool|float16); convert first"):
        to_peer(make(numpy.eye(3), dtype))


@pytest.mark.parametrize("part", [numpy.s_[:, ::-1, :], numpy.s_[::2, :, ::2], numpy.s_[:, :, 1:]])
def test_strided_arrays_arrive_whole(part):
    volume = kiban.Volume(values()[part])
    assert (SimpleITK.GetArrayFromImage(volume.to_sitk()) == volume.array).all()
    assert (numpy.asarray(volume.to_nibabel().dataobj).T == volume.array).all()


def sheared():
    affine = numpy.eye(4)
    affine[0, 1] = 0.2
    return nibabel.Nifti1Image(values().T, affine)


@pytest.mark.parametrize(
    "convert, image, sentence",
    [
        (kiban.Volume.from_sitk, lambda: SimpleITK.Image(4, 4, SimpleITK.sitkUInt8), "this image has 2; .*JoinSeries"),
        (kiban.Volume.from_sitk, lambda: SimpleITK.Image([2] * 4, SimpleITK.sitkFloat32), "this image has 4"),
        (kiban.Volume.from_sitk, lambda: SimpleITK.Image([2] * 3, SimpleITK.sitkVectorFloat32, 3),
         "this image 3; .*VectorIndexSelectionCast"),
        (kiban.Volume.from_nibabel, lambda: nibabel.Nifti1Image(numpy.zeros((2, 3, 4, 5), "f4"), numpy.eye(4)),
         r"has 4: \(2, 3, 4, 5\)"),
        (kiban.Volume.from_nibabel, lambda: nibabel.Nifti1Image(numpy.zeros((2, 3), "f4"), numpy.eye(4)), "has 2"),
        (kiban.Volume.from_nibabel, lambda: nibabel.spatialimages.SpatialImage(numpy.zeros((2, 3, 4), "f4"), None),
         "has no affine"),
        (kiban.Volume.from_nibabel, sheared, "shear: its axes are 0.19[0-9]* from right angles"),
        (kiban.Volume.from_nibabel,
         lambda: nibabel.Nifti1Image(numpy.zeros((2, 3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), numpy.eye(4)),
         "one number a voxel"),
    ],
)
def test_refuses_images_that_are_no_volume(convert, image, sentence):
    with pytest.raises(kiban.Error, match=sentence) as caught:
        convert(image())
    assert caught.value.code == kiban.ErrorCode.input
