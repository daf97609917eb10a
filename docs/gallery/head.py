"""A head from its shadows: simulate a cone-beam scan of the Shepp-Logan phantom and reconstruct it."""

import sys

import matplotlib.pyplot as plt

import kiban

size, picture = int(sys.argv[1]) if len(sys.argv) > 1 else 256, sys.argv[2] if len(sys.argv) > 2 else "head.png"

projections, geometry = kiban.ct.simulate(phantom="shepp-logan", views=int(1.5 * size), columns=size + size // 4)
head = kiban.ct.fdk(projections, geometry, size=size, spacing_mm=256 / size)

figure, (shadow, axial, profile) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
shadow.imshow(projections.array[0], cmap="gray_r")
shadow.set(title=f"first of {len(geometry)} views", xlabel="column", ylabel="row")

# An array is [z,y,x], and the rotation axis of the scanner is y: one y is an axial slice of the patient.
level = round((-29 - head.origin_mm[1]) / head.spacing_mm[1])
slice_ = head.array[:, level, :]
left, height, front = head.world((0, level, 0))
right, _, back = head.world((size - 1, level, size - 1))
shown = axial.imshow(slice_, cmap="gray", vmin=0.0185, vmax=0.0225, extent=(left, right, back, front))
axial.set(title=f"slice at y = {height:.1f} mm", xlabel="x / mm", ylabel="z / mm")
figure.colorbar(shown, label="attenuation / mm$^{-1}$", shrink=0.8)

x = [head.world((i, 0, 0))[0] for i in range(size)]
profile.plot(x, slice_[size // 2], linewidth=1)
profile.axhline(0.0204, color="0.6", linestyle=":", label="brain of the phantom")
profile.set(title="through the middle", xlabel="x / mm", ylabel="mm$^{-1}$", ylim=(-0.002, 0.045))
profile.legend()
figure.savefig(picture, dpi=80)
