"""kiban.ct.Geometry: where source and detector are, from and to files and vectors, and drawn."""

import pickle

import kiban
import numpy
import pytest

Geometry = kiban.ct.Geometry


def views_of(geometry):
    return numpy.stack([geometry.sources, geometry.detectors, geometry.u, geometry.v])


def test_circular_is_a_circle_about_y():
    views, sid, sdd = 12, 750.0, 1200.0
    geometry = Geometry.circular(views=views, sid_mm=sid, sdd_mm=sdd, first_angle_deg=10, arc_deg=200)
    assert len(geometry) == views and not geometry.parallel and tuple(geometry.axis) == (0, 1, 0)
    # IEC 61217: at gantry angle a the source lies at (sin a, 0, cos a).
    angle = numpy.deg2rad(10 + 200 / views * numpy.arange(views))
    towards = numpy.stack([numpy.sin(angle), 0 * angle, numpy.cos(angle)], axis=1)
    assert numpy.allclose(geometry.sources, sid * towards, atol=1e-9)
    assert numpy.allclose(geometry.detectors, (sid - sdd) * towards, atol=1e-9)
    assert numpy.allclose(geometry.u, numpy.stack([numpy.cos(angle), 0 * angle, -numpy.sin(angle)], axis=1))
    assert numpy.allclose(geometry.v, [0, 1, 0])


def test_parallel_rays_have_a_direction():
    geometry = Geometry.circular(views=4, sdd_mm=0)
    assert geometry.parallel and numpy.allclose(numpy.linalg.norm(geometry.sources, axis=1), 1)
    assert numpy.allclose(geometry.sources[0], (0, 0, -1))


def test_rtk_round_trip(tmp_path):
    geometry = Geometry.circular(views=7, sid_mm=700, sdd_mm=1100, out_of_plane_deg=3, in_plane_deg=5,
                                 projection_offset_x_mm=12.5, source_offset_y_mm=-2)
    geometry.to_rtk(tmp_path / "g.xml")
    again = Geometry.from_rtk(str(tmp_path / "g.xml"))
    assert numpy.allclose(views_of(again), views_of(geometry), atol=1e-6)
    kiban.run("ct.geometry", views=7, geometry=tmp_path / "h.xml")
    assert numpy.allclose(views_of(Geometry.from_rtk(tmp_path / "h.xml")), views_of(Geometry.circular(views=7)))


def cone_vectors(views=30, sid=700.0, sdd=1000.0, pixel=4.0):
    """ASTRA's cone_vec of a circle about z."""
    angle = 2 * numpy.pi * numpy.arange(views) / views
    zero, one = 0 * angle, 0 * angle + 1
    source = sid * numpy.stack([numpy.sin(angle), -numpy.cos(angle), zero], axis=1)
    u = pixel * numpy.stack([numpy.cos(angle), numpy.sin(angle), zero], axis=1)
    return numpy.hstack([source, source * (sid - sdd) / sid, u, pixel * numpy.stack([zero, zero, one], axis=1)])


def test_astra_vectors_are_taken_as_they_are():
    vectors = cone_vectors()
    geometry = Geometry.from_astra(vectors, rows=40, columns=60)
    assert (geometry.rows, geometry.columns) == (40, 60) and tuple(geometry.axis) == (0, 0, 1)
    assert numpy.allclose(numpy.hstack([geometry.sources, geometry.detectors, geometry.u, geometry.v]), vectors)
    with pytest.raises(kiban.Error, match="12 numbers a view, these have 9"):
        Geometry.from_astra(numpy.ascontiguousarray(vectors[:, :9]), rows=4, columns=4)
    with pytest.raises(kiban.Error):
        Geometry.from_astra(vectors * numpy.nan, rows=4, columns=4)
    with pytest.raises(kiban.Error, match="RTK's nine parameters"):
        geometry.to_rtk("g.xml")


def ball_shadows(vectors, rows, columns, centre, radius):
    """Exact line integrals through a ball, from ASTRA's definition: pixel (c, r) lies that far along u, v."""
    source, detector, u, v = (vectors[:, None, None, 3 * k : 3 * k + 3] for k in range(4))
    column = numpy.arange(columns)[None, None, :, None] - (columns - 1) / 2
    row = numpy.arange(rows)[None, :, None, None] - (rows - 1) / 2
    ray = detector + column * u + row * v - source
    ray /= numpy.linalg.norm(ray, axis=-1, keepdims=True)
    to_centre = numpy.asarray(centre) - source
    along = (to_centre * ray).sum(-1)
    squared = radius**2 - ((to_centre**2).sum(-1) - along**2)
    return (2 * numpy.sqrt(numpy.maximum(squared, 0))).astype(numpy.float32)


def test_a_ball_is_found_where_astra_puts_it():
    centre, radius = (20.0, -12.0, 9.0), 15.0
    vectors = cone_vectors(views=90, pixel=3.0)
    shadows = ball_shadows(vectors, 40, 60, centre, radius)
    volume = kiban.ct.fdk(shadows, Geometry.from_astra(vectors, rows=40, columns=60), size=32, spacing_mm=3)
    weight = volume.array > 0.5
    z, y, x = numpy.indices(volume.shape)
    found = [float((weight * axis).sum() / weight.sum()) for axis in (x, y, z)]
    assert numpy.allclose(volume.world(found), centre, atol=0.5)
    inside = volume.array[tuple(numpy.round((numpy.array(centre) - volume.origin_mm) / 3).astype(int)[::-1])]
    assert abs(inside - 1) < 0.05


@pytest.mark.parametrize(
    "make",
    [
        lambda: Geometry.circular(views=9, in_plane_deg=4),
        lambda: Geometry.circular(views=9, sdd_mm=0),
        lambda: Geometry.from_astra(cone_vectors(), rows=4, columns=5),
    ],
)
def test_survives_pickling(make):
    geometry = make()
    again = pickle.loads(pickle.dumps(geometry))
    assert again == geometry and (views_of(again) == views_of(geometry)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Geometry.circular(views=90),
        lambda: Geometry.circular(views=1),
        lambda: Geometry.circular(views=60, sdd_mm=0, arc_deg=180),
        lambda: Geometry.from_astra(cone_vectors(), rows=4, columns=5),
        lambda: Geometry.from_astra(cone_vectors(), rows=4, columns=5, axis=(0.6, 0, 0.8)),
        lambda: kiban.ct.simulate(phantom="shepp-logan", views=8, columns=16).geometry,
    ],
)
def test_is_drawn(make):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure = make().plot()
    figure.canvas.draw()
    assert numpy.asarray(figure.canvas.buffer_rgba()).std() > 1
    assert len(figure.axes) == 2
    pyplot.close(figure)


def test_from_above_the_source_is_where_it_is():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    geometry = Geometry.circular(views=8, sid_mm=500, sdd_mm=800)
    figure = geometry.plot()
    from_above = figure.axes[1]
    assert (from_above.get_xlabel(), from_above.get_ylabel()) == ("x / mm", "z / mm")
    x, upwards = from_above.lines[0].get_data()
    # Seen against the axis y, x runs to the right and z down: the picture counts z downwards.
    assert numpy.allclose(x, geometry.sources[:, 0]) and numpy.allclose(upwards, -geometry.sources[:, 2])
    assert from_above.yaxis.get_major_formatter()(-500, 0) == "500"
    pyplot.close(figure)
