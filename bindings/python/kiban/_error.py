"""The one exception of Kiban."""

import enum


class ErrorCode(enum.IntEnum):
    """What kind of thing went wrong; the number is the exit status of the `kiban` command."""

    internal = 1
    """A fault of ours, or of the machine."""
    usage = 2
    """The request makes no sense: unknown name, value out of range."""
    input = 3
    """A file or an array is not what it should be, or a result cannot be written."""
    device = 4
    """The device is missing, or too small, or failed."""


class Error(Exception):
    """One sentence: what is wrong, where, and what to do. `code` is an ErrorCode."""

    def __init__(self, sentence: str, code: int = ErrorCode.internal):
        super().__init__(sentence, code)
        self.code = ErrorCode(code)

    def __str__(self) -> str:
        return str(self.args[0])
