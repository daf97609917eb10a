"""Arrays in the memory of a device. Run with the simulator preloaded, whose memory the host cannot read: a fault if it does."""

import numpy
import pytest

import kiban
from kiban._kiban import DeviceArray, to_device

SIM = "sim"
RANDOM = numpy.random.default_rng(3)


def values(*shape):
    return RANDOM.random(shape, numpy.float32)


def test_to_the_device_and_back():
    array = values(3, 4, 5)
    there = to_device(array, SIM)
    assert isinstance(there, DeviceArray)
    assert there.shape == array.shape and there.dtype == numpy.float32 and there.device == SIM
    assert numpy.array_equal(there.numpy(), array)


def test_computes_where_the_input_is_and_leaves_the_result_there():
    array = values(40, 5, 6)
    result = kiban.skeleton.affine(to_device(array, SIM), scale=2, offset=1)
    assert result.report["device"] == SIM
    assert isinstance(result.array, DeviceArray) and result.array.device == SIM
    assert numpy.array_equal(result.array.numpy(), kiban.skeleton.affine(array, scale=2, offset=1, device="cpu").array)


def test_host_arrays_travel_to_the_device_and_back():
    array = values(4, 5, 6)
    result = kiban.skeleton.affine(array, scale=3, device=SIM)
    assert isinstance(result.array, numpy.ndarray)
    assert numpy.array_equal(result.array, numpy.float32(3) * array)


def test_no_copy_leaves_the_device_unasked():
    there = to_device(values(4, 5, 6), SIM)
    with pytest.raises(kiban.Error, match="an input lies on sim") as raised:
        kiban.skeleton.affine(there, scale=3, device="cpu")
    assert raised.value.code == kiban.ErrorCode.usage


def test_fills_host_memory_when_told_to():
    array = values(4, 5, 6)
    filled = numpy.empty_like(array)
    kiban.skeleton.affine(to_device(array, SIM), scale=3, output=filled)
    assert numpy.array_equal(filled, numpy.float32(3) * array)


def test_fills_memory_of_the_device():
    array, filled = values(4, 5, 6), to_device(numpy.zeros((4, 5, 6), numpy.float32), SIM)
    result = kiban.skeleton.affine(to_device(array, SIM), scale=3, output=filled)
    assert result.array is filled
    assert numpy.array_equal(filled.numpy(), numpy.float32(3) * array)


def test_reconstructs_from_device_memory_as_on_the_cpu():
    projections, geometry = kiban.ct.simulate(phantom="shepp-logan", views=24, columns=16, rows=12, device="cpu")
    there = kiban.Volume(to_device(projections.array, SIM), projections.spacing_mm, projections.origin_mm)
    on_sim = kiban.ct.fdk(there, geometry, size=(12, 10, 12))
    on_cpu = kiban.ct.fdk(projections, geometry, size=(12, 10, 12), device="cpu")
    error = numpy.linalg.norm(on_sim.array.numpy() - on_cpu.array) / numpy.linalg.norm(on_cpu.array)
    assert on_sim.report["device"] == SIM and error < 1e-5


def test_projects_a_volume_in_device_memory():
    volume = values(6, 5, 7)
    arguments = {"views": 5, "columns": 14}
    here, geometry = kiban.ct.simulate(volume=kiban.Volume(volume, (10, 10, 10), (-30, -20, -25)), device="cpu", **arguments)
    there, _ = kiban.ct.simulate(
        volume=kiban.Volume(to_device(volume, SIM), (10, 10, 10), (-30, -20, -25)), **arguments)
    assert numpy.allclose(there.array.numpy(), here.array, rtol=0, atol=1e-5 * here.array.max())


def test_values_in_device_memory_are_checked():
    projections, geometry = kiban.ct.simulate(phantom="shepp-logan", views=24, columns=16, device="cpu")
    projections.array[23, 15, 15] = numpy.nan
    there = kiban.Volume(to_device(projections.array, SIM), projections.spacing_mm, projections.origin_mm)
    with pytest.raises(kiban.Error, match="NaN or infinite") as raised:
        kiban.ct.fdk(there, geometry, size=8)
    assert raised.value.code == kiban.ErrorCode.input


def test_nobody_else_is_handed_memory_of_the_simulator():
    there = to_device(values(2, 2, 2), SIM)
    assert not hasattr(there, "__cuda_array_interface__")
    assert there.__dlpack_device__()[0] == 12  # kDLExtDev
    with pytest.raises((kiban.Error, BufferError, RuntimeError)):
        numpy.from_dlpack(there)
