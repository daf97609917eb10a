#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/core/backends.hpp"
#include "kernels/core/vec.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::image {

/// A box of voxels, x, y, z: least and largest index.
struct VoxelBox {
  std::array<std::int64_t, 3> first{}, last{};
};

/// The area in mm^2 of the surface in a cube between the centres of 2 x 2 x 2 voxels, by which of them are inside: bit
/// 7 - (4 dz + 2 dy + dx) of the code. Marching cubes with corners in the middle of edges; where the triangles of one
/// cube are not unique, those of DeepMind's surface-distance.
/// Source: Lorensen and Cline, "Marching cubes", SIGGRAPH 1987; Nikolov et al., "Deep learning to achieve clinically
/// applicable segmentation of head and neck anatomy for radiotherapy", arXiv:1809.04430.
std::array<double, 256> surfel_areas(const Vec3& spacing_mm);

/// Surfels of one shape, and how far each is from the nearest of another shape, nearest first.
struct SurfaceDistances {
  std::vector<float> mm;  ///< infinite where the other shape has none
  std::vector<double> area_mm2;

  double total_area() const;
  /// The mean distance, weighted by area; NaN where there is no surfel.
  double mean() const;
  /// The least distance within which `percent` of the area lies; NaN where there is no surfel.
  double percentile(double percent) const;
  /// Area within `tolerance_mm`, up to a millionth.
  double area_within(double tolerance_mm) const;
};

struct SurfacePair {
  SurfaceDistances of_labels, of_reference;
};

/// The distances between the surfaces of one label in two label maps. Surfels lie at the corners of voxels; what is
/// outside of the volume is outside of the label.
///   labels, reference [z,y,x]   uint8, uint16 or uint32
///   box                         holds the label in both
/// Errors: input (another type, spacing) · internal (shapes differ, no box) · device. Cost: linear in the box; two
/// distance transforms. Workspace: 7 bytes a voxel of the box, that of `distance`, and some 40 bytes a surfel.
/// Synchronous. Exactness: that of `distance`; independent of threads and device. Source: the surfels of DeepMind's
/// surface-distance.
SurfacePair surface_distances(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference,
                              std::uint32_t label, const VoxelBox& box, const Vec3& spacing_mm);

/// Labels where both maps have the same, else 0.
///   equal [z,y,x]   the type of `labels`
/// Errors: internal (shapes or types differ) · device. Cost: two reads, one write. Synchronous. Exact.
void keep_equal(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference, const VoxelSpan& equal);

/// The backends. `find_codes`: of the corners of the box's voxels, [z,y,x] one longer than the box each way, by the
/// voxels around them. `mark_inner`: 0 where a code is of a surface, else 1. `collect_surfels`: the distances where
/// codes are of a surface, and those codes, in any order.
struct Surfels {
  std::vector<float> mm;
  std::vector<std::uint8_t> codes;
};
KIBAN_BACKENDS(find_codes, Stream& stream, const ConstVoxelSpan& labels, std::uint32_t label, const VoxelBox& box,
               Span<std::uint8_t, 3> codes)
KIBAN_BACKENDS(mark_inner, Stream& stream, Span<const std::uint8_t, 3> codes, Span<std::uint8_t, 3> inner)
KIBAN_BACKENDS(collect_surfels, Stream& stream, Span<const std::uint8_t, 3> codes, Span<const float, 3> distances,
               Surfels& surfels)
KIBAN_BACKENDS(write_equal, Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference,
               const VoxelSpan& equal)

}  // namespace kiban::image
