"""Metrics beside DeepMind's surface-distance and SimpleITK's, on random and on real shapes."""

import os
from pathlib import Path

import kiban
import numpy
import pytest

ndimage = pytest.importorskip("scipy.ndimage")
SimpleITK = pytest.importorskip("SimpleITK")

# surface-distance 0.1 was written for an older NumPy and SciPy.
numpy.Inf = numpy.inf
numpy.NaN = numpy.nan
ndimage.filters = ndimage
surface_distance = pytest.importorskip("surface_distance")

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def pairs():
    generator = numpy.random.default_rng(9)
    for shape in ((20, 21, 22), (1, 30, 31), (3, 3, 3)):
        yield tuple((generator.random(shape) < 0.5) for _ in range(2))
    smooth = ndimage.gaussian_filter(generator.normal(size=(40, 50, 60)), 4)
    yield smooth > 0, ndimage.gaussian_filter(smooth, 3) > 0.01
    yield smooth > 0.02, numpy.roll(smooth > 0.02, 3, axis=1)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 1.3, 2.9)])
def test_surfaces_are_deepminds(spacing):
    for labels, reference in pairs():
        found = kiban.image.metrics(kiban.Volume(labels, spacing), kiban.Volume(reference, spacing), percentile=95,
                                    tolerance_mm=1.3)["labels"][0]
        surfaces = surface_distance.compute_surface_distances(reference, labels, spacing[::-1])
        from_reference, to_reference = surface_distance.compute_average_surface_distance(surfaces)
        areas = surfaces["surfel_areas_gt"].sum(), surfaces["surfel_areas_pred"].sum()
        truths = {
            "mean_to_reference_mm": to_reference, "mean_from_reference_mm": from_reference,
            "masd_mm": (to_reference + from_reference) / 2,
            "assd_mm": (from_reference * areas[0] + to_reference * areas[1]) / sum(areas),
            "hd_mm": max(surfaces["distances_gt_to_pred"].max(), surfaces["distances_pred_to_gt"].max()),
            "hd_perc_mm": surface_distance.compute_robust_hausdorff(surfaces, 95),
            "nsd": surface_distance.compute_surface_dice_at_tolerance(surfaces, 1.3),
            "dsc": surface_distance.compute_dice_coefficient(reference, labels),
            "iou": (labels & reference).sum() / (labels | reference).sum(),
            "avdr": abs(int(labels.sum()) - int(reference.sum())) / reference.sum(),
        }
        for name, truth in truths.items():
            assert found[name] == pytest.approx(truth, rel=1e-6, abs=1e-12), name


def test_every_cube_has_the_area_that_deepmind_gives_it():
    """256 cubes of 2 x 2 x 2 voxels; what is around them has the same area on both sides."""
    for spacing in ((1, 1, 1), (2, 3, 5)):
        for code in range(256):
            cube = numpy.array([code >> bit & 1 for bit in range(7, -1, -1)], bool).reshape(2, 2, 2)
            labels, reference = numpy.zeros((2, 4, 4, 4), bool)
            labels[1:3, 1:3, 1:3] = cube
            reference[0, 0, 0] = True
            surfaces = surface_distance.compute_surface_distances(reference, labels, spacing[::-1])
            if not cube.any():
                continue
            found = kiban.image.metrics(kiban.Volume(labels, spacing), kiban.Volume(reference, spacing))["labels"][0]
            assert found["mean_to_reference_mm"] == pytest.approx(
                surface_distance.compute_average_surface_distance(surfaces)[1], rel=1e-6)


def test_label_maps_are_measured_label_by_label():
    name = DATA / "image" / "ct_torso_3mm_totalseg.nii.gz"
    if not name.exists():
        pytest.skip("the torso is not in the test data (KIBAN_TEST_DATA)")
    reference = kiban.read(name, labels=True)
    labels = reference.with_array(numpy.ascontiguousarray(numpy.roll(reference.array, 1, axis=2)))
    report = kiban.image.metrics(labels, reference)
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(reference.to_sitk(), labels.to_sitk())
    found = {of["label"]: of for of in report["labels"]}
    assert sorted(found) == sorted(set(numpy.unique(reference.array)) - {0})
    for label in list(found)[::9]:
        assert found[label]["dsc"] == pytest.approx(overlap.GetDiceCoefficient(int(label)), rel=1e-9)
        assert found[label]["iou"] == pytest.approx(overlap.GetJaccardCoefficient(int(label)), rel=1e-9)
        surfaces = surface_distance.compute_surface_distances(reference.array == label, labels.array == label,
                                                              reference.spacing_mm[::-1])
        assert found[label]["nsd"] == pytest.approx(
            surface_distance.compute_surface_dice_at_tolerance(surfaces, 1), rel=1e-6)


def test_a_label_in_one_map_only_has_no_distance():
    labels = numpy.zeros((4, 5, 6), numpy.uint8)
    labels[1:3, 1:3, 1:3] = 2
    report = kiban.image.metrics(labels, numpy.zeros_like(labels))["labels"]
    assert report[0]["dsc"] == report[0]["iou"] == report[0]["nsd"] == 0
    assert all(report[0][name] is None for name in ("hd_mm", "hd_perc_mm", "assd_mm", "masd_mm", "avdr"))
    assert kiban.image.metrics(labels * 0, labels * 0)["labels"] == []
