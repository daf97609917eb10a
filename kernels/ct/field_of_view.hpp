#pragma once
#include <span>

#include "kernels/ct/geometry.hpp"

namespace kiban::ct {

/// Sets to `outside` every voxel that some view does not see:
///   not (0 <= u <= columns-1 and 0 <= v <= rows-1 and w > kLeastPerspective)
///   matrices [view]    voxel index -> panel, of all views of the scan
///   volume   [z,y,x]   changed in place
/// Cost: views x nz x ny; each row along x is cut to an interval, for the region seen is convex. Synchronous.
/// Exactness: a voxel within 1e-6 pixels of the edge counts as seen, so that every device decides alike.
void mask_field_of_view(Stream& stream, std::span<const ProjectionMatrix> matrices, std::int64_t rows,
                        std::int64_t columns, float outside, Span<float, 3> volume);

}  // namespace kiban::ct
