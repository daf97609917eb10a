"""Kiban: reconstruction and processing of medical images, on the CPU or on a GPU.

    import kiban

    projections, geometry = kiban.ct.simulate(phantom="shepp-logan", views=180)
    head = kiban.ct.fdk(projections, geometry, size=128, spacing_mm=2)
    head.write("head.nii.gz")

Every operation of the `kiban` command is a function here, with the same names and defaults, on arrays; `kiban.run` is
the command itself, on files; `kiban.Queue` has other processes run them. Research use, not for diagnosis.
"""

from ._error import Error, ErrorCode
from ._job import Job
from ._kiban import devices, version
from ._operations import make_modules, operations, run
from ._queue import Queue
from ._volume import Picture, Volume, read

__version__ = version()
__all__ = ["Error", "ErrorCode", "Job", "Picture", "Queue", "Volume", "devices", "operations", "read", "run",
           *make_modules()]

del make_modules, version
