"""The modules of the fields, made from what the operations declare; and operations on files, by name."""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
import json
import linecache
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from . import _declarations
from ._calls import converter, in_python, path_argument
from ._error import Error, ErrorCode
from ._kiban import run as _run
from ._source import module_source


def operations() -> dict[str, dict[str, Any]]:
    """What every operation declares, by name: summary, notes, ports, parameters with types, units, defaults, ranges."""
    return {name: copy.deepcopy(known.declared) for name, known in _declarations.operations().items()}


def run(
    operation: str,
    /,
    *,
    device: str = "auto",
    threads: int = 0,
    progress: Callable[[str, float], object] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """Runs an operation on files, as `kiban run` does; returns its report: timings, device, findings, memory.

    given   ports (paths) and parameters, with '_' for '-':
            kiban.run("ct.fdk", projections="p.mha", geometry="g.xml", volume="out.nii.gz", size=256)

    Inputs may be arrays, too; outputs are files. Errors: those of the operation; usage (unknown names).
    """
    known = find(operation)
    values, bound = sorted_out(known, given, _argument)
    try:
        _, report = _run(operation, values, bound, device, threads, progress)
    except Error as error:
        raise in_python(operation, error) from None
    return json.loads(str(report))


def make_modules() -> list[str]:
    """Makes kiban.<field> for every field that has an operation; returns the fields.

    A field's module may be a file, for what is more than operations: it calls `define`.
    """
    fields = sorted({operation.field for operation in _declarations.operations().values()})
    for field in fields:
        name = f"{__package__}.{field}"
        if importlib.util.find_spec(name):
            importlib.import_module(name)
            continue
        module = types.ModuleType(name)
        module.__package__ = __package__
        sys.modules[name] = module
        setattr(sys.modules[__package__], field, module)
        define(vars(module))
    return fields


def define(module: dict[str, Any], by_hand: Iterable[str] = ()) -> None:
    """Defines the functions of a field's operations in its module; they and `by_hand` become its public names."""
    field = module["__name__"].removeprefix(f"{__package__}.")
    source = module_source(field, [known for known in _declarations.operations().values() if known.field == field])
    file = f"<{module['__name__']}, made from declarations>"
    # So that tracebacks and inspect.getsource show it.
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    documentation = module.get("__doc__")
    exec(compile(source, file, "exec"), module)
    module["__doc__"] = documentation or module["__doc__"]
    made = [name for name, value in module.items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module["__name__"]]
    names = sorted([*by_hand, *made])
    module.update(__all__=names, __dir__=functools.partial(list, names))


def find(name: str) -> _declarations.Operation:
    known = _declarations.operations()
    if name not in known:
        raise Error(f"there is no operation {name}{_nearest(name, list(known)) or '; kiban.operations() lists them'}",
                    ErrorCode.usage)
    return known[name]


def sorted_out(
    operation: _declarations.Operation, given: Mapping[str, Any], argument: Callable[[_declarations.Port, Any], Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was given, by Python's names, as (parameters, ports) by the declared ones.

    argument   what a port is bound to, of the port and what was given

    Errors: usage (an unknown name, a port that is missing); those of `argument`.
    """
    ports = {port.python: port for port in operation.ports}
    parameters = {parameter.python: parameter.name for parameter in operation.parameters}
    values: dict[str, Any] = {}
    bound: dict[str, Any] = {}
    for name, value in given.items():
        if name in ports:
            bound[ports[name].name] = argument(ports[name], value)
        elif name in parameters:
            values[parameters[name]] = value
        else:
            raise Error(f"{operation.name} has no port or parameter {name}{_nearest(name, [*ports, *parameters])}",
                        ErrorCode.usage)
    for port in ports.values():
        if port.required and port.name not in bound:
            raise Error(f"{port.python} must be given: {port.help}", ErrorCode.usage)
    return values, bound


def _argument(port: _declarations.Port, given: Any) -> Any:
    convert = converter(port.kind) if port.is_input else path_argument
    return convert(given, port.python)


def _nearest(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""
