"""What the functions of the operations take."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Union

import numpy

from ._kiban import Geometry
from ._volume import Volume


class DLPackArray(Protocol):
    """An array of torch, CuPy, JAX, ..."""

    def __dlpack__(self, *, stream: Any = None) -> Any: ...

    def __dlpack_device__(self) -> tuple[Any, int]: ...


class CudaArray(Protocol):
    """An array on a GPU."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


Path = Union[str, os.PathLike[str]]
VolumeLike = Union[Volume, numpy.ndarray, DLPackArray, CudaArray, Path]
LogitsLike = Union[numpy.ndarray, DLPackArray, CudaArray, Path]
GeometryLike = Union[Geometry, Path]
ScanLike = Union[Mapping[str, Any], Path]
PairsLike = Union[Mapping[str, Sequence[Any]], Path]
Filled = Union[Volume, numpy.ndarray, DLPackArray, CudaArray]
Integers3 = Union[int, Sequence[int]]
Reals3 = Union[float, Sequence[float]]
Report = dict[str, Any]
Progress = Callable[[str, float], object]
