#include "kernels/ct/geometry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace kiban::ct {
namespace {

constexpr double kRadiansPerDegree = std::numbers::pi / 180;
/// A triple product below this share of the product of lengths is a panel seen edge-on, up to rounding.
constexpr double kEdgeOn = 1e-9;

Vec3 rotate_x(const Vec3& p, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {p[0], c * p[1] - s * p[2], s * p[1] + c * p[2]};
}
Vec3 rotate_y(const Vec3& p, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {c * p[0] + s * p[2], p[1], c * p[2] - s * p[0]};
}
Vec3 rotate_z(const Vec3& p, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {c * p[0] - s * p[1], s * p[0] + c * p[1], p[2]};
}

/// From the rotated frame of a view back to the world: the transpose of Rz(-in_plane) Rx(-out_of_plane) Ry(-gantry).
Vec3 to_world(const CircularView& view, const Vec3& p) {
  const Vec3 untwisted = rotate_z(p, view.in_plane_angle_deg * kRadiansPerDegree);
  const Vec3 untilted = rotate_x(untwisted, view.out_of_plane_angle_deg * kRadiansPerDegree);
  return rotate_y(untilted, view.gantry_angle_deg * kRadiansPerDegree);
}

void check_view(const CircularView& view, std::size_t index, bool parallel) {
  const double parameters[] = {view.source_to_isocentre_mm, view.source_to_detector_mm,  view.gantry_angle_deg,
                               view.projection_offset_x_mm, view.projection_offset_y_mm, view.out_of_plane_angle_deg,
                               view.in_plane_angle_deg,     view.source_offset_x_mm,     view.source_offset_y_mm};
  if (!std::all_of(std::begin(parameters), std::end(parameters), [](double p) { return std::isfinite(p); }))
    throw Error(ErrorCode::input,
                fmt::format("view {} of the geometry has a parameter that is not a finite number", index));
  if (view.source_to_isocentre_mm <= 0)
    throw Error(ErrorCode::input, fmt::format("view {} of the geometry has a source-to-isocentre distance of {} mm; "
                                              "it must be positive",
                                              index, view.source_to_isocentre_mm));
  if (view.source_to_detector_mm < 0)
    throw Error(ErrorCode::input, fmt::format("view {} of the geometry has a source-to-detector distance of {} mm; "
                                              "it must be positive, or 0 for parallel rays",
                                              index, view.source_to_detector_mm));
  if ((view.source_to_detector_mm == 0) != parallel)
    throw Error(ErrorCode::input,
                fmt::format("view {} of the geometry has {} rays and view 0 has not; a scan is either parallel or "
                            "divergent throughout",
                            index, parallel ? "divergent" : "parallel"));
}

void check_panel(const Panel& panel) {
  if (panel.rows < 1 || panel.columns < 1)
    throw Error(ErrorCode::input, fmt::format("a panel of {} rows and {} columns has no pixel; check the projections",
                                              panel.rows, panel.columns));
  const bool spaced = panel.spacing_u_mm > 0 && panel.spacing_v_mm > 0;
  if (!spaced || !std::isfinite(panel.spacing_u_mm) || !std::isfinite(panel.spacing_v_mm))
    throw Error(ErrorCode::input, fmt::format("a pixel of {} mm by {} mm is not a pixel; check the projections' "
                                              "spacing",
                                              panel.spacing_u_mm, panel.spacing_v_mm));
  if (!std::isfinite(panel.first_u_mm) || !std::isfinite(panel.first_v_mm))
    throw Error(ErrorCode::input, "the projections' origin is not a finite number; check their header");
}

View view_from_circular(const CircularView& circular, const Panel& panel) {
  View view;
  view.parallel = circular.source_to_detector_mm == 0;
  const double sid = circular.source_to_isocentre_mm;
  const double centre_u = panel.first_u_mm + 0.5 * panel.spacing_u_mm * static_cast<double>(panel.columns - 1);
  const double centre_v = panel.first_v_mm + 0.5 * panel.spacing_v_mm * static_cast<double>(panel.rows - 1);
  const double depth = view.parallel ? -sid : sid - circular.source_to_detector_mm;
  view.source = view.parallel ? to_world(circular, {0, 0, -1})
                              : to_world(circular, {circular.source_offset_x_mm, circular.source_offset_y_mm, sid});
  view.detector = to_world(
      circular, {centre_u + circular.projection_offset_x_mm, centre_v + circular.projection_offset_y_mm, depth});
  view.u = to_world(circular, {panel.spacing_u_mm, 0, 0});
  view.v = to_world(circular, {0, panel.spacing_v_mm, 0});
  return view;
}

/// Rows of the inverse of the matrix with columns a, b, c. Errors: input (the three lie in one plane).
Mat3 inverse_of_columns(const Vec3& a, const Vec3& b, const Vec3& c, std::int64_t view) {
  const Vec3 bc = cross(b, c), ca = cross(c, a), ab = cross(a, b);
  const double determinant = dot(a, bc);
  if (!(std::abs(determinant) > kEdgeOn * norm(a) * norm(b) * norm(c)))
    throw Error(ErrorCode::input,
                fmt::format("view {} of the geometry sees its panel edge-on; check its source, u and v", view));
  return {(1 / determinant) * bc, (1 / determinant) * ca, (1 / determinant) * ab};
}

/// Angle of view k's rays about the axis, in radians. Errors: input (they run along the axis).
double angle_about_axis(const Geometry& geometry, std::size_t k) {
  const Vec3& axis = geometry.axis;
  const Vec3 towards_source = geometry.views[k].parallel ? -1. * geometry.views[k].source : geometry.views[k].source;
  std::size_t least = 0;
  for (std::size_t a = 1; a < 3; ++a)
    if (std::abs(axis[a]) < std::abs(axis[least])) least = a;
  Vec3 helper{};
  helper[least] = 1;
  const Vec3 across = cross(axis, helper);
  const Vec3 e1 = (1 / norm(across)) * across, e2 = cross(axis, e1);
  const double x = dot(towards_source, e1), y = dot(towards_source, e2);
  if (!(std::hypot(x, y) > kEdgeOn * norm(towards_source)))
    throw Error(ErrorCode::input,
                fmt::format("the source of view {} lies on the rotation axis; a circular scan needs it beside", k));
  return std::atan2(y, x);
}

}  // namespace

Panel Panel::centred(std::int64_t rows, std::int64_t columns, double spacing_u_mm, double spacing_v_mm) {
  return {rows,
          columns,
          spacing_u_mm,
          spacing_v_mm,
          -0.5 * spacing_u_mm * static_cast<double>(columns - 1),
          -0.5 * spacing_v_mm * static_cast<double>(rows - 1)};
}

Geometry geometry_from_circular(const CircularGeometry& circular, const Panel& panel) {
  if (circular.empty()) throw Error(ErrorCode::input, "the geometry has no view");
  check_panel(panel);
  Geometry geometry{{}, panel.rows, panel.columns};
  geometry.views.reserve(circular.size());
  const bool parallel = circular[0].source_to_detector_mm == 0;
  for (std::size_t k = 0; k < circular.size(); ++k) {
    check_view(circular[k], k, parallel);
    geometry.views.push_back(view_from_circular(circular[k], panel));
  }
  return geometry;
}

CircularGeometry circular_scan(std::int64_t views, double sid_mm, double sdd_mm, double arc_deg,
                               double first_angle_deg) {
  CircularGeometry scan(static_cast<std::size_t>(std::max<std::int64_t>(views, 0)));
  for (std::size_t k = 0; k < scan.size(); ++k) {
    scan[k].source_to_isocentre_mm = sid_mm;
    scan[k].source_to_detector_mm = sdd_mm;
    scan[k].gantry_angle_deg = first_angle_deg + arc_deg * static_cast<double>(k) / static_cast<double>(views);
  }
  return scan;
}

PanelPoint ProjectionMatrix::operator()(double x, double y, double z) const {
  double h[3];
  for (int row = 0; row < 3; ++row) h[row] = m[row][0] * x + m[row][1] * y + m[row][2] * z + m[row][3];
  return {h[0] / h[2], h[1] / h[2], h[2]};
}

ProjectionMatrix world_to_panel(const Geometry& geometry, std::int64_t view_index) {
  const View& view = geometry.views.at(static_cast<std::size_t>(view_index));
  const Vec3 pixel00 = view.detector - 0.5 * static_cast<double>(geometry.columns - 1) * view.u -
                       0.5 * static_cast<double>(geometry.rows - 1) * view.v;
  // A point x on the ray of pixel (u, v) is  x - source = w (pixel00 - source + u U + v V), so the inverse of
  // [U V (pixel00 - source)] gives (u w, v w, w); with parallel rays  x - pixel00 = u U + v V + t direction.
  const Vec3 towards = view.parallel ? view.source : pixel00 - view.source;
  const Vec3& base = view.parallel ? pixel00 : view.source;
  const Mat3 inverse = inverse_of_columns(view.u, view.v, towards, view_index);
  ProjectionMatrix result{};
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t axis = 0; axis < 3; ++axis) result.m[row][axis] = inverse[row][axis];
    result.m[row][3] = -dot(inverse[row], base);
  }
  if (view.parallel) {
    for (double& entry : result.m[2]) entry = 0;
    result.m[2][3] = 1;
    return result;
  }
  // m[2][3] is w at the isocentre, as a share of the way to the panel.
  const double at_isocentre = result.m[2][3];
  if (!(at_isocentre * norm(towards) > kEdgeOn * norm(view.source)))
    throw Error(ErrorCode::input, fmt::format("view {} of the geometry does not look at the isocentre, which lies in "
                                              "or behind its source's plane; check its source and detector",
                                              view_index));
  for (auto& row : result.m)
    for (double& entry : row) entry /= at_isocentre;
  return result;
}

ProjectionMatrix voxel_to_panel(const Geometry& geometry, std::int64_t view, const Grid& grid) {
  const ProjectionMatrix world = world_to_panel(geometry, view);
  ProjectionMatrix result{};
  for (std::size_t row = 0; row < 3; ++row) {
    const Vec3 linear{world.m[row][0], world.m[row][1], world.m[row][2]};
    for (int axis = 0; axis < 3; ++axis) result.m[row][axis] = dot(linear, grid.step(axis));
    result.m[row][3] = dot(linear, grid.origin) + world.m[row][3];
  }
  return result;
}

std::vector<double> angular_gaps(const Geometry& geometry) {
  const std::size_t count = geometry.views.size();
  if (count < 2)
    throw Error(ErrorCode::input, "the geometry has fewer than two views, from which no angular gap can be told");
  // A parallel view and the one opposite see the same lines: there the circle closes after half a turn.
  const double turn = geometry.views[0].parallel ? std::numbers::pi : 2 * std::numbers::pi;
  std::vector<double> angles(count);
  for (std::size_t k = 0; k < count; ++k) {
    const double angle = angle_about_axis(geometry, k);
    angles[k] = angle - turn * std::floor(angle / turn);
  }
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return angles[a] < angles[b]; });
  std::vector<double> gaps(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double before = i > 0 ? angles[order[i - 1]] : angles[order[count - 1]] - turn;
    const double after = i + 1 < count ? angles[order[i + 1]] : angles[order[0]] + turn;
    gaps[order[i]] = 0.5 * (after - before);
  }
  return gaps;
}

}  // namespace kiban::ct
