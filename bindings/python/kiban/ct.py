"""Computed tomography: simulation, geometries, reconstruction."""

from ._kiban import Geometry
from ._plot import plot

Geometry.plot = plot

__all__ = ["Geometry"]
