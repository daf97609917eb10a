"""Few photons: what the window of the ramp filter does to noise and to edges."""

import sys

import matplotlib.pyplot as plt

import kiban

size, picture = int(sys.argv[1]) if len(sys.argv) > 1 else 160, sys.argv[2] if len(sys.argv) > 2 else "noise.png"

scan = dict(phantom="shepp-logan", views=2 * size, columns=size + size // 4, rows=size // 2, pixel_mm=400 / size)
spacing = 220 / size
corner = -spacing * (size - 1) / 2


def at(mm):
    """Index of a voxel along x or z."""
    return round((mm - corner) / spacing)


slice_at_29_mm = dict(size=(size, 1, size), spacing_mm=spacing, origin_mm=(corner, -29, corner))
figure, rows = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
for row, photons in zip(rows, (1e6, 3e4)):
    projections, geometry = kiban.ct.simulate(**scan, photons=photons)
    for axes, window in zip(row, ("ram-lak", "shepp-logan", "hann")):
        # A single slice, where the ventricles are; voxels are computed where they are asked for.
        head = kiban.ct.fdk(projections, geometry, **slice_at_29_mm, window=window)
        slice_ = head.array[:, 0, :]
        brain = slice_[at(25) : at(40), at(-62) : at(-46)]
        axes.imshow(slice_, cmap="gray", vmin=0.015, vmax=0.026)
        axes.set(title=f"{window}: noise {100 * brain.std() / brain.mean():.1f} %", xticks=[], yticks=[])
    row[0].set_ylabel(f"{photons:,.0f} photons a pixel")
figure.savefig(picture, dpi=64)
