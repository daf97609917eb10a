"""To SimpleITK, nibabel and back: every voxel stays where it is."""

import sys

import matplotlib.pyplot as plt
import numpy
import SimpleITK

import kiban

size, picture = int(sys.argv[1]) if len(sys.argv) > 1 else 128, sys.argv[2] if len(sys.argv) > 2 else "handover.png"

# A patient lying on the back, head first: the reconstruction comes in the patient's frame.
projections, geometry = kiban.ct.simulate(phantom="shepp-logan", views=2 * size, columns=size + size // 4, photons=2e4)
head = kiban.ct.fdk(projections, geometry, size=size, spacing_mm=220 / size, patient_position="HFS")

# SimpleITK smooths it, and cuts it along planes that are turned about the patient's axis.
image = SimpleITK.CurvatureAnisotropicDiffusion(head.to_sitk(), timeStep=0.05, numberOfIterations=8)
turn = SimpleITK.Euler3DTransform()
turn.SetRotation(0, 0, numpy.deg2rad(25))
grid = SimpleITK.Image(image)
grid.SetDirection((numpy.reshape(turn.GetMatrix(), (3, 3)) @ head.direction).ravel().tolist())
grid.SetOrigin(turn.TransformPoint(image.GetOrigin()))
oblique = kiban.Volume.from_sitk(SimpleITK.Resample(image, grid))

# nibabel writes what was cut; its affine and kiban's are the same.
in_nibabel = oblique.to_nibabel()
assert numpy.allclose(in_nibabel.affine, oblique.affine, atol=1e-6, rtol=0)

level = round(size * (0.5 - 29 / 220))  # where the ventricles are: y runs along the patient
figure, axes = plt.subplots(1, 3, figsize=(10, 3.7), layout="constrained")
titles = ("reconstructed", "smoothed by SimpleITK", "on turned planes, by way of nibabel")
volumes = (head, kiban.Volume.from_sitk(image), kiban.Volume.from_nibabel(in_nibabel))
for axis, title, volume in zip(axes, titles, volumes):
    axis.imshow(volume.array[:, level], cmap="gray", vmin=0.015, vmax=0.026, origin="lower")
    step = volume.world((1, 0, 0)) - volume.world((0, 0, 0))
    axis.set(title=title, xlabel=f"columns run along ({', '.join(f'{s:.2f}' for s in step)}) mm", xticks=[], yticks=[])
figure.savefig(picture, dpi=75)
