#include "engine/operations/ct_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.hpp"

namespace kiban::engine {

namespace {

double pixel_mm_or_zero(const Values& values) { return values.has("pixel-mm") ? values.real("pixel-mm") : 0; }

}  // namespace

ct::Panel Projections::panel(double pixel_mm) const {
  const Grid& grid = source_.grid();
  if (pixel_mm > 0) return ct::Panel::centred(grid.ny(), grid.nx(), pixel_mm, pixel_mm);
  if (!source_.placed())
    throw Error(ErrorCode::usage,
                fmt::format("{} does not say how large its pixels are; give pixel-mm, or a volume with spacing and "
                            "origin",
                            source_.name()));
  for (int axis = 0; axis < 2; ++axis)
    if (std::abs(grid.direction[static_cast<std::size_t>(axis)][static_cast<std::size_t>(axis)] - 1) > 1e-6)
      throw Error(ErrorCode::input,
                  fmt::format("{}: the header turns the panel within its own plane; store projections with an identity "
                              "direction, or give --pixel-mm",
                              source_.name()));
  ct::Panel panel;
  panel.rows = grid.ny();
  panel.columns = grid.nx();
  panel.spacing_u_mm = grid.spacing[0];
  panel.spacing_v_mm = grid.spacing[1];
  panel.first_u_mm = grid.origin[0];
  panel.first_v_mm = grid.origin[1];
  return panel;
}

ct::Geometry geometry_for(const Request& request, const Projections& projections) {
  const ScanGeometry scan = read_geometry(request, "geometry");
  const std::string name = request.described("geometry");
  if (view_count(scan) != projections.views())
    throw Error(ErrorCode::input, fmt::format("{} describes {} views and {} has {}; use the geometry of this scan",
                                              name, view_count(scan), projections.name(), projections.views()));
  const double pixel_mm = pixel_mm_or_zero(request.parameters);
  if (const auto* circular = std::get_if<CircularGeometry>(&scan))
    return ct::geometry_from_circular(*circular, projections.panel(pixel_mm));
  if (pixel_mm > 0) throw Error(ErrorCode::usage, "the views of this geometry have pixels; leave pixel-mm out");
  const auto& complete = std::get<ct::Geometry>(scan);
  if (complete.rows != projections.rows() || complete.columns != projections.columns())
    throw Error(
        ErrorCode::input,
        fmt::format("{} describes {} x {} pixels and {} has {} x {}; use the geometry of this scan", name,
                    complete.rows, complete.columns, projections.name(), projections.rows(), projections.columns()));
  return complete;
}

std::vector<Parameter> circular_scan_parameters() {
  return {
      Parameter::real("sid-mm", "mm", "Distance from the source to the rotation axis")
          .by_default(1000.0)
          .above(0)
          .at_most(1e6),
      Parameter::real("sdd-mm", "mm", "Distance from the source to the detector; 0: parallel rays")
          .by_default(1536.0)
          .at_least(0)
          .at_most(1e6),
      Parameter::real("first-angle-deg", "deg", "Gantry angle of the first view")
          .by_default(0.0)
          .at_least(-360)
          .at_most(360),
      Parameter::real("arc-deg", "deg", "Angle over which the views are spread evenly, its end excluded")
          .by_default(360.0)
          .above(0)
          .at_most(3600),
      Parameter::choice("direction", {"forward", "reverse"},
                        "Sense of the rotation: whether the gantry angle grows or falls")
          .by_default("forward"),
      Parameter::real("projection-offset-x-mm", "mm", "Shift of the detector along its rows").by_default(0.0),
      Parameter::real("projection-offset-y-mm", "mm", "Shift of the detector along its columns").by_default(0.0),
      Parameter::real("source-offset-x-mm", "mm", "Shift of the source along the detector's rows").by_default(0.0),
      Parameter::real("source-offset-y-mm", "mm", "Shift of the source along the detector's columns").by_default(0.0),
      Parameter::real("out-of-plane-deg", "deg", "Tilt of the gantry out of the plane of rotation")
          .by_default(0.0)
          .at_least(-90)
          .at_most(90),
      Parameter::real("in-plane-deg", "deg", "Turn of the detector within its own plane")
          .by_default(0.0)
          .at_least(-360)
          .at_most(360),
  };
}

CircularGeometry circular_scan_from(const Values& values, std::int64_t views) {
  const double sid = values.real("sid-mm"), sdd = values.real("sdd-mm"), arc = values.real("arc-deg");
  if (sdd > 0 && sdd <= sid)
    throw Error(ErrorCode::usage,
                fmt::format("sdd-mm is {} mm, but must be above sid-mm, {} mm: the object lies between "
                            "the source and the detector",
                            sdd, sid));
  const double turn = values.text("direction") == "reverse" ? -arc : arc;
  CircularGeometry scan = ct::circular_scan(views, sid, sdd, turn, values.real("first-angle-deg"));
  for (CircularView& view : scan) {
    view.projection_offset_x_mm = values.real("projection-offset-x-mm");
    view.projection_offset_y_mm = values.real("projection-offset-y-mm");
    view.source_offset_x_mm = values.real("source-offset-x-mm");
    view.source_offset_y_mm = values.real("source-offset-y-mm");
    view.out_of_plane_angle_deg = values.real("out-of-plane-deg");
    view.in_plane_angle_deg = values.real("in-plane-deg");
  }
  return scan;
}

}  // namespace kiban::engine
