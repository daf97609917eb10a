// Included inside the namespace of a backend, which defines KIBAN_HD.

/// Pixels by which a voxel may miss the panel and still be seen: far above rounding, far below anything that shows. A
/// voxel right on the edge is then seen by every backend.
constexpr double kEdgeTolerance = 1e-6;

/// The part [low, high] of a row along x that all views so far see; empty when high < low.
struct RowInterval {
  double low, high;
};

/// Cuts `row` to where a0 + a1 x >= 0. Most views cut nothing, which costs no division.
KIBAN_HD inline void cut(double a0, double a1, RowInterval& row) {
  const bool low_inside = a0 + a1 * row.low >= 0, high_inside = a0 + a1 * row.high >= 0;
  if (low_inside && high_inside) return;
  if (low_inside)
    row.high = -a0 / a1;
  else if (high_inside)
    row.low = -a0 / a1;
  else
    row.high = row.low - 1;
}

/// Cuts the row (y, z) to what one view sees; `m` maps voxel indices to (u w, v w, w). Next to the source, where
/// u and v may be anything, and behind it nothing is left.
KIBAN_HD inline void cut_to_panel(const double (&m)[3][4], double y, double z, double rows, double columns,
                                  RowInterval& row) {
  const double u = m[0][1] * y + m[0][2] * z + m[0][3];
  const double v = m[1][1] * y + m[1][2] * z + m[1][3];
  const double w = m[2][1] * y + m[2][2] * z + m[2][3];
  const double last_u = columns - 1 + kEdgeTolerance, last_v = rows - 1 + kEdgeTolerance;
  cut(w - kLeastPerspective, m[2][0], row);
  cut(u + kEdgeTolerance * w, m[0][0] + kEdgeTolerance * m[2][0], row);
  cut(last_u * w - u, last_u * m[2][0] - m[0][0], row);
  cut(v + kEdgeTolerance * w, m[1][0] + kEdgeTolerance * m[2][0], row);
  cut(last_v * w - v, last_v * m[2][0] - m[1][0], row);
}

/// The voxels of a row of `nx` that lie in the interval.
KIBAN_HD inline SeenVoxels voxels_in(const RowInterval& row, std::int64_t nx) {
  const double count = static_cast<double>(nx);
  const double begin = ceil(fmin(fmax(row.low, 0.0), count)), end = floor(fmin(fmax(row.high, -1.0), count - 1)) + 1;
  return {static_cast<std::int32_t>(begin), static_cast<std::int32_t>(fmax(begin, end))};
}
