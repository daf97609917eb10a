#include "kernels/ct/parallel_scan.hpp"

#include <fmt/format.h>

#include <cmath>

#include "kernels/core/error.hpp"

namespace kiban::ct {

Geometry parallel_scan_geometry(const ParallelScan& scan, std::span<const double> angles_deg) {
  if (scan.direction != 1 && scan.direction != -1)
    throw Error(ErrorCode::usage, fmt::format("the direction of rotation is {}; it must be 1 or -1", scan.direction));
  if (scan.rows < 1 || scan.columns < 1)
    throw Error(ErrorCode::input,
                fmt::format("a panel of {} x {} pixels (rows x columns) sees nothing", scan.rows, scan.columns));
  if (!(scan.pixel_mm > 0) || !std::isfinite(scan.pixel_mm) || !std::isfinite(scan.centre_column))
    throw Error(ErrorCode::input, fmt::format("a pixel of {} mm with the axis at column {} is no panel", scan.pixel_mm,
                                              scan.centre_column));

  Panel panel = Panel::centred(scan.rows, scan.columns, scan.pixel_mm, scan.pixel_mm);
  panel.first_u_mm = -scan.centre_column * scan.pixel_mm;
  CircularGeometry views(angles_deg.size());
  for (std::size_t k = 0; k < views.size(); ++k) {
    views[k].source_to_isocentre_mm = 1;  // any: parallel rays have no source
    views[k].source_to_detector_mm = 0;
    views[k].gantry_angle_deg = scan.direction * angles_deg[k];
  }
  return geometry_from_circular(views, panel);
}

}  // namespace kiban::ct
