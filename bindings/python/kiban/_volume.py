"""Volumes: an array and where its voxels lie."""

from __future__ import annotations

import json
import math
import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy

from . import _kiban
from ._error import Error, ErrorCode

if TYPE_CHECKING:
    import nibabel
    import SimpleITK

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
# As the readers of files: axes may be this far from right angles and unit length.
_DIRECTION_TOLERANCE = 1e-3
_HOST_DEVICES = (1, 3)  # DLPack's: the host's memory, and that pinned for CUDA
_RAS_FROM_LPS = numpy.diag([-1.0, -1.0, 1.0, 1.0])

Three = tuple[float, float, float]
Place = tuple[Any, Three, Three, tuple[float, ...]]


class Volume:
    """An array [z,y,x] with the place of its voxels in mm, in the patient's frame of DICOM (LPS).

    array         [z,y,x]  of NumPy, or any that exports DLPack or __cuda_array_interface__; kept, never copied
    spacing_mm    mm       between voxel centres along x, y, z; one number stands for three
    origin_mm     mm       x, y, z of the centre of voxel (0,0,0)
    direction     [3,3]    column j is the unit vector along which index j grows; at right angles, of either handedness

    Numbers of three run along x, y, z: the reverse of the array's axes. The geometry cannot be changed, the array's
    values can. What leaves a reconstruction without a patient position is in the scanner's frame instead of LPS.
    """

    __slots__ = ("_array", "_direction", "_origin", "_report", "_spacing")
    _report: object

    def __init__(self, array: Any, spacing_mm: Any = 1.0, origin_mm: Any = (0.0, 0.0, 0.0), direction: Any = _IDENTITY):
        require_three_axes(array, "a volume")
        self._array = array
        self._spacing = _spacing(spacing_mm)
        self._origin = _three(origin_mm, "origin_mm")
        self._direction = _IDENTITY if direction is _IDENTITY else _direction(direction)
        self._report = None

    @classmethod
    def from_array(cls, array: Any, affine: Any = None) -> Volume:
        """An array [z,y,x] and the matrix of its voxels: index (x, y, z, 1) to mm right, anterior, superior (RAS).

        Without a matrix voxels are 1 mm apart from 0 on. Nothing is copied. Errors: input (the matrix has shear).
        """
        if affine is None:
            return cls(array)
        return cls(array, *place_of(affine))

    @classmethod
    def from_sitk(cls, image: SimpleITK.Image) -> Volume:
        """A SimpleITK image: the same values in the same memory, which stays alive with the array and is read-only.

        Later changes to the image do not show here: SimpleITK then takes a copy for itself. Integer images keep their
        type. Errors: input (not three axes, or more than one number a voxel).
        """
        from ._peers import from_sitk

        return from_sitk(cls, image)

    def to_sitk(self) -> SimpleITK.Image:
        """A SimpleITK image with a copy of the values, which SimpleITK always takes.

        Errors: input (a type that SimpleITK has not: bool, float16).
        """
        from ._peers import to_sitk

        return to_sitk(self)

    @classmethod
    def from_nibabel(cls, image: nibabel.spatialimages.SpatialImage) -> Volume:
        """A nibabel image, placed by its `affine`: of a file, sform where its code is above 0, else qform.

        RAS becomes LPS, and lengths in metres or microns become mm. The array is nibabel's own, its axes reversed:
        no copy of an image in memory or of an uncompressed file, unless the file scales its values (then float64).
        Errors: input (not three axes, more than one number a voxel, an affine with shear).
        """
        from ._peers import from_nibabel

        return from_nibabel(cls, image)

    def to_nibabel(self) -> nibabel.Nifti1Image:
        """A nibabel image of the same memory, its axes reversed; sform and qform both say where it lies, in mm.

        Errors: input (a type that NIfTI has not: bool, float16).
        """
        from ._peers import to_nibabel

        return to_nibabel(self)

    @property
    def array(self) -> Any:
        """[z,y,x], the very array that was given."""
        return self._array

    @property
    def spacing_mm(self) -> Three:
        """mm between voxel centres along x, y, z."""
        return self._spacing

    @property
    def origin_mm(self) -> Three:
        """mm: x, y, z of the centre of voxel (0,0,0)."""
        return self._origin

    @property
    def direction(self) -> numpy.ndarray:
        """[3,3], a copy: column j is the unit vector along which index j grows, in the order x, y, z."""
        return numpy.array(self._direction).reshape(3, 3)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        z, y, x = self._array.shape
        return z, y, x

    @property
    def dtype(self) -> Any:
        """Of the array."""
        return self._array.dtype

    @property
    def report(self) -> dict[str, Any] | None:
        """Of the operation that made it: timings by stage, findings, device, memory; None for any other volume."""
        return None if self._report is None else json.loads(str(self._report))

    @property
    def affine(self) -> numpy.ndarray:
        """[4,4]: index (x, y, z, 1) to mm right, anterior, superior (RAS), as nibabel has it."""
        affine = numpy.eye(4)
        affine[:3, :3] = self.direction * self._spacing
        affine[:3, 3] = self._origin
        return _RAS_FROM_LPS @ affine

    def world(self, index: Any) -> numpy.ndarray:
        """Where voxels lie, in mm: origin + direction (spacing * index).

        index [...,3]  x, y, z, the reverse of an index of the array; fractions are allowed
        """
        return numpy.asarray(index, float) * self._spacing @ self.direction.T + self._origin

    def with_array(self, array: Any) -> Volume:
        """Another array of the same shape in the same place. Errors: input (another shape)."""
        require_three_axes(array, "a volume")
        if tuple(array.shape) != self.shape:
            raise Error(
                f"the array has the shape {tuple(array.shape)} and the volume {self.shape}; make a new kiban.Volume "
                "and say where its voxels lie",
                ErrorCode.input,
            )
        return placed(array, self._spacing, self._origin, self._direction)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes .mha, .nrrd, .nii, .nii.gz, .tif or .tiff: the whole file, or nothing.

        The file holds numbers of the array's type: float32, or integers of 8, 16 or 32 bits, booleans as 0 and 1. TIFF
        keeps no spacing between slices, no origin and no direction. Errors: input (another type, not in C order, the
        path, a full disk).
        """
        _kiban.write_image(os.fspath(path), host_array(self._array), self._spacing, self._origin, self._direction)

    def preview(self, *, black: float | None = None, white: float | None = None) -> Picture:
        """A picture of three orthogonal slices through the centre, at one scale in mm; y is up.

        black, white   the values shown so; otherwise the 0.5 % and the 99.5 % quantile

        Other types than float32 are converted for it.
        """
        values = numpy.ascontiguousarray(host_array(self._array), numpy.float32)
        with tempfile.TemporaryDirectory(prefix="kiban-") as folder:
            path = os.path.join(folder, "preview.png")
            _kiban.write_preview(path, values, self._spacing, self._origin, self._direction, black, white)
            with open(path, "rb") as file:
                return Picture(file.read())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> numpy.ndarray:
        array = host_array(self._array)
        converts = dtype is not None and array.dtype != dtype
        if converts and copy is False:
            raise ValueError(f"a volume of {array.dtype} is not one of {numpy.dtype(dtype)} without a copy")
        if converts or copy:
            return array.astype(array.dtype if dtype is None else dtype, copy=True)
        return array

    def __dlpack__(self, **how: Any) -> Any:
        return self._array.__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._array.__cuda_array_interface__

    def __reduce__(self) -> tuple[Any, ...]:
        return placed, (*place(self), None if self._report is None else str(self._report))

    def __repr__(self) -> str:
        z, y, x = self.shape
        turned = "" if self._direction == _IDENTITY else f", direction {self.direction.round(6).tolist()}"
        return (
            f"<kiban.Volume {self.dtype} [z {z}, y {y}, x {x}], spacing {_listed(self._spacing)} mm, "
            f"origin {_listed(self._origin)} mm{turned}>"
        )


class Picture:
    """A PNG, which a notebook shows."""

    __slots__ = ("png",)

    def __init__(self, png: bytes):
        self.png = png

    def _repr_png_(self) -> bytes:
        return self.png

    def write(self, path: str | os.PathLike[str]) -> None:
        with open(path, "wb") as file:
            file.write(self.png)

    def __repr__(self) -> str:
        return f"<kiban.Picture, a PNG of {len(self.png)} bytes>"


def read(path: str | os.PathLike[str], *, labels: bool = False, keep_type: bool = False) -> Volume:
    """A volume or a projection stack from a file: .mha, .mhd, .nrrd, .nhdr, .nii, .nii.gz, .tif, a folder of .tif.

    labels      False: values become float32. True: they are whole numbers from 0 on, and become uint8, uint16 or
                uint32, whichever is as wide as the file's
    keep_type   integers of up to 32 bits stay what they are in the file

    Errors: input (missing, broken, not one number a voxel, axes not at right angles; a value that is no label).
    """
    numbers = "labels" if labels else "kept" if keep_type else "float32"
    return placed(*_kiban.read_image(os.fspath(path), numbers))


def placed(
    array: Any, spacing_mm: Three, origin_mm: Three, direction: tuple[float, ...], report: object = None
) -> Volume:
    """A volume of an array and a place that are known to be right: what the extension returned, or another volume's.

    report   None, or what str() makes JSON
    """
    volume = object.__new__(Volume)
    volume._array = array
    volume._spacing = spacing_mm
    volume._origin = origin_mm
    volume._direction = direction
    volume._report = report
    return volume


def place(volume: Volume) -> Place:
    """(array, spacing, origin, direction), as the extension takes them."""
    return volume._array, volume._spacing, volume._origin, volume._direction


def place_of(affine: Any, to_mm: float = 1.0) -> tuple[Any, Any, Any]:
    """(spacing, origin, direction) in LPS of an affine in RAS whose unit is `to_mm` mm."""
    matrix = numpy.asarray(affine, float)
    if matrix.shape != (4, 4) or not numpy.isfinite(matrix).all() or matrix[3].tolist() != [0, 0, 0, 1]:
        raise Error("an affine must be a finite matrix of 4 x 4 whose last row is 0 0 0 1", ErrorCode.input)
    matrix = _RAS_FROM_LPS @ matrix
    steps = matrix[:3, :3] * to_mm
    spacing = numpy.linalg.norm(steps, axis=0)
    if not spacing.all():
        raise Error("an affine must move along every axis, and one of its columns is 0", ErrorCode.input)
    direction = steps / spacing
    if _skew(direction) > _DIRECTION_TOLERANCE:
        raise Error(
            f"the affine has shear: its axes are {_skew(direction):.3g} from right angles; resample to a grid without, "
            "or place the array by another matrix, as a NIfTI's qform",
            ErrorCode.input,
        )
    return spacing.tolist(), (matrix[:3, 3] * to_mm).tolist(), direction


def host_array(array: Any) -> numpy.ndarray:
    """The same memory as a NumPy array. Errors: input (it lies on a GPU)."""
    if isinstance(array, numpy.ndarray):
        return array
    if hasattr(array, "__cuda_array_interface__") or array.__dlpack_device__()[0] not in _HOST_DEVICES:
        raise Error("this array lies on a GPU; bring it to the host first: .get(), .cpu() or .numpy()", ErrorCode.input)
    return numpy.from_dlpack(array)


def require_three_axes(array: Any, what: str) -> None:
    """Errors: input (not an array, not [z,y,x] of numbers)."""
    is_array = isinstance(array, numpy.ndarray)
    if not is_array and not hasattr(array, "__dlpack__") and not hasattr(array, "__cuda_array_interface__"):
        raise Error(
            f"{what} takes an array, and this is of type {type(array).__name__}; numpy.asarray makes one of lists",
            ErrorCode.input,
        )
    if len(array.shape) != 3:
        raise Error(
            f"{what} has three axes [z,y,x], and this array has {len(array.shape)}: {tuple(array.shape)}; add an axis "
            "(array[numpy.newaxis]) or take a part (array[0])",
            ErrorCode.input,
        )
    if is_array and array.dtype.kind not in "biufc":
        raise Error(f"{what} holds one number a voxel, and this array holds {array.dtype}; take one of its fields",
                    ErrorCode.input)


def _skew(direction: numpy.ndarray) -> float:
    return float(numpy.abs(direction.T @ direction - numpy.eye(3)).max())


def _three(given: Any, name: str) -> Three:
    try:
        x, y, z = (float(number) for number in given)
    except (TypeError, ValueError):
        x = math.nan
    if not math.isfinite(x) or not math.isfinite(y) or not math.isfinite(z):
        raise Error(f"{name} is {_line(given)}, but must be 3 finite numbers: x, y, z", ErrorCode.input)
    return x, y, z


def _spacing(given: Any) -> Three:
    spacing = _three((given,) * 3 if numpy.ndim(given) == 0 else given, "spacing_mm")
    if min(spacing) <= 0:
        raise Error(f"spacing_mm is {_line(given)}, but must be above 0", ErrorCode.input)
    return spacing


def _direction(given: Any) -> tuple[float, ...]:
    try:
        matrix = numpy.array(given, float).reshape(3, 3)
    except (TypeError, ValueError):
        raise Error(f"direction is {_line(given)}, but must be a matrix of 3 x 3", ErrorCode.input) from None
    if not _skew(matrix) <= _DIRECTION_TOLERANCE:  # false for NaN
        raise Error(f"direction is {matrix.tolist()}, but its columns must be at right angles and of length 1",
                    ErrorCode.input)
    return tuple(matrix.ravel().tolist())


def _line(given: Any) -> str:
    return " ".join(repr(given).split())


def _listed(numbers: Three) -> str:
    return "(" + ", ".join(f"{number:.6g}" for number in numbers) + ")"
