#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/core/voxels.hpp"
#include "kernels/image/element.hpp"

namespace kiban::image {

enum class Extreme { least, largest };
enum class MorphologyStep { erode, dilate, open, close };

/// The least or the largest value under a structuring element about each voxel: grey-scale erosion and dilation, and of
/// masks the binary ones. Nothing lies outside of the volume.
///   image [z,y,x]     any VoxelType
///   element           at least one row
///   extremes [z,y,x]  the image's type, other memory; all voxels are written
/// Errors: input (a float that is not finite) · internal (another shape or type) · device.
/// Cost: one read of the image and one write while the element is small: comparisons in number of the element's rows
/// (a box: of its widths along y and z). Workspace: of a thread some rows, of a box those of 64 in each slice that it
/// reaches (CPU); of a box two volumes more (GPU). Synchronous. Exact: the same on every device.
/// Source: windows along x by doubling, after van Herk (1992) and Gil and Werman (1993).
void extreme(Stream& stream, const ConstVoxelSpan& image, const Element& element, Extreme which,
             const VoxelSpan& extremes);

/// One or two of these, with a volume between: opening is the dilation of the erosion, closing the erosion of the
/// dilation.
void grey_morphology(Stream& stream, const ConstVoxelSpan& image, const Element& element, MorphologyStep step,
                     const VoxelSpan& result);

KIBAN_BACKENDS(find_extremes, Stream& stream, const ConstVoxelSpan& image, const Element& element, Extreme which,
               const VoxelSpan& extremes)

/// Each label by itself and a ball of `radius_mm`, by exact distances, whatever the radius:
///   erode    what is farther than the radius from every voxel of another label or none
///   dilate   and background not farther than the radius from a label: that of the nearest voxel, of those as near the
///            smallest label (radius infinite: the nearest-feature transform)
///   open     what lies in a ball that fits into the label
///   close    and background that no ball reaches which stays clear of the label: of several labels after the dilation
/// Nothing lies outside of the volume.
///   labels [z,y,x]    uint8, uint16 or uint32
///   spacing_mm        between centres along x, y, z; above 0
///   result [z,y,x]    the type of the labels, other memory; all voxels are written
/// Errors: input (another type; a radius or spacing that is none) · internal (another shape or type) · device.
/// Cost: that of `distance`, once or twice. Workspace: 4 bytes a voxel, and that of `distance` or a third more.
/// Synchronous. Exactness: radii to a millionth; of labels as near as each other to 1e-7 either is
/// taken where the spacing is not the same along x, y and z.
void ball_morphology(Stream& stream, const ConstVoxelSpan& labels, const Vec3& spacing_mm, double radius_mm,
                     MorphologyStep step, const VoxelSpan& result);

/// Background takes the label of the nearest voxel that has one, where its square is at most `most` (spacing in units
/// of which the largest is 1). `result` holds the labels when this begins. `squares`: workspace.
KIBAN_BACKENDS(spread_labels, Stream& stream, const VoxelSpan& result, const std::array<float, 3>& step, float most,
               Span<float, 3> squares)
/// Labels stay where distances are above `radius_mm`, or where `kept` (may be empty) has one.
KIBAN_BACKENDS(keep_deep, Stream& stream, const VoxelSpan& labels, Span<const float, 3> distances, float radius_mm,
               const ConstVoxelSpan& kept)

}  // namespace kiban::image
