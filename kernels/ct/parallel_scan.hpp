#pragma once
#include <span>

#include "kernels/ct/geometry.hpp"

namespace kiban::ct {

/// A raw parallel-beam scan: the object turns about an axis that is upright on the panel.
struct ParallelScan {
  std::int64_t rows = 0, columns = 0;
  double pixel_mm = 1;       ///< pitch of the panel's square pixels
  double centre_column = 0;  ///< where the axis projects, in pixels; may be fractional
  int direction = 1;         ///< 1 or -1: the sense of the rotation. The wrong one mirrors the volume
};

/// The geometry of such a scan. The axis is the world's y; at angle 0 rays travel along -z, columns run along +x and
/// rows along +y, the middle row at y = 0; the beam turns about y by `direction` times the angle.
///   angles_deg [view]
/// Errors: input (no view, an angle is not finite, an empty panel, a pitch that is not positive) · usage (direction).
Geometry parallel_scan_geometry(const ParallelScan& scan, std::span<const double> angles_deg);

}  // namespace kiban::ct
