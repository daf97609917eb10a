#pragma once
#include <cstddef>

#include "kernels/core/backends.hpp"
#include "kernels/core/voxels.hpp"
#include "kernels/image/components.hpp"
#include "kernels/image/morphology.hpp"

namespace kiban::image {

/// Grey-scale reconstruction of an image from a marker:
///   least     by erosion: what is reached when the marker sinks, neighbour by neighbour, but not below the image:
///             result(p) = min over paths to p of max(marker(start), the image along the path)
///   largest   by dilation: the same with largest and least exchanged, under the image
///   image [z,y,x]    any VoxelType
///   marker [z,y,x]   the same type; where it lies below (largest: above) the image it counts as the image
///   result [z,y,x]   the same type, other memory than the image; may be the marker's
/// Errors: input (a float that is not a number) · internal (another shape or type) · device.
/// Cost: three passes and a flood of what they leave, in the order of values. Workspace: some 16 bytes for each voxel
/// that waits in it at once (CPU); relax_list_bytes (GPU). Synchronous. Exact: the same on every device.
/// Source: Vincent, "Morphological grayscale reconstruction in image analysis", IEEE Trans. Image Processing 2 (1993),
/// with the queue in order of values after Robinson and Whelan, "Efficient morphological reconstruction: a downhill
/// filter", Pattern Recognition Letters 25 (2004).
void reconstruct(Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& marker, Connectivity connectivity,
                 Extreme which, const VoxelSpan& result);

/// The image with pits not deeper than `depth` filled (largest: peaks cut off): its reconstruction from image + depth
/// (largest: - depth, in both cases within the type).
/// Errors: as above; input (a depth below 0, or not whole for integers).
void fill_shallow(Stream& stream, const ConstVoxelSpan& image, double depth, Connectivity connectivity, Extreme which,
                  const VoxelSpan& result);

/// Numbers the regional minima of an image (largest: maxima): touching voxels of one value, of which no neighbour is
/// lower. In raster order, from 1 on; 0 elsewhere.
///   image [z,y,x]     any VoxelType
///   numbers [z,y,x]   uint8, uint16 or uint32
/// Returns how many there are.
/// Errors: input (a float that is not a number; more than the type holds) · internal (another shape) · device.
/// Cost: two passes and two of components. Workspace: two bytes a voxel, and that of Components. Synchronous. Exact.
std::uint32_t minima(Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
                     const VoxelSpan& numbers);

/// Lists of tiles of 8^3 voxels that a flood on a GPU has.
std::size_t relax_list_bytes(const Shape<3>& shape);

/// The backends. `result` holds the marker, kept on its side of the image, when this begins.
KIBAN_BACKENDS(reconstruct_from, Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
               const VoxelSpan& result)
/// result = the one of `marker` + `shift`, as far as the type goes, and `image` that lies on the marker's side.
KIBAN_BACKENDS(keep_beside, Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& marker, double shift,
               Extreme which, const VoxelSpan& result)
/// pits = 1 where no neighbour is lower, leaks = 1 at those that touch an equal voxel that has a lower neighbour.
KIBAN_BACKENDS(find_pits, Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
               Span<std::uint8_t, 3> pits, Span<std::uint8_t, 3> leaks)

}  // namespace kiban::image
