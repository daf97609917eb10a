"""Smoothing and region growing beside SciPy's and ITK's."""

import os
from pathlib import Path

import kiban
import numpy
import pytest

ndimage = pytest.importorskip("scipy.ndimage")
SimpleITK = pytest.importorskip("SimpleITK")

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def images():
    generator = numpy.random.default_rng(10)
    yield kiban.Volume(generator.normal(size=(13, 24, 31)).astype(numpy.float32), (0.7, 1.3, 2.9))
    yield kiban.Volume(generator.integers(-3000, 3000, (9, 40, 70)).astype(numpy.int16), (1, 2, 3))
    if (DATA / "image" / "ct_torso_3mm.nii.gz").exists():
        yield kiban.read(DATA / "image" / "ct_torso_3mm.nii.gz", keep_type=True)


@pytest.mark.parametrize("sigma", [1.5, (0, 2, 4)])
def test_gaussians_are_scipys(sigma):
    for volume in images():
        mm = numpy.broadcast_to(sigma, 3)
        truth = ndimage.gaussian_filter(volume.array.astype(float), (mm / volume.spacing_mm)[::-1], mode="mirror")
        found = kiban.image.gaussian(volume, sigma_mm=sigma).array
        assert found.dtype == volume.array.dtype
        largest = numpy.abs(volume.array.astype(float)).max()
        assert numpy.abs(found - truth).max() <= (0.5 if found.dtype.kind == "i" else 0) + 1e-6 * largest


def test_medians_are_scipys():
    cross = ndimage.generate_binary_structure(3, 1)
    for volume in images():
        inside = (slice(2, -2),) * 3
        found = kiban.image.median(volume).array
        assert (found == ndimage.median_filter(volume.array, 3))[inside].all()
        found = kiban.image.median(volume, element="cross").array
        assert (found == ndimage.median_filter(volume.array, footprint=cross))[inside].all()
        found = kiban.image.median(volume, radius=(2, 0, 1)).array
        assert (found == ndimage.median_filter(volume.array, size=(3, 1, 5)))[inside].all()


def smooth_volume():
    generator = numpy.random.default_rng(11)
    values = ndimage.gaussian_filter(generator.normal(size=(30, 40, 50)), 3) * 100
    return kiban.Volume(values.astype(numpy.float32), (0.7, 1.3, 2.9), (5, -6, 7))


@pytest.mark.parametrize("connectivity", [6, 26])
def test_regions_in_a_range_are_itks(connectivity):
    volume = smooth_volume()
    image = volume.to_sitk()
    seeds = [tuple(int(i) for i in numpy.unravel_index(at, volume.array.shape))[::-1]
             for at in (volume.array.argmax(), volume.array.argmin(), 12345)]
    low, high = (float(bound) for bound in numpy.quantile(volume.array, [0.45, 1]))
    found = kiban.image.grow(volume, seeds_mm="; ".join(",".join(map(repr, map(float, volume.world(seed)))) for seed in seeds),
                             low=low, high=high, connectivity=connectivity).array
    truth = SimpleITK.ConnectedThreshold(image, seeds, low, high, 1, connectivity == 26)
    assert 0 < found.sum() < found.size and (found == SimpleITK.GetArrayFromImage(truth)).all()


def test_regions_by_confidence_are_itks():
    volume = smooth_volume()
    for at in (volume.array.argmax(), 33333):
        seed = tuple(int(i) for i in numpy.unravel_index(at, volume.array.shape))[::-1]
        if not all(1 <= i < n - 1 for i, n in zip(seed, volume.array.shape[::-1])):
            continue
        for multiplier, iterations in ((2.5, 4), (1.5, 2), (3, 0)):
            found = kiban.image.grow(volume, seeds_mm=",".join(map(repr, map(float, volume.world(seed)))), connectivity=6,
                                     multiplier=multiplier, iterations=iterations)
            truth = SimpleITK.ConfidenceConnected(volume.to_sitk(), [seed], iterations, multiplier, 1, 1)
            assert (found.array == SimpleITK.GetArrayFromImage(truth)).mean() > 0.9999
            assert found.report["findings"]["low"]["value"] < found.report["findings"]["high"]["value"]


def test_seeds_that_cannot_be_are_refused():
    volume = smooth_volume()
    for seeds, words in (("1,2", "seeds_mm"), ("", "seeds_mm"), ("1e9,0,0", "lies outside of"), ("a,b,c", "seeds_mm")):
        with pytest.raises(kiban.Error, match=words):
            kiban.image.grow(volume, seeds_mm=seeds, low=0)
    with pytest.raises(kiban.Error, match="high is below low"):
        kiban.image.grow(volume, seeds_mm="5,-6,7", low=2, high=1)
    with pytest.raises(kiban.Error, match="multiplier is for a range that follows from the region"):
        kiban.image.grow(volume, seeds_mm="5,-6,7", low=2, multiplier=3)
