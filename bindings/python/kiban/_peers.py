"""Volumes from and to the images of SimpleITK and nibabel."""

from __future__ import annotations

from typing import Any

import numpy

from ._error import Error, ErrorCode
from ._volume import Volume, host_array, place_of

_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_SCANNER = 1  # NIfTI's code for coordinates of the scanner or the patient


class _Buffer:
    """Memory that NumPy may look at for as long as it keeps this object."""

    def __init__(self, view: numpy.ndarray, owner: Any):
        self.__array_interface__ = view.__array_interface__
        self._owner = owner


def from_sitk(cls: type[Volume], image: Any) -> Volume:
    import SimpleITK

    if image.GetDimension() != 3:
        raise Error(
            f"a volume has three axes, and this image has {image.GetDimension()}; SimpleITK.JoinSeries adds one, "
            "SimpleITK.Extract takes a part",
            ErrorCode.input,
        )
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise Error(
            f"a volume holds one number a voxel, and this image {image.GetNumberOfComponentsPerPixel()}; "
            "SimpleITK.VectorIndexSelectionCast takes one",
            ErrorCode.input,
        )
    view = SimpleITK.GetArrayViewFromImage(image)
    # The view does not keep the pixels alive. A second handle does, and has SimpleITK copy them before it changes any.
    array = numpy.asarray(_Buffer(view, SimpleITK.Image(image)))
    return cls(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def to_sitk(volume: Volume) -> Any:
    import SimpleITK

    array = host_array(volume.array)
    try:
        image = SimpleITK.GetImageFromArray(array, isVector=False)
    except TypeError:
        raise _no_such_type("SimpleITK", array) from None
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction.ravel().tolist())
    return image


def from_nibabel(cls: type[Volume], image: Any) -> Volume:
    if len(image.shape) != 3:
        raise Error(
            f"a volume has three axes, and this image has {len(image.shape)}: {tuple(image.shape)}; "
            "image.slicer[..., 0] takes a part",
            ErrorCode.input,
        )
    if image.affine is None:
        raise Error("this image has no affine; make a kiban.Volume of its array and say where it lies", ErrorCode.input)
    units = getattr(image.header, "get_xyzt_units", None)
    spacing, origin, direction = place_of(image.affine, _MILLIMETRES[units()[0]] if units else 1.0)
    return cls(numpy.asanyarray(image.dataobj).T, spacing, origin, direction)


def to_nibabel(volume: Volume) -> Any:
    import nibabel

    array = host_array(volume.array)
    try:
        image = nibabel.Nifti1Image(array.T, volume.affine, dtype=array.dtype)
    except nibabel.spatialimages.HeaderDataError:
        raise _no_such_type("NIfTI", array) from None
    # The header's single precision must not replace the image's own affine.
    image.set_sform(volume.affine, _SCANNER, update_affine=False)
    image.set_qform(volume.affine, _SCANNER, update_affine=False)
    image.header.set_xyzt_units("mm")
    return image


def _no_such_type(who: str, array: numpy.ndarray) -> Error:
    return Error(
        f"{who} has no {array.dtype}; convert first: volume.with_array(volume.array.astype(numpy.float32))",
        ErrorCode.input,
    )
