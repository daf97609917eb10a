"""Geometries, drawn: a short scan, and vectors as ASTRA has them."""

import sys

import matplotlib.pyplot as plt
import numpy

import kiban

views, picture = int(sys.argv[1]) if len(sys.argv) > 1 else 90, sys.argv[2] if len(sys.argv) > 2 else "geometries.png"

short_scan = kiban.ct.Geometry.circular(views=views, sid_mm=750, sdd_mm=1200, arc_deg=220)

# ASTRA's cone_vec: source, centre of the detector, u and v of one pixel; rotation about z. The source climbs here.
angles = numpy.linspace(0, 4 * numpy.pi, views, endpoint=False)
across, up = numpy.zeros_like(angles), numpy.linspace(-150, 150, views)
source = numpy.stack([750 * numpy.sin(angles), -750 * numpy.cos(angles), up], axis=1)
detector = numpy.stack([-450 * numpy.sin(angles), 450 * numpy.cos(angles), up], axis=1)
u = numpy.stack([1.5 * numpy.cos(angles), 1.5 * numpy.sin(angles), across], axis=1)
v = numpy.stack([across, across, across + 1.5], axis=1)
helix = kiban.ct.Geometry.from_astra(numpy.hstack([source, detector, u, v]), rows=120, columns=300)

figure = plt.figure(figsize=(10, 8.6), layout="constrained")
above, below = figure.subfigures(2, 1)
short_scan.plot(figure=above)
helix.plot(figure=below)
above.suptitle("a short scan")
below.suptitle("a helix, from ASTRA's vectors")
figure.savefig(picture, dpi=70)
