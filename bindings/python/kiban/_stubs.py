"""Type stubs for editors and type checkers, made from what the operations declare: python -m kiban._stubs FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import kiban

from ._declarations import Operation, operations
from ._source import stub_source

_FIELD = """from typing import Literal, NamedTuple

import numpy

from ._types import Filled, GeometryLike, Integers3, LogitsLike, PairsLike, Path, Progress, Reals3, Report, ScanLike, VolumeLike
from ._volume import Volume
"""


def main(folder: Path) -> None:
    """Writes __init__.pyi, a stub for every field, and where nanobind is installed the extension's."""
    folder.mkdir(parents=True, exist_ok=True)
    fields: dict[str, list[Operation]] = {}
    for operation in operations().values():
        fields.setdefault(operation.field, []).append(operation)
    (folder / "__init__.pyi").write_text(_package(list(fields)), encoding="utf-8")
    for field, of_field in fields.items():
        (folder / f"{field}.pyi").write_text(_module(field, of_field), encoding="utf-8")
    _extension(folder / "_kiban.pyi")


def _package(fields: list[str]) -> str:
    lines = [f"from . import {field} as {field}" for field in fields]
    for name in vars(kiban)["__all__"]:
        if name not in fields:
            lines.append(f"from .{_home(getattr(kiban, name))} import {name} as {name}")
    return "\n".join([*lines, "", "__version__: str", ""])


def _module(field: str, of_field: list[Operation]) -> str:
    """Imports what is written by hand in the field's module, under the name that says that it may be imported there."""
    public = vars(getattr(kiban, field))
    by_hand = [name for name in public["__all__"] if public[name].__module__ != f"kiban.{field}"]
    imports = [f"from .{_home(public[name])} import {name} as {name}\n" for name in by_hand]
    if "Geometry" not in by_hand:
        imports.append("from ._kiban import Geometry\n")
    return f"{_FIELD}{''.join(imports)}\n{stub_source(of_field)}"


def _home(thing: object) -> str:
    return str(thing.__module__).removeprefix("kiban.")


def _extension(path: Path) -> None:
    try:
        from nanobind.stubgen import StubGen  # type: ignore[import-untyped]
    except ImportError:
        return
    stub = StubGen(kiban._kiban)
    stub.put(kiban._kiban)
    path.write_text(stub.get(), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m kiban._stubs FOLDER")
    main(Path(sys.argv[1]))
