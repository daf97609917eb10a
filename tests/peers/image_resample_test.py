"""Resampling beside ITK's, scikit-image's and nnU-Net's way, on random and on real volumes."""

import itertools
import os
from pathlib import Path

import kiban
import numpy
import pytest

ndimage = pytest.importorskip("scipy.ndimage")
SimpleITK = pytest.importorskip("SimpleITK")
transform = pytest.importorskip("skimage.transform")

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
ITK = {"nearest": SimpleITK.sitkNearestNeighbor, "linear": SimpleITK.sitkLinear, "cubic": SimpleITK.sitkBSpline}


def oblique(x, y, z):
    """A rotation about three axes, in degrees."""
    turned = numpy.eye(3)
    for axis, angle in enumerate(numpy.deg2rad([x, y, z])):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        about = numpy.eye(3)
        about[one, one] = about[two, two] = numpy.cos(angle)
        about[one, two], about[two, one] = -numpy.sin(angle), numpy.sin(angle)
        turned = about @ turned
    return turned


def volumes():
    generator = numpy.random.default_rng(3)
    yield kiban.Volume(generator.normal(size=(17, 24, 31)).astype(numpy.float32), (0.7, 1.3, 2.9), (5, -6, 7),
                       oblique(10, 20, 30))
    yield kiban.Volume(generator.integers(0, 256, (9, 20, 33)).astype(numpy.uint8), (1, 1, 3), (0, 0, 0))
    if (DATA / "image" / "ct_torso_3mm.nii.gz").exists():
        yield kiban.read(DATA / "image" / "ct_torso_3mm.nii.gz", keep_type=True)


def grids(volume):
    """Others that overlap the volume's: along its axes, turned, oblique, and partly beside it."""
    extent = numpy.array(volume.spacing_mm) * volume.array.shape[::-1]
    yield kiban.Volume(numpy.zeros((20, 21, 22), "u1"), extent / (22.3, 21.7, 20.9),
                       volume.world((0.313, -0.217, 0.411)), volume.direction)
    yield kiban.Volume(numpy.zeros((20, 21, 22), "u1"), extent / (25, 24, 23), volume.world((-3.2, 1.1, 0.3)),
                       numpy.array(volume.direction).reshape(3, 3)[:, [1, 0, 2]])
    centre = numpy.array(volume.world((numpy.array(volume.array.shape[::-1]) - 1) / 2))
    turned = oblique(-20, 35, 5)
    spacing = extent / 24
    yield kiban.Volume(numpy.zeros((23, 25, 21), "u1"), spacing, centre - turned @ (spacing * (10, 12, 11)), turned)


@pytest.mark.parametrize("interpolation", ITK)
def test_volumes_are_itks(interpolation):
    for volume in volumes():
        for grid in grids(volume):
            values = numpy.asarray(volume.array, numpy.float64)
            found = kiban.image.resample(volume, like=grid, interpolation=interpolation, padding=-3 if values.min() < 0 else 0,
                                         no_antialias=True, type="float32" if interpolation != "nearest" else "same")
            image = kiban.Volume(values.astype(numpy.float32), volume.spacing_mm, volume.origin_mm, volume.direction).to_sitk()
            truth = SimpleITK.GetArrayFromImage(SimpleITK.Resample(
                image, grid.to_sitk(), SimpleITK.Transform(), ITK[interpolation], -3.0 if values.min() < 0 else 0.0))
            different = numpy.abs(found.array.astype(float) - truth) > 1e-4 * numpy.abs(values).max()
            # A voxel that lies on the border to a rounding error is inside for one and outside for the other.
            assert different.sum() <= (0 if interpolation != "nearest" else 2)
            assert (truth != (-3 if values.min() < 0 else 0)).mean() > 0.2


@pytest.mark.parametrize("order, interpolation", [(1, "linear"), (3, "cubic")])
@pytest.mark.parametrize("shape", [(20, 30, 50), (7, 9, 11), (9, 40, 13)])
def test_sizes_are_scikit_images(order, interpolation, shape):
    for volume in volumes():
        values = numpy.asarray(volume.array, numpy.float32)
        for antialias in (False, True):
            if antialias and order == 1:
                continue  # it has no linear interpolation that ends at the border and smooths a mirrored image
            found = kiban.image.resample(values, size=shape[::-1], interpolation=interpolation, extend=True,
                                         no_antialias=not antialias).array
            truth = transform.resize(values.astype(float), shape, order, mode="edge" if order == 1 else "reflect",
                                     anti_aliasing=antialias, preserve_range=True, clip=False)
            inside = tuple(slice(max(1, n // 8), -max(1, n // 8)) for n in shape) if order == 3 else ...
            assert numpy.abs(found - truth)[inside].max() <= 1e-4 * numpy.abs(values).max()


def test_logits_are_exported_as_nnunet_does():
    generator = numpy.random.default_rng(4)
    logits = numpy.stack([ndimage.gaussian_filter(generator.normal(size=(14, 20, 25)), 2) for _ in range(9)])
    logits = (100 * logits).astype(numpy.float32)
    shape = (31, 33, 60)
    labels = kiban.image.argmax(logits, size=shape[::-1]).array
    resized = numpy.stack([transform.resize(of.astype(float), shape, 1, mode="edge", anti_aliasing=False, clip=True)
                           for of in logits])
    assert labels.dtype == numpy.uint8 and (labels != resized.argmax(0)).mean() <= 1e-4
    of_like = kiban.image.argmax(logits, like=kiban.Volume(numpy.zeros(shape, "u1"), 2.0, (1, 2, 3)))
    assert (of_like.array == labels).all() and of_like.origin_mm == (1, 2, 3)


def test_nothing_depends_on_the_order_and_sense_of_axes():
    """Resampled from any of the 48 to one orientation: the same volume."""
    generator = numpy.random.default_rng(5)
    values = generator.normal(size=(13, 16, 19)).astype(numpy.float32)
    labels = numpy.kron(generator.integers(0, 9, (4, 5, 6)), numpy.ones((3, 3, 3)))[:, :13, :17].astype("u1", order="C")
    for array, interpolation in ((values, "linear"), (values, "cubic"), (labels, "labels")):
        volume = kiban.Volume(array, (0.7, 1.3, 2.9), (3, 4, 5), oblique(5, 6, 7))
        asked = {"spacing_mm": (1.5, 1.1, 2), "interpolation": interpolation}
        truth = kiban.image.resample(volume, **asked)
        letters = ("LR", "PA", "SI")
        for order in itertools.permutations(range(3)):
            for sense in itertools.product((0, 1), repeat=3):
                turned = kiban.image.resample(volume, orientation="".join(letters[axis][way] for axis, way in zip(order, sense)),
                                              interpolation="nearest")
                assert sorted(turned.array.ravel()) == sorted(array.ravel())
                again = kiban.image.resample(turned, orientation="LPS", **asked)
                assert numpy.allclose(again.affine, truth.affine, atol=1e-9)
                if interpolation == "labels":
                    assert (again.array == truth.array).all()
                else:
                    assert numpy.abs(again.array - truth.array).max() <= 1e-5 * numpy.abs(array).max()
