"""Functions made from declarations: signatures, arrays in and out, progress."""

import inspect
import pickle
import re
import typing
from pathlib import Path

import kiban
import numpy
import pytest

SHAPE = (4, 5, 6)
affine = kiban.skeleton.affine


def address(array):
    return array.__array_interface__["data"][0]


def python(name):
    return name.replace("-", "_")


class Exporter:
    """An array of another library, as far as DLPack goes."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __dlpack__(self, **how):
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


# One declaration.


@pytest.mark.parametrize("name", list(kiban.operations()))
def test_every_operation_is_a_function_as_declared(name):
    declared = kiban.operations()[name]
    field, _, verb = name.rpartition(".")
    function = getattr(getattr(kiban, field), python(verb))
    signature = inspect.signature(function)
    documentation = " ".join(inspect.getdoc(function).split())
    assert declared["summary"] in documentation

    # Variants are written to a file, whose name must be given.
    required = [python(p["name"]) for p in declared["ports"]
                if p["required"] and (p["direction"] == "in" or p["kind"] == "variants")]
    assert [p.name for p in signature.parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD] == required
    pictures = tuple(p["name"] + "-" for p in declared["ports"] if p["kind"] == "preview")
    expected = required + ["device", "threads", "progress"]
    expected += [python(p["name"]) for p in declared["ports"]
                 if (p["direction"] == "in" and not p["required"]) or
                 (p["direction"] == "out" and p["kind"] in ("volume", "projections", "labels", "image"))]
    for parameter in declared["parameters"]:
        if parameter["name"].startswith(pictures):
            continue
        expected.append(python(parameter["name"]))
        default = parameter.get("default")
        given = signature.parameters[python(parameter["name"])].default
        if parameter["type"] == "choice" and isinstance(given, int):
            given = str(given)  # choices that are whole numbers are numbers in Python
        if parameter["required"]:
            assert given is inspect.Parameter.empty
        else:
            assert (list(given) if isinstance(given, tuple) else given) == default
        assert f"{python(parameter['name'])} : " in documentation
        if parameter.get("unit"):
            assert f"(in {parameter['unit']};" in documentation
    assert sorted(signature.parameters) == sorted(expected)
    assert set(typing.get_type_hints(function)) == {*signature.parameters, "return"}


def test_the_package_names_no_operation():
    """The smallest operation is in Python because it is declared, and for no other reason."""
    for file in Path(kiban.__file__).parent.glob("*.py"):
        assert not re.search("skeleton|Multiplies", file.read_text()), file.name
    assert "scale x input + offset" in affine.__doc__ and "skeleton" in kiban.__all__
    assert affine.__module__ == "kiban.skeleton"


def test_the_source_of_a_function_can_be_read():
    assert "ports['input']" in inspect.getsource(affine) or "'input': image_argument" in inspect.getsource(affine)


def test_declarations_are_copies():
    kiban.operations()["ct.fdk"]["parameters"].clear()
    assert kiban.operations()["ct.fdk"]["parameters"]


def test_devices_begin_with_the_cpu():
    cpu = kiban.devices()[0]
    assert cpu["name"] == "cpu" and cpu["memory_bytes"] >= cpu["free_bytes"] > 0


# Arrays in and out.


def test_computes(array):
    made = affine(array, scale=2, offset=-1)
    assert isinstance(made, kiban.Volume) and made.dtype == numpy.float32
    assert numpy.allclose(made.array, 2 * array - 1, rtol=1e-6, atol=1e-6)


def test_keeps_the_place_of_a_volume(array):
    turned = kiban.Volume(array, (1, 2, 3), (4, 5, 6), [[0, 0, -1], [1, 0, 0], [0, 1, 0]])
    made = affine(turned)
    assert (made.affine == turned.affine).all() and (made.array == array).all()
    assert made.spacing_mm == (1, 2, 3) and made.origin_mm == (4, 5, 6)


def test_tells_what_it_did(array):
    report = affine(array, scale=3).report
    assert report["operation"] == "skeleton.affine" and report["parameters"] == {"scale": 3, "offset": 0}
    assert report["device"] == "cpu" and report["seconds"] > 0
    assert pickle.loads(pickle.dumps(affine(array))).report["operation"] == "skeleton.affine"


def test_inputs_are_neither_copied_nor_changed(array):
    before = array.copy()
    array.flags.writeable = False
    made = affine(array, scale=2)
    assert (array == before).all() and not numpy.shares_memory(made.array, array)


def test_results_are_writeable_and_in_c_order(array):
    made = affine(array).array
    assert made.flags.c_contiguous and made.flags.writeable and made.flags.aligned
    made += 1


def test_results_outlive_everything(array):
    made = affine(array, scale=2).array
    [affine(numpy.full(SHAPE, 7, "f4")) for _ in range(20)]
    assert (made == 2 * array).all()


@pytest.mark.parametrize("wrap", [lambda a: a, kiban.Volume, Exporter, lambda a: kiban.Volume(Exporter(a))])
def test_fills_memory_that_is_given(array, wrap):
    target = numpy.zeros(SHAPE, numpy.float32)
    given = wrap(target)
    made = affine(array, scale=2, output=given)
    assert (target == 2 * array).all()
    assert made.array is (given.array if isinstance(given, kiban.Volume) else given)
    assert address(numpy.asarray(made)) == address(target)


@pytest.mark.parametrize("wrap", [kiban.Volume, Exporter, lambda a: kiban.Volume(Exporter(a))])
def test_takes_arrays_of_others(array, wrap):
    assert (affine(wrap(array), scale=2).array == 2 * array).all()


def test_jax_shares_memory_both_ways(array):
    jax = pytest.importorskip("jax")
    made = affine(jax.numpy.asarray(array), scale=2)
    assert (made.array == 2 * array).all()
    theirs = jax.numpy.from_dlpack(made)
    assert theirs.unsafe_buffer_pointer() == address(made.array)
    assert (numpy.asarray(theirs) == 2 * array).all()
    with pytest.raises(kiban.Error, match="output is to be filled and is read-only"):
        affine(array, output=theirs)


def test_takes_files(array, tmp_path):
    kiban.Volume(array, 2).write(tmp_path / "a.mha")
    made = affine(tmp_path / "a.mha", scale=2)
    assert (made.array == 2 * array).all() and made.spacing_mm == (2, 2, 2)
    assert (affine(str(tmp_path / "a.mha")).array == array).all()


def test_takes_numbers_of_numpy(array):
    made = affine(array, scale=numpy.float32(2), offset=numpy.int64(1))
    assert numpy.allclose(made.array, 2 * array + 1, atol=1e-6)


def test_several_results_are_named(scan):
    projections, geometry = scan
    assert scan.projections is projections and scan.geometry is geometry
    assert type(scan).__name__ == "SimulateResult" and isinstance(geometry, kiban.ct.Geometry)
    assert projections.shape == (40, 48, 48) and len(geometry) == 40


def test_projections_can_be_filled(scan):
    target = numpy.empty((40, 48, 48), numpy.float32)
    again = kiban.ct.simulate(phantom="shepp-logan", views=40, columns=48, projections=target)
    assert again.projections.array is target and (target == scan.projections.array).all()


def test_a_reconstruction_shows_the_phantom(scan):
    head = kiban.ct.fdk(*scan, size=32, spacing_mm=8)
    brain = head.array[14:18, 14:18, 14:18]
    assert abs(brain.mean() - 0.0204) < 0.001
    # The result takes the grid of another volume.
    part = kiban.ct.fdk(*scan, like=kiban.Volume(numpy.zeros((1, 2, 3), "f4"), 8, head.world((14, 15, 16))))
    assert numpy.allclose(part.array, head.array[16:17, 15:17, 14:17], rtol=1e-4, atol=1e-7)


def test_three_numbers_or_one(scan):
    assert kiban.ct.fdk(*scan, size=(8, 9, 10), spacing_mm=[1, 2, 3]).shape == (10, 9, 8)
    made = kiban.ct.fdk(*scan, size=numpy.array([8, 9, 10]), spacing_mm=numpy.float64(2))
    assert made.shape == (10, 9, 8) and made.spacing_mm == (2, 2, 2)


def test_files_and_arrays_give_the_same(scan, tmp_path):
    projections, geometry = scan
    projections.write(tmp_path / "p.mha")
    geometry.to_rtk(tmp_path / "g.xml")
    report = kiban.run("ct.fdk", projections=tmp_path / "p.mha", geometry=str(tmp_path / "g.xml"), size=16,
                       spacing_mm=8, volume=tmp_path / "v.mha", preview=tmp_path / "v.png")
    assert report["operation"] == "ct.fdk" and report["outputs"]["volume"].endswith("v.mha")
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")
    made = kiban.ct.fdk(projections, geometry, size=16, spacing_mm=8)
    assert numpy.allclose(kiban.read(tmp_path / "v.mha").array, made.array, rtol=1e-6, atol=1e-9)


def test_a_preview_is_a_picture(scan):
    picture = kiban.ct.fdk(*scan, size=16, spacing_mm=8).preview(black=0)
    assert picture._repr_png_() == picture.png and picture.png.startswith(b"\x89PNG")
    whole_numbers = kiban.Volume(numpy.arange(60, dtype="i2").reshape(3, 4, 5)).preview()
    assert whole_numbers.png.startswith(b"\x89PNG")


def test_a_raw_scan_of_arrays():
    pixel, columns = 4.0, 64
    lines, _ = kiban.ct.simulate(phantom="shepp-logan", sdd_mm=0, arc_deg=180, views=60, columns=columns, rows=2,
                                 pixel_mm=pixel)
    scan = {
        "counts": (10000 * numpy.exp(-lines.array) + 50).astype("f4"),
        "flats": numpy.full((3, 2, columns), 10050, "f4"),
        "darks": numpy.full((2, 2, columns), 50, "f4"),
        "angles_deg": numpy.linspace(0, 180, 60, endpoint=False),
    }
    made = kiban.ct.fbp(scan, centre=(columns - 1) / 2, pixel_mm=pixel)
    middle = made.shape[0] // 2
    assert abs(made.array[middle - 3 : middle + 3, :, middle - 3 : middle + 3].mean() - 0.0204) < 0.001
    with pytest.raises(kiban.Error, match="scan has no counters"):
        kiban.ct.fbp({"counters": scan["counts"]})
    with pytest.raises(kiban.Error, match="scan lacks flats"):
        kiban.ct.fbp({"counts": scan["counts"]})


# Progress.


def test_progress_grows_to_one(scan):
    told = []
    kiban.ct.fdk(*scan, size=16, spacing_mm=8, progress=lambda stage, fraction: told.append((stage, fraction)))
    fractions = [fraction for _, fraction in told]
    assert {"read", "compute"} & {stage for stage, _ in told}
    assert fractions == sorted(fractions) and 0 <= fractions[0] and fractions[-1] == 1


def test_what_progress_raises_comes_out(scan):
    class Enough(Exception):
        pass

    def stop(stage, fraction):
        raise Enough(stage)

    with pytest.raises(Enough):
        kiban.ct.fdk(*scan, size=16, spacing_mm=8, progress=stop)
    kiban.ct.fdk(*scan, size=16, spacing_mm=8)
