#pragma once
#include <filesystem>

#include "io/image/preview.hpp"
#include "kernels/core/vec.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::io {

/// Labels over an image, in the colours of Okabe and Ito that most colour-blind people tell apart (1 orange, 2 sky
/// blue, 3 green, 4 yellow, 5 blue, 6 vermilion, 7 purple, then again), full at their edges: three slices through the
/// middle of what is labelled (of the volume where nothing is), side by side, at one scale in mm, as radiologists see
/// them from the feet and from the front: axial (back below), coronal (head on top), sagittal (head on top, back to the
/// right).
///   values [z,y,x]   host memory, any VoxelType: x to the patient's left, y to the back, z to the head
///   labels [z,y,x]   host memory
///   spacing_mm       along x, y, z
///   range            values shown black and white; absent: the least and largest of the slices
/// Errors: internal (shapes) · input (no voxel).
Picture render_labels(const Vec3& spacing_mm, const ConstVoxelSpan& values, Span<const std::uint8_t, 3> labels,
                      const GreyRange& range);

}  // namespace kiban::io
