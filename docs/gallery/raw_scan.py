"""A raw scan with parallel rays: counts, flats and darks become a volume, and the rotation axis is found.

python raw_scan.py [SIZE [PICTURE [SCAN]]]: SCAN is a Data Exchange file; without one, counts are simulated.
"""

import sys

import matplotlib.pyplot as plt
import numpy

import kiban

size, picture = int(sys.argv[1]) if len(sys.argv) > 1 else 256, sys.argv[2] if len(sys.argv) > 2 else "raw_scan.png"


def simulated(columns, offset=7.25, photons=2e4):
    """What a detector that is off by some pixels counts behind the phantom."""
    pixel = 400 / columns
    lines, _ = kiban.ct.simulate(
        phantom="shepp-logan", sdd_mm=0, arc_deg=180, views=columns, columns=columns, rows=3, pixel_mm=pixel,
        projection_offset_x_mm=-offset * pixel,
    )
    random = numpy.random.default_rng(0)
    beam = photons * (0.9 + 0.2 * random.random((1, *lines.shape[1:])))  # no two pixels count alike
    return {
        "counts": (random.poisson(beam * numpy.exp(-lines.array)) + 100).astype(numpy.float32),
        "flats": (random.poisson(beam, (10, *lines.shape[1:])) + 100).astype(numpy.float32),
        "darks": numpy.full((10, *lines.shape[1:]), 100, numpy.float32),
        "angles_deg": numpy.linspace(0, 180, columns, endpoint=False),
    }


if len(sys.argv) > 3:
    scan, shown = sys.argv[3], None
else:
    scan = simulated(size)
    shown = scan["counts"]
volume = kiban.ct.fbp(scan, window="shepp-logan")
centre = volume.report["findings"]["centre"]["value"]
print(f"the rotation axis projects on column {centre:.2f}")

figure, axes = plt.subplots(1, 2 if shown is not None else 1, figsize=(9, 4.4), layout="constrained", squeeze=False)
if shown is not None:
    axes[0, 0].imshow(shown[:, 1], cmap="gray", aspect="auto")
    axes[0, 0].axvline(centre, color="tab:orange", linewidth=1, label=f"centre of rotation: {centre:.2f}")
    axes[0, 0].set(title="counts of one row", xlabel="column", ylabel="view")
    axes[0, 0].legend(loc="lower right")
middle = volume.array[:, volume.shape[1] // 2]
black, white = numpy.quantile(middle, [0.02, 0.995])
axes[0, -1].imshow(middle, cmap="gray", vmin=black, vmax=white)
axes[0, -1].set(title=f"reconstructed about column {centre:.2f}", xticks=[], yticks=[])
figure.savefig(picture, dpi=70)
