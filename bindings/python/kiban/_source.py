"""Python source from declarations: one function an operation, one module a field; and its stubs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from ._calls import converter
from ._declarations import Operation, Parameter, Port

_WIDTH = 116
_MODULE = '''"""{field}: {names}. Made from what the operations declare."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy

from kiban._calls import (
    call, geometry_argument, image_argument, pairs_argument, path_argument, scan_argument, target_argument,
)
from kiban._types import Filled, GeometryLike, Integers3, LogitsLike, PairsLike, Path, Progress, Reals3, Report, ScanLike, VolumeLike
from kiban._kiban import Geometry
from kiban._volume import Volume
'''
_RUN_OPTIONS = {
    "device": ("str", '"auto"', "Where to compute: auto (the first CUDA device, else the CPU), cpu, or cuda:N."),
    "threads": ("int", "0", "Threads of the CPU; 0 takes every core that this process may use."),
    "progress": (
        "Progress | None",
        "None",
        "Called now and then with the stage and the fraction that is done, 0 to 1; an exception that it raises stops "
        "the run.",
    ),
}


def module_source(field: str, operations: Iterable[Operation]) -> str:
    """A module that defines the functions of a field."""
    operations = list(operations)
    head = _MODULE.format(field=field, names=", ".join(operation.function for operation in operations))
    return "\n\n".join([head] + [_result_class(operation) + _function(operation) for operation in operations])


def stub_source(operations: Iterable[Operation]) -> str:
    """The same as a stub: signatures and docstrings."""
    parts = []
    for operation in operations:
        signature = _signature(operation, literals=True)
        parts.append(f"{_result_class(operation)}{signature}\n{_docstring(operation)}    ...\n")
    return "\n".join(parts)


def _result_class(operation: Operation) -> str:
    if len(operation.results) < 2:
        return ""
    fields = "".join(f"    {port.python}: {port.result_type}\n" for port in operation.results)
    return f'class {operation.result}(NamedTuple):\n    """What {operation.name} returns."""\n\n{fields}\n\n'


def _default_name(operation: Operation, parameter: Parameter) -> str:
    return f"_{operation.function}_{parameter.python}"


def _has_named_default(parameter: Parameter) -> bool:
    return parameter.default is not None and not isinstance(parameter.default, bool)


def _function(operation: Operation) -> str:
    """A value that is the very object of the default was not given: a run that only takes it when it is not the
    default can tell the two apart, and comparing objects costs next to nothing, whatever was given."""
    defaults = "".join(
        f"{_default_name(operation, parameter)} = {parameter.default!r}\n"
        for parameter in operation.arguments
        if _has_named_default(parameter)
    )
    return f"{defaults}\n\n{_signature(operation, literals=False)}\n{_docstring(operation)}{_body(operation)}"


def _return_type(operation: Operation) -> str:
    results = operation.results
    return "None" if not results else results[0].result_type if len(results) == 1 else operation.result


def _signature(operation: Operation, literals: bool) -> str:
    def optional(name: str, type_name: str) -> str:
        return f"{name}: {type_name} | None = None"

    def argument(parameter: Parameter) -> str:
        if parameter.required:
            return f"{parameter.python}: {parameter.type}"
        if parameter.default is None:
            return optional(parameter.python, parameter.type)
        named = _has_named_default(parameter) and not literals
        return f"{parameter.python}: {parameter.type} = " + (
            _default_name(operation, parameter) if named else repr(parameter.default)
        )

    positional = [f"{port.python}: {port.type}" for port in operation.ports
                  if port.required and (port.is_input or port.is_written)]
    keywords = [optional(port.python, port.type) for port in operation.inputs if not port.required]
    keywords += [argument(parameter) for parameter in operation.arguments]
    keywords += [optional(port.python, "Filled") for port in operation.ports if port.can_be_filled]
    keywords += [f"{name}: {kind} = {default}" for name, (kind, default, _) in _RUN_OPTIONS.items()]
    arguments = "".join(f"    {argument},\n" for argument in [*positional, "*", *keywords])
    return f"def {operation.function}(\n{arguments}) -> {_return_type(operation)}:"


def _body(operation: Operation) -> str:
    lines = ["ports = {"]
    for port in operation.ports:
        if port.is_input and port.required:
            lines.append(f"    {port.name!r}: {_converted(port)},")
        elif port.is_written:
            lines.append(f"    {port.name!r}: path_argument({port.python}, {port.python!r}),")
        elif port in operation.results:
            target = f"target_argument({port.python}, {port.python!r})" if port.can_be_filled else "None"
            lines.append(f"    {port.name!r}: {target},")
    lines.append("}")
    for port in operation.ports:
        if port.is_input and not port.required:
            lines += [f"if {port.python} is not None:", f"    ports[{port.name!r}] = {_converted(port)}"]
        elif port.can_be_filled and port not in operation.results:
            lines += [f"if {port.python} is not None:",
                      f"    ports[{port.name!r}] = target_argument({port.python}, {port.python!r})"]
    lines.append("parameters = {}")
    for parameter in operation.arguments:
        given = f"parameters[{parameter.name!r}] = {parameter.python}"
        if parameter.required:
            lines.append(given)
        else:
            default = _default_name(operation, parameter) if _has_named_default(parameter) else repr(parameter.default)
            lines += [f"if {parameter.python} is not {default}:", f"    {given}"]
    results = [port.name for port in operation.results]
    called = f"call({operation.name!r}, parameters, ports, {results!r}, device, threads, progress)"
    if len(results) == 1:
        lines.append(f"return {called}[0]")
    else:
        lines.append(f"return {operation.result}._make({called})" if results else called)
    return textwrap.indent("\n".join(lines) + "\n", "    ")


def _converted(port: Port) -> str:
    return f"{converter(port.kind).__name__}({port.python}, {port.python!r})"


def _docstring(operation: Operation) -> str:
    sections = [f"{operation.declared['summary']}.", _parameters_section(operation)]
    if operation.results:
        sections.append(_section("Returns", [(_returned(port), _sentence(operation, port.help))
                                             for port in operation.results]))
    notes = [operation.in_python(note) for note in operation.declared["notes"]]
    notes.append(f"Operation {operation.name}, version {operation.declared['version']}. Raises kiban.Error.")
    sections.append("Notes\n-----\n" + "\n".join(_wrapped(note, "- ", "  ") for note in notes))
    text = "\n\n".join(sections).replace("\\", "\\\\").replace('"""', r"\"\"\"")
    return textwrap.indent(f'"""{text}\n"""\n', "    ", lambda line: bool(line.strip()))


def _returned(port: Port) -> str:
    return f"{port.python} : {port.result_type}"


def _parameters_section(operation: Operation) -> str:
    entries = []
    files = [port for port in operation.ports if port.is_written]
    for port in sorted(operation.inputs + files, key=lambda port: not port.required):
        suffix = "" if port.required else ", optional"
        entries.append((f"{port.python} : {port.words}{suffix}", _sentence(operation, port.help)))
    for parameter in operation.arguments:
        entries.append((f"{parameter.python} : {parameter.words}", _sentence(operation, _facts(parameter))))
    for port in operation.ports:
        if port.can_be_filled:
            entries.append((f"{port.python} : float32 array in C order, optional",
                            "To be filled with the result instead of new memory."))
    for name, (kind, default, text) in _RUN_OPTIONS.items():
        shown = "callable, optional" if name == "progress" else f"{kind}, default {default}"
        entries.append((f"{name} : {shown}", text))
    return _section("Parameters", entries)


def _facts(parameter: Parameter) -> str:
    unit = parameter.declared.get("unit", "")
    facts = [f"in {unit}"] if unit else []
    if parameter.required:
        facts.append("required")
    elif parameter.default is not None:
        facts.append(f"default {parameter.default!r}")
    else:
        facts.append(f"default: {parameter.otherwise}")
    if parameter.allowed:
        facts.append(parameter.allowed)
    return f"{parameter.declared['help']} ({'; '.join(facts)})"


def _sentence(operation: Operation, text: str) -> str:
    text = operation.in_python(text)
    return text if text.endswith(".") else text + "."


def _section(title: str, entries: Iterable[tuple[str, str]]) -> str:
    body = "\n".join(f"{head}\n{_wrapped(text, '    ', '    ')}" for head, text in entries)
    return f"{title}\n{'-' * len(title)}\n{body}"


def _wrapped(text: str, first: str, other: str) -> str:
    return textwrap.fill(text, _WIDTH - 4, initial_indent=first, subsequent_indent=other, break_on_hyphens=False,
                         break_long_words=False)
