"""The `kiban` command that the package carries."""

import os
import sys
from importlib import resources


def main():
    """Becomes bin/kiban of this package: same arguments, same exit code, same signals."""
    command = str(resources.files(__package__) / "bin" / "kiban")
    os.execv(command, [command, *sys.argv[1:]])
