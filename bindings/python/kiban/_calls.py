"""What every generated function does: arguments to the extension's, the call, results to Python's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy

from . import _kiban
from ._declarations import operations
from ._error import Error, ErrorCode
from ._volume import Volume, place, placed

_run = _kiban.run


def call(
    operation: str, parameters: dict[str, Any], ports: dict[str, Any], results: list[str], device: str, threads: int,
    progress: Callable[[str, float], object] | None,
) -> list[Any]:
    """Runs an operation on arrays; the results in the order of their names."""
    try:
        outputs, report = _run(operation, parameters, ports, device, threads, progress)
    except Error as error:
        raise in_python(operation, error) from None
    return [_result(outputs[name], report) for name in results]


def image_argument(given: Any, name: str) -> Any:
    """A volume with its place, a bare array, or a path."""
    if isinstance(given, Volume):
        return place(given)
    if isinstance(given, numpy.ndarray):
        return given
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    if hasattr(given, "__dlpack__") or hasattr(given, "__cuda_array_interface__"):
        return given
    raise _not_taken(name, given, "a kiban.Volume, an array or a path" + _conversion(given))


def geometry_argument(given: Any, name: str) -> Any:
    """A geometry, or a path."""
    if isinstance(given, _kiban.Geometry):
        return given
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    raise _not_taken(name, given, "a kiban.ct.Geometry or a path")


def scan_argument(given: Any, name: str) -> Any:
    """A dict of counts, flats, and where there are any darks and angles_deg; or a path."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    raise _not_taken(name, given, "a dict of counts, flats, darks and angles_deg, or a path")


def path_argument(given: Any, name: str) -> str:
    """Errors: usage (not a path)."""
    try:
        return os.fsdecode(given)
    except TypeError:
        raise _not_taken(name, given, "a path") from None


def pairs_argument(given: Any, name: str) -> Any:
    """Reads and haplotypes of one region; or a path.

    A read is its bases (str or bytes), and its base, insertion, deletion and gap-continuation qualities (a number, or one
    a base); a haplotype is its bases.
    """
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    if not isinstance(given, Mapping) or set(given) != {"reads", "haplotypes"}:
        raise _not_taken(name, given, "a dict of reads and haplotypes, or a path")
    reads = _listed(given["reads"], f"{name}: reads")
    haplotypes = [_letters(bases, f"{name}: haplotype {at}")
                  for at, bases in enumerate(_listed(given["haplotypes"], f"{name}: haplotypes"))]
    columns: list[list[numpy.ndarray]] = [[], [], [], [], []]
    for at, read in enumerate(reads):
        if isinstance(read, (str, bytes)) or len(_listed(read, f"{name}: read {at}")) != len(columns):
            raise Error(f"{name}: read {at} is not its bases and four kinds of qualities", ErrorCode.usage)
        bases = _letters(read[0], f"{name}: read {at}")
        columns[0].append(bases)
        for kind, qualities in enumerate(read[1:], start=1):
            columns[kind].append(_qualities(qualities, len(bases), f"{name}: read {at}"))
    kinds = ("bases", "base_quality", "insertion_quality", "deletion_quality", "gap_quality")
    arrays = {kind: _joined(column) for kind, column in zip(kinds, columns)}
    return arrays | {
        "haplotype_bases": _joined(haplotypes), "read_begin": _begins(columns[0]), "haplotype_begin": _begins(haplotypes),
        "reads_begin": numpy.array([0, len(reads)], numpy.int64),
        "haplotypes_begin": numpy.array([0, len(haplotypes)], numpy.int64),
    }


def _listed(given: Any, where: str) -> list[Any]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise Error(f"{where} must be a list, not {type(given).__name__}", ErrorCode.usage)
    return list(given)


def _letters(bases: Any, where: str) -> numpy.ndarray:
    try:
        return numpy.frombuffer(bases.encode("ascii") if isinstance(bases, str) else bases, numpy.uint8)
    except (TypeError, ValueError, BufferError):
        raise Error(f"{where}: bases are ASCII text, a str or bytes", ErrorCode.usage) from None


def _qualities(given: Any, count: int, where: str) -> numpy.ndarray:
    """One a base; a number stands for all of them."""
    values = numpy.frombuffer(given, numpy.uint8) if isinstance(given, bytes) else numpy.asarray(given)
    if values.ndim == 0:
        values = numpy.full(count, values)
    known = values.shape == (count,) and (count == 0 or values.dtype.kind in "iu")
    if not known or (count and not 0 <= values.min() <= values.max() <= 254):
        raise Error(f"{where}: qualities are whole numbers from 0 to 254, one a base or one for all", ErrorCode.input)
    return values.astype(numpy.uint8)


def _joined(arrays: list[numpy.ndarray]) -> numpy.ndarray:
    return numpy.concatenate(arrays) if arrays else numpy.empty(0, numpy.uint8)


def _begins(arrays: list[numpy.ndarray]) -> numpy.ndarray:
    return numpy.cumsum([0, *map(len, arrays)], dtype=numpy.int64)


def converter(kind: str) -> Callable[[Any, str], Any]:
    """What makes of an input's argument that which the extension takes."""
    special = {"geometry": geometry_argument, "pairs": pairs_argument, "scan": scan_argument}
    special |= dict.fromkeys(("reads", "reference", "variants", "regions"), path_argument)
    return special.get(kind, image_argument)


def target_argument(given: Any, name: str) -> Any:
    """None for new memory, or an array that the result fills."""
    if given is None:
        return None
    if isinstance(given, Volume):
        given = given.array
    if isinstance(given, numpy.ndarray):
        return given
    if isinstance(given, (str, os.PathLike)):
        raise Error(f"{name} takes an array to be filled; kiban.run writes files", ErrorCode.usage)
    if _is_immutable(given):
        raise Error(f"{name} is to be filled and is read-only; give an array of your own", ErrorCode.input)
    return given


def in_python(operation: str, error: Error) -> Error:
    """The same error with names as Python has them."""
    return Error(operations()[operation].in_python(str(error)), error.code)


def _result(output: Any, report: Any) -> Any:
    if not isinstance(output, tuple):
        return output
    array, spacing, origin, direction = output
    return placed(array, spacing, origin, direction, report)


def _is_immutable(array: Any) -> bool:
    """JAX's arrays say so through their buffers; DLPack has long had no word for it."""
    try:
        return memoryview(array).readonly
    except (TypeError, BufferError):
        return False


def _not_taken(name: str, given: Any, wanted: str) -> Error:
    return Error(f"{name} is of type {type(given).__name__}, but must be {wanted}", ErrorCode.usage)


def _conversion(given: Any) -> str:
    """How to make a volume of other packages' images, and of lists."""
    package = type(given).__module__.partition(".")[0]
    if package in ("SimpleITK", "nibabel"):
        return f"; kiban.Volume.from_{'sitk' if package == 'SimpleITK' else 'nibabel'} makes one of it"
    return "; numpy.asarray makes an array of lists" if isinstance(given, (list, tuple)) else ""
