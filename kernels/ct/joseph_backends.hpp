#pragma once
#include <span>

#include "kernels/core/backends.hpp"
#include "kernels/ct/joseph.hpp"

namespace kiban::ct {

/// The volume, in index coordinates: axis 0 is x.
struct JosephGrid {
  std::int64_t extent[3];
  std::int64_t stride[3];  ///< elements
  double low[3], high[3];  ///< faces of the box in which rays are integrated
};

/// One view in index coordinates. A ray is point + t direction, low <= t <= high; coefficients of 1, u, v.
struct JosephView {
  double point[3][3], direction[3][3];
  double direction_mm[3][3];
  double low, high;
  float panel[3][4];  ///< (x, y, z, 1) -> (u w, v w, w)
  float source[3];    ///< far away where rays are parallel
};

/// A traced ray: what of its weights does not depend on the voxel. Both directions read the same table, so that they
/// agree on every ray's axis whatever the rounding.  rays [view, field, row, pitch]
struct JosephField {
  enum : int {
    b,        ///< index position along the first other axis, at the middle of the ray's own axis
    c,        ///< along the second
    slope_b,  ///< positions advance by this from slice to slice
    slope_c,
    enter,  ///< along the ray's own axis, where it enters the box
    leave,
    step,  ///< mm from slice to slice; 0 for a ray that misses
    axis,  ///< 0, 1 or 2
    count
  };
};

/// Rays behind each row of the table that miss, so that whole vectors can be read.
inline constexpr std::int64_t kJosephRowPadding = 16;
inline constexpr std::int64_t kJosephViews = 4;  ///< views of a table

KIBAN_BACKENDS(joseph_trace, Stream& stream, std::span<const JosephView> views, const JosephGrid& grid,
               std::int64_t columns, Span<float, 4> rays)

/// projections = sums along the rays.
KIBAN_BACKENDS(joseph_march, Stream& stream, const JosephGrid& grid, Span<const float, 4> rays,
               Span<const float, 3> volume, Span<float, 3> projections)

/// volume += sums over the rays that pass each voxel. The table is used up.
KIBAN_BACKENDS(joseph_gather, Stream& stream, std::span<const JosephView> views, const JosephGrid& grid,
               Span<float, 4> rays, Span<const float, 3> projections, Span<float, 3> volume)

}  // namespace kiban::ct
