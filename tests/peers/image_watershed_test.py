"""Watershed, minima and reconstruction beside scikit-image's and ITK's, on random and on real volumes."""

import itertools
import os
from pathlib import Path

import kiban
import numpy
import pytest

ndimage = pytest.importorskip("scipy.ndimage")
SimpleITK = pytest.importorskip("SimpleITK")
segmentation = pytest.importorskip("skimage.segmentation")
morphology = pytest.importorskip("skimage.morphology")

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
EDGES = {6: 1, 18: 2, 26: 3}  # as scikit-image calls connectivities


def distinct(shape=(23, 31, 40), dtype=numpy.float32):
    """Smooth values that all differ: ranks of a random field."""
    field = ndimage.gaussian_filter(numpy.random.default_rng(20).normal(size=shape), 2)
    return field.ravel().argsort().argsort().reshape(shape).astype(dtype)


def real_volumes():
    """Image, and a depth below which its minima are noise: values and gradients, whole numbers and floats."""
    for name, depth in (("ct_torso_3mm", 100), ("ct_chest_1.5mm", 100), ("mr_t1_256", 10)):
        path = DATA / "image" / f"{name}.nii.gz"
        if not path.exists():
            pytest.skip(f"{path} is missing")
        values = kiban.read(path, keep_type=True).array
        yield values.astype(numpy.int16), depth
        gradient = ndimage.gaussian_gradient_magnitude(values.astype(numpy.float32), 1)
        if name != "mr_t1_256":  # ITK takes a quarter of a minute
            yield gradient.astype(numpy.float32), depth / 5
        yield numpy.round(gradient * 4).astype(numpy.uint16), depth * 4 // 5


@pytest.mark.parametrize("connectivity", EDGES)
@pytest.mark.parametrize("filled", [0.0005, 0.02])
def test_where_all_values_differ_the_watershed_is_scikit_images_and_itks(connectivity, filled):
    image = distinct()
    generator = numpy.random.default_rng(21)
    markers = (generator.random(image.shape) < filled) * generator.integers(1, 200, image.shape).astype(numpy.uint8)
    mask = generator.random(image.shape) > 0.1
    found = kiban.image.watershed(image, markers=markers, connectivity=connectivity).array
    truth = segmentation.watershed(image, markers.astype(numpy.int32), EDGES[connectivity])
    assert found.dtype == numpy.uint8 and len(numpy.unique(found)) > 5 and (found == truth).all()
    if connectivity != 18:
        by_itk = SimpleITK.MorphologicalWatershedFromMarkers(SimpleITK.GetImageFromArray(image),
                                                             SimpleITK.GetImageFromArray(markers), False, connectivity == 26)
        assert (found == SimpleITK.GetArrayFromImage(by_itk)).all()
    found = kiban.image.watershed(image, markers=markers, mask=mask, connectivity=connectivity).array
    assert (found == segmentation.watershed(image, markers.astype(numpy.int32), EDGES[connectivity], mask=mask)).all()
    found = kiban.image.watershed(image, markers=markers, basins="high", connectivity=connectivity).array
    assert (found == segmentation.watershed(-image, markers.astype(numpy.int32), EDGES[connectivity])).all()


@pytest.mark.parametrize("connectivity", [6, 26])
def test_on_real_volumes_nearly_all_voxels_are_scikit_images_and_itks(connectivity):
    """Where values are equal scikit-image goes by arrival, and no two programs agree on all voxels."""
    for image, depth in real_volumes():
        markers = kiban.image.minima(image, depth=depth, connectivity=connectivity).array
        found = kiban.image.watershed(image, depth=depth, connectivity=connectivity).array
        assert (kiban.image.watershed(image, markers=markers, connectivity=connectivity).array == found).all()
        truth = segmentation.watershed(image, markers.astype(numpy.int32), EDGES[connectivity])
        assert markers.max() > 100 and (found == truth).mean() >= 0.99
        by_itk = SimpleITK.MorphologicalWatershedFromMarkers(SimpleITK.GetImageFromArray(image),
                                                             SimpleITK.GetImageFromArray(markers), False, connectivity == 26)
        assert (found == SimpleITK.GetArrayFromImage(by_itk)).mean() >= 0.99


@pytest.mark.parametrize("connectivity", EDGES)
def test_minima_are_scikit_images(connectivity):
    generator = numpy.random.default_rng(22)
    for image in (distinct(), generator.integers(0, 5, (20, 21, 22)).astype(numpy.uint8)):
        for kind, of in (("minima", morphology.local_minima), ("maxima", morphology.local_maxima)):
            found = kiban.image.minima(image, kind=kind, connectivity=connectivity)
            assert ((found.array != 0) == of(image, connectivity=EDGES[connectivity])).all()
            assert found.report["findings"]["count"]["value"] == found.array.max()


@pytest.mark.parametrize("by", ["erosion", "dilation"])
@pytest.mark.parametrize("connectivity", EDGES)
def test_reconstruction_is_scikit_images(by, connectivity):
    footprint = ndimage.generate_binary_structure(3, EDGES[connectivity])
    for image, depth in itertools.islice(real_volumes(), 2):
        shift = depth if by == "erosion" else -depth
        marker = (image + image.dtype.type(shift)).astype(image.dtype)
        truth = morphology.reconstruction(marker, image, method=by, footprint=footprint)
        for asked in ({"marker": marker}, {"depth": depth}):
            found = kiban.image.reconstruct(image, by=by, connectivity=connectivity, **asked).array
            assert found.dtype == image.dtype and (found == truth.astype(image.dtype)).all()


def test_the_order_and_sense_of_axes_change_nothing():
    """In any of the 48, with values that are often equal."""
    generator = numpy.random.default_rng(23)
    image = numpy.kron(generator.integers(0, 9, (4, 5, 6)), numpy.ones((3, 3, 3))).astype(numpy.int16)
    markers = ((generator.random(image.shape) < 0.01) * generator.integers(1, 9, image.shape)).astype(numpy.uint8)
    basins = kiban.image.watershed(image, markers=markers).array
    filled = kiban.image.reconstruct(image, depth=2).array
    minima = kiban.image.minima(image).array != 0
    for order in itertools.permutations(range(3)):
        for sense in itertools.product((1, -1), repeat=3):
            def turned(array):
                return numpy.ascontiguousarray(array.transpose(order)[tuple(slice(None, None, way) for way in sense)])

            assert (kiban.image.watershed(turned(image), markers=turned(markers)).array == turned(basins)).all()
            assert (kiban.image.reconstruct(turned(image), depth=2).array == turned(filled)).all()
            assert ((kiban.image.minima(turned(image)).array != 0) == turned(minima)).all()


def test_what_cannot_be_is_refused():
    image, markers = numpy.zeros((3, 4, 5), numpy.float32), numpy.ones((3, 4, 5), numpy.uint8)
    for words, call in (
        ("depth is for basins that start from minima", lambda: kiban.image.watershed(image, markers=markers, depth=1)),
        ("give one of them", lambda: kiban.image.reconstruct(image)),
        ("give one of them", lambda: kiban.image.reconstruct(image, marker=image, depth=1)),
        ("store both as the same type", lambda: kiban.image.reconstruct(image, marker=markers)),
        ("depth", lambda: kiban.image.minima(image, depth=-1)),
        ("the depth is not", lambda: kiban.image.minima(markers, depth=0.5)),
        ("not a number", lambda: kiban.image.watershed(image * numpy.nan, markers=markers)),
        ("resample one of them", lambda: kiban.image.watershed(image, markers=markers[1:])),
    ):
        with pytest.raises(kiban.Error, match=words):
            call()
    assert kiban.image.watershed(image[:1, :1, :1]).array.tolist() == [[[1]]]
    assert (kiban.image.watershed(image, markers=markers * 0).array == 0).all()
