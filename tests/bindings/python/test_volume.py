"""kiban.Volume: no copies, and what it refuses."""

import pickle

import kiban
import numpy
import pytest


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture
def array():
    return numpy.arange(2 * 3 * 4, dtype=numpy.float32).reshape(2, 3, 4)


def test_keeps_the_very_array(array):
    volume = kiban.Volume(array, 2, (1, 2, 3))
    assert volume.array is array
    assert volume.spacing_mm == (2, 2, 2) and volume.origin_mm == (1, 2, 3)
    assert volume.shape == (2, 3, 4) and volume.dtype == numpy.float32
    assert address(numpy.asarray(volume)) == address(array)
    assert address(numpy.from_dlpack(volume)) == address(array)
    assert volume.__dlpack_device__() == (1, 0)


@pytest.mark.parametrize("kind", ["?", "i1", "u2", "i4", "i8", "f2", "f8", "c8", ">f4"])
def test_keeps_every_type(array, kind):
    typed = array.astype(kind)
    assert kiban.Volume(typed).array is typed


def test_keeps_strided_arrays(array):
    part = array[:, ::2, ::-1]
    assert kiban.Volume(part).array is part


def test_array_follows_numpy_2(array):
    volume = kiban.Volume(array)
    assert address(volume.__array__(copy=False)) == address(array)
    assert address(volume.__array__(copy=True)) != address(array)
    assert volume.__array__(numpy.float64).dtype == numpy.float64
    with pytest.raises(ValueError, match="float32 .*float64 without a copy"):
        volume.__array__(numpy.float64, copy=False)
    assert address(volume.__array__(numpy.float32, copy=False)) == address(array)


def test_world_is_the_definition(array):
    turn = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    volume = kiban.Volume(array, (1, 2, 3), (10, 20, 30), turn)
    assert volume.world((1, 0, 0)).tolist() == [10, 21, 30]
    assert volume.world((0, 1, 0)).tolist() == [8, 20, 30]
    assert volume.world([(0, 0, 0.5), (0, 0, 1)]).tolist() == [[10, 20, 31.5], [10, 20, 33]]
    assert volume.affine.tolist() == [[0, 2, 0, -10], [-1, 0, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]]


def test_from_array_takes_an_affine(array):
    volume = kiban.Volume(array, (1, 2, 3), (10, 20, 30), [[0, -1, 0], [1, 0, 0], [0, 0, -1]])
    again = kiban.Volume.from_array(array, volume.affine)
    assert again.array is array
    assert (again.affine == volume.affine).all()
    assert kiban.Volume.from_array(array).world((1, 1, 1)).tolist() == [1, 1, 1]


def test_geometry_is_not_changed_by_what_it_returns(array):
    volume = kiban.Volume(array)
    volume.direction[0, 0] = 7
    assert volume.direction.tolist() == numpy.eye(3).tolist()
    with pytest.raises(AttributeError):
        volume.spacing_mm = (1, 2, 3)


def test_with_array_keeps_the_place(array):
    volume = kiban.Volume(array, (1, 2, 3), (4, 5, 6), numpy.diag([1, -1, 1]))
    doubled = volume.with_array(array * 2)
    assert (doubled.affine == volume.affine).all() and (doubled.array == array * 2).all()
    with pytest.raises(kiban.Error, match=r"\(1, 3, 4\) and the volume \(2, 3, 4\)"):
        volume.with_array(array[:1])


def test_repr_says_axes_and_units(array):
    said = repr(kiban.Volume(array, (1, 2, 3), (4, 5, 6.25)))
    assert said == "<kiban.Volume float32 [z 2, y 3, x 4], spacing (1, 2, 3) mm, origin (4, 5, 6.25) mm>"
    assert "direction [[-1.0, 0.0, 0.0]" in repr(kiban.Volume(array, direction=numpy.diag([-1, 1, 1])))


def test_survives_pickling(array):
    volume = kiban.Volume(array, (1, 2, 3), (4, 5, 6), numpy.diag([1, -1, 1]))
    again = pickle.loads(pickle.dumps(volume))
    assert (again.array == array).all() and (again.affine == volume.affine).all() and again.report is None


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (dict(array=[[[1.0]]]), r"of type list; numpy.asarray"),
        (dict(array=numpy.zeros((3, 4), "f4")), r"has 2: \(3, 4\); add an axis"),
        (dict(array=numpy.zeros((2, 3, 4, 5), "f4")), r"has 4: \(2, 3, 4, 5\); .* take a part"),
        (dict(array=numpy.zeros((2, 3, 4), "f4,f4")), "one number a voxel"),
        (dict(array=numpy.zeros((2, 3, 4), object)), "one number a voxel"),
        (dict(spacing_mm=(1, 2)), r"spacing_mm is \(1, 2\), but must be 3 finite numbers"),
        (dict(spacing_mm=(1, 2, 0)), "above 0"),
        (dict(spacing_mm=-1), "above 0"),
        (dict(spacing_mm=float("nan")), "finite"),
        (dict(spacing_mm="2 mm"), "3 finite numbers"),
        (dict(origin_mm=(0, 0, float("inf"))), "origin_mm is .* 3 finite numbers"),
        (dict(origin_mm=5), "3 finite numbers"),
        (dict(direction=numpy.eye(4)), "3 x 3"),
        (dict(direction=[[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]), "right angles"),
        (dict(direction=2 * numpy.eye(3)), "length 1"),
        (dict(direction=numpy.full((3, 3), numpy.nan)), "right angles"),
        (dict(direction="LPS"), "3 x 3"),
    ],
)
def test_refuses_what_is_no_volume(arguments, sentence):
    given = dict(array=numpy.zeros((2, 3, 4), "f4")) | arguments
    with pytest.raises(kiban.Error, match=sentence) as caught:
        kiban.Volume(**given)
    assert caught.value.code == kiban.ErrorCode.input
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "affine, sentence",
    [
        (numpy.eye(3), "4 x 4"),
        (numpy.diag([1, 1, 1, 2]), "last row"),
        (numpy.diag([1, 0, 1, 1]), "one of its columns is 0"),
        (numpy.diag([1, numpy.nan, 1, 1]), "finite"),
        ([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "shear"),
    ],
)
def test_refuses_what_is_no_affine(array, affine, sentence):
    with pytest.raises(kiban.Error, match=sentence):
        kiban.Volume.from_array(array, affine)


class OnGpu:
    """An array as CuPy's, as far as a volume looks."""

    shape, dtype = (2, 3, 4), numpy.dtype("f4")
    __cuda_array_interface__ = {"shape": shape, "typestr": "<f4", "data": (0, False), "version": 3}

    def __dlpack_device__(self):
        return 2, 0


def test_an_array_on_a_gpu_stays_there():
    gpu = OnGpu()
    volume = kiban.Volume(gpu)
    assert volume.array is gpu and volume.__dlpack_device__() == (2, 0)
    assert volume.__cuda_array_interface__["typestr"] == "<f4"
    for to_host in (numpy.asarray, kiban.Volume.to_sitk, kiban.Volume.to_nibabel, kiban.Volume.preview):
        with pytest.raises(kiban.Error, match="lies on a GPU; bring it to the host"):
            to_host(volume)


def test_a_volume_on_the_host_has_no_cuda_interface(array):
    assert not hasattr(kiban.Volume(array), "__cuda_array_interface__")
