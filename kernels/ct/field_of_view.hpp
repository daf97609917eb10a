#pragma once
#include <span>

#include "kernels/ct/geometry.hpp"
#include "kernels/ct/scan_volumes.hpp"

namespace kiban::ct {

/// Voxels [begin, end) of a row along x.
struct SeenVoxels {
  std::int32_t begin, end;
};

/// Of every row [z,y] of a volume, the voxels that all views see:
///   0 <= u <= columns-1 and 0 <= v <= rows-1 and w > kLeastPerspective
///   matrices [view]   voxel index -> panel, of all views of the scan
///   volume   [z,y,x]  the shape
/// Errors: input (a row of 2^31 voxels) · device (memory). Cost: views x nz x ny; each row is cut to an interval, for
/// the region seen is convex. Synchronous. Exactness: a voxel within 1e-6 pixels of the edge counts as seen, so that
/// every device decides alike.
Array<SeenVoxels, 2> seen_voxels(Stream& stream, std::span<const ProjectionMatrix> matrices, std::int64_t rows,
                                 std::int64_t columns, const Shape<3>& volume);

/// Sets to `outside` what is not seen.
///   seen     [z,y]
///   volumes  [z,y,x]   changed in place
/// Errors: internal (shapes) · device. On a GPU asynchronous.
void mask_unseen(Stream& stream, Span<const SeenVoxels, 2> seen, float outside, ScanVolumes volumes);

}  // namespace kiban::ct
