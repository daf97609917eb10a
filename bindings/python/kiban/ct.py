"""Computed tomography: simulation, geometries, reconstruction."""

from ._kiban import Geometry
from ._operations import define
from ._plot import plot

define(globals(), by_hand=["Geometry"])

Geometry.plot = plot
Geometry.circular = staticmethod(globals()["geometry"])
