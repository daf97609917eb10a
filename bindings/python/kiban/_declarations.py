"""What the operations declare, and how Python says it: the one description that the `kiban` command reads too."""

from __future__ import annotations

import functools
import json
import keyword
import re
from dataclasses import dataclass
from typing import Any

from . import _kiban

RUN_OPTIONS = ("device", "threads", "progress")
QUEUE_OPTIONS = ("priority", "key", "after", "timeout_s", "submitter", "tags")

_PORT_TYPES = {"volume": "VolumeLike", "projections": "VolumeLike", "image": "VolumeLike", "labels": "VolumeLike",
               "logits": "LogitsLike",
               "geometry": "GeometryLike", "scan": "ScanLike",
               "pairs": "PairsLike", "reads": "Path", "reference": "Path", "variants": "Path", "regions": "Path"}
_PORT_WORDS = {
    "volume": "Volume, array [z,y,x], or path",
    "projections": "Volume, array [view,row,column], or path",
    "image": "Volume or array [z,y,x] of float32 or integers of up to 32 bits, or path",
    "labels": "Volume or array [z,y,x] of uint8, uint16 or uint32, or path",
    "logits": "array [class,z,y,x] of float32, or path",
    "geometry": "Geometry, or path",
    "scan": "dict of counts, flats, darks, angles_deg (arrays), or path",
    "pairs": "dict of reads and haplotypes, or path",
    "reads": "path",
    "reference": "path",
    "variants": "path",
    "regions": "path",
}
_RESULT_TYPES = {"volume": "Volume", "projections": "Volume", "labels": "Volume", "image": "Volume",
                 "geometry": "Geometry",
                 "likelihoods": "numpy.ndarray", "report": "Report"}
_PARAMETER_TYPES = {
    "integer": "int",
    "real": "float",
    "flag": "bool",
    "text": "str",
    "integers3": "Integers3",
    "reals3": "Reals3",
}
_PARAMETER_WORDS = {
    "integer": "int",
    "real": "float",
    "flag": "bool",
    "text": "str",
    "integers3": "int, or three: x, y, z",
    "reals3": "float, or three: x, y, z",
}


def python_name(name: str) -> str:
    name = name.replace("-", "_")
    return name + "_" if keyword.iskeyword(name) or name in RUN_OPTIONS + QUEUE_OPTIONS else name


@dataclass(frozen=True)
class Port:
    """A port of an operation; `name` is as declared, `python` as Python writes it."""

    name: str
    python: str
    kind: str
    is_input: bool
    required: bool
    help: str

    @property
    def type(self) -> str:
        return _PORT_TYPES[self.kind]

    @property
    def words(self) -> str:
        return _PORT_WORDS[self.kind]

    @property
    def result_type(self) -> str:
        return _RESULT_TYPES[self.kind]

    @property
    def is_written(self) -> bool:
        """A result that is a file whatever it comes from: too large for memory, and others read it."""
        return not self.is_input and self.kind == "variants"

    @property
    def can_be_filled(self) -> bool:
        return not self.is_input and self.kind in ("volume", "projections", "labels", "image")


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation; `name` is as declared, `python` as Python writes it."""

    name: str
    python: str
    declared: dict[str, Any]

    @property
    def required(self) -> bool:
        return self.declared["required"]

    @property
    def type(self) -> str:
        if self.declared["type"] == "choice":
            return "Literal[" + ", ".join(map(repr, self.choices)) + "]"
        return _PARAMETER_TYPES[self.declared["type"]]

    @property
    def words(self) -> str:
        if self.declared["type"] == "choice":
            return "{" + ", ".join(map(repr, self.choices)) + "}"
        return _PARAMETER_WORDS[self.declared["type"]]

    @property
    def default(self) -> Any:
        """None where the declaration has none."""
        value = self.declared.get("default")
        if self.declared["type"] == "choice" and value is not None:
            return self.choices[self.declared["choices"].index(value)]
        return tuple(value) if isinstance(value, list) else value

    @property
    def choices(self) -> list[Any]:
        """Choices that are whole numbers are numbers in Python."""
        choices = self.declared["choices"]
        return [int(choice) for choice in choices] if all(choice.isdecimal() for choice in choices) else choices

    @property
    def allowed(self) -> str:
        """ "1 to 100", "above 0", or "" where every number is allowed; without the unit."""
        low, above = self.declared.get("minimum"), self.declared.get("exclusiveMinimum")
        high = self.declared.get("maximum")
        if low is not None:
            return f"at least {_number(low)}" if high is None else f"{_number(low)} to {_number(high)}"
        if above is not None:
            return f"above {_number(above)}" + ("" if high is None else f" and at most {_number(high)}")
        return "" if high is None else f"at most {_number(high)}"

    @property
    def otherwise(self) -> str:
        return self.declared.get("otherwise", "")


@dataclass(frozen=True)
class Operation:
    """An operation as declared: `field`.`verb`."""

    name: str
    declared: dict[str, Any]
    ports: tuple[Port, ...]
    parameters: tuple[Parameter, ...]

    @property
    def field(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def function(self) -> str:
        return python_name(self.name.rpartition(".")[2])

    @property
    def result(self) -> str:
        """Name of the tuple's type, where several things are returned."""
        return "".join(word.capitalize() for word in re.split(r"[-_]", self.name.rpartition(".")[2])) + "Result"

    @property
    def inputs(self) -> list[Port]:
        return [port for port in self.ports if port.is_input]

    @property
    def results(self) -> list[Port]:
        """What the function returns: every output but pictures, and optional arrays, which cost memory."""
        return [port for port in self.ports if not port.is_input and port.kind in _RESULT_TYPES
                and (port.required or port.kind in ("geometry", "report"))]

    @property
    def arguments(self) -> list[Parameter]:
        """The parameters that the function has: all but those of pictures, which Volume.preview makes."""
        pictures = tuple(port.name + "-" for port in self.ports if port.kind == "preview")
        return [parameter for parameter in self.parameters if not parameter.name.startswith(pictures)]

    def in_python(self, sentence: str) -> str:
        """The sentence with the names of ports, parameters and options as Python has them."""
        return _names_in_sentences(self.name).sub(_in_python, sentence)


@functools.cache
def operations() -> dict[str, Operation]:
    """By name, in the order of the registry."""
    return {declared["name"]: _operation(declared) for declared in json.loads(_kiban.declarations())}


def _operation(declared: dict[str, Any]) -> Operation:
    ports = tuple(
        Port(port["name"], python_name(port["name"]), port["kind"], port["direction"] == "in", port["required"],
             port["help"])
        for port in declared["ports"]
    )
    parameters = tuple(
        Parameter(parameter["name"], python_name(parameter["name"]), parameter) for parameter in declared["parameters"]
    )
    return Operation(declared["name"], declared, ports, parameters)


@functools.cache
def _names_in_sentences(operation: str) -> re.Pattern[str]:
    known = operations()[operation]
    names = sorted((named.name for named in known.ports + known.parameters), key=len, reverse=True)
    hyphened = "|".join(re.escape(name) for name in names if "-" in name)
    every = "|".join(map(re.escape, names))
    # Not within a path or a quoted value.
    before, after = r"(?<![\w./'\"-])", r"(?![\w/'\"-]|\.\w)"
    return re.compile(
        rf"{before}--(?P<option>device|threads) (?P<value>[\w:]+)"
        rf"|{before}--(?P<name>device|threads|{every}){after}"
        + (rf"|{before}(?P<bare>{hyphened}){after}" if hyphened else r"(?P<bare>(?!))")
    )


def _in_python(match: re.Match[str]) -> str:
    if match["option"]:
        return f"{match['option']}={match['value'] if match['option'] == 'threads' else repr(match['value'])}"
    name = match["name"] or match["bare"]
    return name if name in RUN_OPTIONS else python_name(name)


def _number(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number:g}"
