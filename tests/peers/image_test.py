"""Volume operations beside the same of SciPy, scikit-image and ITK, on random and on real volumes."""

import os
from pathlib import Path

import kiban
import numpy
import pytest

ndimage = pytest.importorskip("scipy.ndimage")
SimpleITK = pytest.importorskip("SimpleITK")
measure = pytest.importorskip("skimage.measure")

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
CONNECTIVITIES = {6: 1, 18: 2, 26: 3}  # and SciPy's and scikit-image's word for it
SPACINGS = [(1, 1, 1), (0.7, 1.3, 2.9)]


def random_masks():
    generator = numpy.random.default_rng(11)
    for filled in (0.2, 0.5, 0.9):
        yield (generator.random((23, 31, 45)) < filled).astype(numpy.uint8)
    smooth = ndimage.gaussian_filter(generator.normal(size=(40, 50, 70)), 3)
    yield (smooth > smooth.mean()).astype(numpy.uint8)


def random_label_maps():
    generator = numpy.random.default_rng(12)
    yield generator.integers(0, 4, (17, 23, 40)).astype(numpy.uint8)
    coarse = generator.integers(0, 300, (6, 7, 9)).astype(numpy.uint16)
    yield numpy.kron(coarse, numpy.ones((5, 4, 6), numpy.uint16))
    yield coarse.repeat(3, 0).repeat(2, 1).astype(numpy.uint32) * 70000


def real(name):
    if not (DATA / "image" / name).exists():
        pytest.skip(f"{name} is not in the test data (KIBAN_TEST_DATA)")
    return kiban.read(DATA / "image" / name, labels=True)


def masks_and_maps(of_labels):
    if of_labels:
        yield from random_label_maps()
        yield real("brain_labels_256.nii.gz").array[100:140]
        yield real("ct_torso_3mm_totalseg.nii.gz").array
    else:
        yield from random_masks()
        yield (real("mr_t1_256.nii.gz").array[90:150] > 60).astype(numpy.uint8)


def same_partition(a, b):
    """Equal up to numbering."""
    pairs = numpy.unique(numpy.stack([a.ravel(), b.ravel()]).astype(numpy.int64), axis=1)
    return len(numpy.unique(pairs[0])) == len(numpy.unique(pairs[1])) == pairs.shape[1] and (
        (a == 0) == (b == 0)).all()


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_components_of_masks_are_scipys_and_itks(connectivity):
    structure = ndimage.generate_binary_structure(3, CONNECTIVITIES[connectivity])
    for mask in masks_and_maps(False):
        found = kiban.image.components(mask, connectivity=connectivity).array
        truth, count = ndimage.label(mask, structure)
        assert found.max() == count and (found == truth).all()  # SciPy numbers in raster order, too
        if connectivity != 18:  # which ITK does not know
            itk = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask), connectivity == 26)
            assert same_partition(found, SimpleITK.GetArrayFromImage(itk))


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_components_of_label_maps_are_scikit_images(connectivity):
    for labels in masks_and_maps(True):
        found = kiban.image.components(labels, connectivity=connectivity).array
        truth = measure.label(labels.astype(numpy.int64), connectivity=CONNECTIVITIES[connectivity], background=0)
        assert found.max() == truth.max() and same_partition(found, truth)


def test_holes_are_scipys():
    for mask in masks_and_maps(False):
        found = kiban.image.clean(mask, fill_holes=True).array
        assert (found == ndimage.binary_fill_holes(mask)).all()


def test_specks_are_scikit_images():
    morphology = pytest.importorskip("skimage.morphology")
    for mask in masks_and_maps(False):
        found = kiban.image.clean(mask, smaller_than_mm3=7, connectivity=6).array
        assert (found == morphology.remove_small_objects(mask.astype(bool), max_size=6, connectivity=1)).all()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_distances_in_masks_are_scipys(spacing):
    for mask in masks_and_maps(False):
        found = kiban.image.distance(kiban.Volume(mask, spacing)).array
        truth = ndimage.distance_transform_edt(mask, sampling=spacing[::-1])
        assert numpy.abs(found - truth).max() <= 1e-4


@pytest.mark.parametrize("spacing", SPACINGS)
def test_distances_in_label_maps_are_scipys_label_by_label(spacing):
    for labels in masks_and_maps(True):
        found = kiban.image.distance(kiban.Volume(labels, spacing), labels_apart=True).array
        kinds = numpy.unique(labels)
        for kind in numpy.random.default_rng(1).permutation(kinds[kinds != 0])[:5]:
            truth = ndimage.distance_transform_edt(labels == kind, sampling=spacing[::-1])
            assert numpy.abs(found - truth)[labels == kind].max() <= 1e-4
        assert (found[labels == 0] == 0).all()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_signed_distances_are_itks_maurer(spacing):
    """ITK measures to the object's own border voxels: outside that is the same, inside it is asked of the complement."""
    for mask in masks_and_maps(False):
        found = kiban.image.distance(kiban.Volume(mask, spacing), signed=True).array
        for inside in (False, True):
            image = SimpleITK.GetImageFromArray(1 - mask if inside else mask)
            image.SetSpacing(spacing)
            maurer = SimpleITK.GetArrayFromImage(
                SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))
            where = mask == inside
            assert numpy.abs(maurer - (-found if inside else found))[where].max() <= 1e-4


def all_turns():
    """The 48 orders and senses of three axes, as what is done to an array [z,y,x]."""
    import itertools

    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            yield order, tuple(axis for axis in range(3) if flips[axis])


def test_nothing_depends_on_the_order_and_sense_of_axes():
    labels = numpy.ascontiguousarray(next(iter(masks_and_maps(True))))
    spacing = (0.7, 1.3, 2.9)  # x, y, z
    components = kiban.image.components(labels, connectivity=18).array
    distances = kiban.image.distance(kiban.Volume(labels, spacing), labels_apart=True).array
    for order, flipped in all_turns():
        def turned(array):
            return numpy.ascontiguousarray(numpy.flip(array.transpose(order), flipped))

        turned_spacing = tuple(spacing[::-1][axis] for axis in order)[::-1]
        volume = kiban.Volume(turned(labels), turned_spacing)
        assert same_partition(kiban.image.components(volume, connectivity=18).array, turned(components))
        again = kiban.image.distance(volume, labels_apart=True).array
        assert numpy.abs(again - turned(distances)).max() <= 1e-5


def images():
    generator = numpy.random.default_rng(13)
    yield generator.normal(size=(20, 31, 40)).astype(numpy.float32)
    yield (ndimage.gaussian_filter(generator.normal(size=(30, 31, 40)), 3) * 1000).astype(numpy.int16)
    yield generator.integers(0, 256, (11, 12, 60)).astype(numpy.uint8)
    if (DATA / "image" / "ct_torso_3mm.nii.gz").exists():
        yield kiban.read(DATA / "image" / "ct_torso_3mm.nii.gz").array.astype(numpy.int16)


def test_otsu_is_scikit_images():
    filters = pytest.importorskip("skimage.filters")
    for image in images():
        found = kiban.image.otsu(image).array
        threshold = filters.threshold_otsu(image)
        width = 1 if image.dtype.kind in "iu" else numpy.ptp(image) / 256
        truth = image > threshold
        # scikit-image compares with a bin's centre, Kiban with its edge: of integers that is the same.
        assert (found == truth)[numpy.abs(image - threshold) > (0 if width == 1 else width)].all()


def spread(image, thresholds):
    """Sum of squares from the means of the classes."""
    classes = numpy.digitize(image, thresholds)
    return sum(((part := image[classes == k].astype(float)) - part.mean()).__pow__(2).sum() for k in numpy.unique(classes))


def test_several_thresholds_are_no_worse_than_scikit_images():
    """Which searches in single precision: where the best are nearly equal, it finds a neighbour."""
    filters = pytest.importorskip("skimage.filters")
    for image in images():
        # It tries every partition: of thousands of bins into four, for minutes.
        for classes in (3, 4) if numpy.ptp(image) < 1000 else (3,):
            report = kiban.image.otsu(image, classes=classes).report
            ours = numpy.array([finding["value"] for finding in report["findings"].values()])
            theirs = filters.threshold_multiotsu(image, classes, nbins=256)
            width = 1 if image.dtype.kind in "iu" else numpy.ptp(image) / 256
            assert numpy.abs(ours - theirs).max() <= 3 * width
            # Their classes end at the centre of a bin, which of integers is the number itself.
            assert spread(image, ours) <= spread(image, theirs + width / 2) * (1 + 1e-12)


def test_hysteresis_is_scikit_images():
    filters = pytest.importorskip("skimage.filters")
    for image in images():
        low, sure = numpy.quantile(image.astype(float), [0.6, 0.9])
        found = kiban.image.threshold(image, low=low, sure=sure, connectivity=6).array
        assert (found == filters.apply_hysteresis_threshold(image, low - 1e-9, sure - 1e-9)).all()


def test_a_range_is_numpys():
    for image in images():
        low, high = (float(bound) for bound in numpy.quantile(image, [0.3, 0.7]))
        assert (kiban.image.threshold(image, low=low, high=high).array == ((image >= low) & (image <= high))).all()


def test_statistics_are_scikit_images():
    for image in images():
        labels = (numpy.arange(image.size).reshape(image.shape) // 37 % 6).astype(numpy.uint8)
        volume = kiban.Volume(labels, (0.7, 1.3, 2.9), (5, 6, 7))
        report = kiban.image.statistics(volume, image=kiban.Volume(image, (0.7, 1.3, 2.9), (5, 6, 7)))
        truth = measure.regionprops(labels, image.astype(float))
        assert [found["label"] for found in report["labels"]] == [region.label for region in truth]
        for found, region in zip(report["labels"], truth):
            values = image[labels == region.label].astype(float)
            assert found["voxels"] == region.num_pixels
            assert abs(found["volume_ml"] - region.num_pixels * 0.7 * 1.3 * 2.9 / 1000) < 1e-9
            assert numpy.allclose(found["centroid_mm"], volume.world(region.centroid[::-1]), atol=1e-9)
            assert found["first_index"][::-1] == list(region.bbox[:3])
            assert [last + 1 for last in found["last_index"][::-1]] == list(region.bbox[3:])
            assert numpy.isclose(found["mean"], values.mean(), rtol=1e-9, atol=1e-9)
            assert numpy.isclose(found["standard_deviation"], values.std(), rtol=1e-9)
            assert (found["minimum"], found["maximum"]) == (values.min(), values.max())
