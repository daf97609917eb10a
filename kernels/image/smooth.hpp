#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/core/vec.hpp"
#include "kernels/core/voxels.hpp"
#include "kernels/image/element.hpp"

namespace kiban::image {

/// A Gaussian about each voxel, cut at 4 sigma, the image mirrored at its first and last voxels.
///   image [z,y,x]      any VoxelType
///   sigma              in voxels along x, y, z; 0: not along that axis
///   smoothed [z,y,x]   any VoxelType; integers are rounded to the nearest
/// Errors: input (a sigma that is negative or not finite) · internal (another shape) · device.
/// A value that is not a number reaches as far as the Gaussian. Cost: 8 sigma taps a voxel and axis. Workspace: some
/// MiB a thread (CPU); 4 to 8 bytes a voxel (GPU). Synchronous. Exactness: sums in float: relative 1e-6 of the largest
/// value. Independent of threads. Source: weights as scipy.ndimage.gaussian_filter has them, mode mirror.
void gaussian(Stream& stream, const ConstVoxelSpan& image, const Vec3& sigma, const VoxelSpan& smoothed);

/// The median of the values under a structuring element about each voxel; of an even number, as at the border of the
/// volume, beyond which nothing lies, the lower of the two in the middle.
///   image [z,y,x]     any VoxelType
///   element           at most 32767 voxels
///   median [z,y,x]    the image's type, other memory; all voxels are written
/// Errors: input (a float that is not finite, an element too large) · internal (another shape or type) · device.
/// Cost: a walk over the element for each of the type's bits that differ within it. Synchronous. Exact.
void median(Stream& stream, const ConstVoxelSpan& image, const Element& element, const VoxelSpan& median);

KIBAN_BACKENDS(find_median, Stream& stream, const ConstVoxelSpan& image, const Element& element,
               const VoxelSpan& median)

}  // namespace kiban::image
