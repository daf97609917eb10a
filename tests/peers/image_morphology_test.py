"""Morphology beside SciPy's, scikit-image's and ITK's, on random and on real volumes."""

import itertools
import os
from pathlib import Path

import kiban
import numpy
import pytest

ndimage = pytest.importorskip("scipy.ndimage")
SimpleITK = pytest.importorskip("SimpleITK")
segmentation = pytest.importorskip("skimage.segmentation")

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
GREY = {"erode": ndimage.grey_erosion, "dilate": ndimage.grey_dilation, "open": ndimage.grey_opening,
        "close": ndimage.grey_closing}
BINARY = {"erode": SimpleITK.BinaryErode, "dilate": SimpleITK.BinaryDilate}


def images():
    generator = numpy.random.default_rng(6)
    yield generator.normal(size=(13, 24, 31)).astype(numpy.float32)
    yield generator.integers(-3000, 3000, (9, 40, 70)).astype(numpy.int16)
    yield generator.integers(0, 256, (20, 21, 22)).astype(numpy.uint8)
    if (DATA / "image" / "ct_torso_3mm.nii.gz").exists():
        yield kiban.read(DATA / "image" / "ct_torso_3mm.nii.gz", keep_type=True).array


@pytest.mark.parametrize("step", GREY)
def test_grey_values_are_scipys(step):
    """Which mirrors what lies outside: with boxes that changes nothing, with others it is cut away."""
    cross = ndimage.generate_binary_structure(3, 1)
    for image in images():
        for radius in ((1, 1, 1), (3, 0, 2)):
            found = kiban.image.grey(image, step=step, radius=radius).array
            assert found.dtype == image.dtype
            assert (found == GREY[step](image, size=[2 * r + 1 for r in radius[::-1]], mode="nearest")).all()
        found = kiban.image.grey(image, step=step, element="cross").array
        assert (found == GREY[step](image, footprint=cross))[2:-2, 2:-2, 2:-2].all()


@pytest.mark.parametrize("step", BINARY)
def test_small_balls_of_masks_are_itks(step):
    """ITK's ball of radius r has the voxels within r + 1/2."""
    generator = numpy.random.default_rng(7)
    mask = (ndimage.gaussian_filter(generator.normal(size=(30, 40, 50)), 3) > 0).astype(numpy.uint8)
    itk = BINARY[step](SimpleITK.GetImageFromArray(mask), (2, 2, 2), SimpleITK.sitkBox)
    assert (kiban.image.grey(mask, step=step, radius=2).array == SimpleITK.GetArrayFromImage(itk))[2:-2, 2:-2, 2:-2].all()
    for radius in (1, 2.3, 4):
        offsets = numpy.indices([2 * int(radius) + 1] * 3) - int(radius)
        ball = (offsets ** 2).sum(0) <= radius ** 2
        truth = (ndimage.binary_erosion(mask, ball, border_value=1) if step == "erode" else ndimage.binary_dilation(mask, ball))
        assert (kiban.image.morphology(mask, step=step, radius_mm=radius).array == truth).all()
        assert (kiban.image.grey(mask, step=step, element="ball", radius_mm=radius).array == truth).all()


def label_maps():
    generator = numpy.random.default_rng(8)
    sparse = numpy.zeros((25, 31, 44), numpy.uint16)
    sparse.flat[generator.permutation(sparse.size)[:40]] = numpy.arange(1, 41)
    yield sparse
    if (DATA / "image" / "ct_torso_3mm_totalseg.nii.gz").exists():
        yield kiban.read(DATA / "image" / "ct_torso_3mm_totalseg.nii.gz", labels=True).array


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 1.3, 2.9)])
def test_labels_grow_as_scikit_images(spacing):
    for labels in label_maps():
        for radius in (2.9, 5):
            found = kiban.image.morphology(kiban.Volume(labels, spacing), step="dilate", radius_mm=radius).array
            truth = segmentation.expand_labels(labels, radius, spacing=spacing[::-1])
            mm, nearest = ndimage.distance_transform_edt(labels == 0, spacing[::-1], return_indices=True)
            assert ((found != 0) == (mm <= radius * (1 + 1e-6))).all()
            # Where they differ two labels are as near: that of ours is no farther than theirs.
            for where in numpy.argwhere(found != truth)[:200]:
                ours = (numpy.argwhere(labels == found[tuple(where)]) - where) * spacing[::-1]
                assert abs(numpy.sqrt((ours ** 2).sum(1)).min() - mm[tuple(where)]) <= 1e-5
                assert found[tuple(where)] <= truth[tuple(where)] or len(set(spacing)) > 1


def test_each_label_shrinks_and_opens_by_itself():
    labels = next(iter(label_maps())) if not (DATA / "image").exists() else list(label_maps())[-1]
    spacing = (3, 3, 3)
    volume = kiban.Volume(labels, spacing)
    shrunk, opened, closed = (kiban.image.morphology(volume, step=step, radius_mm=4).array for step in ("erode", "open", "close"))
    for label in numpy.unique(labels)[1:20]:
        mask = kiban.Volume((labels == label).astype(numpy.uint8), spacing)
        assert ((shrunk == label) == kiban.image.morphology(mask, step="erode", radius_mm=4).array).all()
        assert ((opened == label) == kiban.image.morphology(mask, step="open", radius_mm=4).array).all()
    assert (closed[labels != 0] == labels[labels != 0]).all()


def test_nothing_depends_on_the_order_and_sense_of_axes():
    """Labels shrink, grow and agree with a reference the same in any of the 48; so do grey values and medians."""
    generator = numpy.random.default_rng(12)
    labels = numpy.kron(generator.integers(0, 4, (4, 5, 6)), numpy.ones((3, 3, 3))).astype(numpy.uint8)
    reference = numpy.roll(labels, 1, axis=2)
    spacing = (2, 2, 2)  # as near as each other is then exact
    grown = kiban.image.morphology(kiban.Volume(labels, spacing), step="close", radius_mm=4.1).array
    grey = kiban.image.grey(kiban.Volume(labels, (0.7, 1.3, 2.9)), step="open", element="ball", radius_mm=3).array
    agreement = kiban.image.metrics(kiban.Volume(labels, spacing), kiban.Volume(reference, spacing))["labels"]
    for order in itertools.permutations(range(3)):
        for sense in itertools.product((1, -1), repeat=3):
            def turned(array):
                return numpy.ascontiguousarray(array.transpose(order)[tuple(slice(None, None, way) for way in sense)])

            volume = kiban.Volume(turned(labels), spacing)
            assert (kiban.image.morphology(volume, step="close", radius_mm=4.1).array == turned(grown)).all()
            placed = kiban.Volume(turned(labels), tuple((2.9, 1.3, 0.7)[axis] for axis in order)[::-1])
            assert (kiban.image.grey(placed, step="open", element="ball", radius_mm=3).array == turned(grey)).all()
            again = kiban.image.metrics(volume, kiban.Volume(turned(reference), spacing))["labels"]
            for one, other in zip(again, agreement):
                assert one == pytest.approx(other, rel=1e-9)
