#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/reference/ct.hpp"
#include "tests/reference/threads.hpp"

namespace kiban::reference {
namespace {

/// Into the frame in which the ellipsoid is the unit ball; `from_centre` for points, not for directions.
Vec3 to_ball(const ct::Ellipsoid& ellipsoid, Vec3 p, bool from_centre) {
  if (from_centre) p = p - ellipsoid.centre_mm;
  const double angle = ellipsoid.angle_deg * std::numbers::pi / 180;
  const double c = std::cos(angle), s = std::sin(angle);
  return {(c * p[0] + s * p[2]) / ellipsoid.semi_axes_mm[0], p[1] / ellipsoid.semi_axes_mm[1],
          (c * p[2] - s * p[0]) / ellipsoid.semi_axes_mm[2]};
}

/// For every pixel: body(source or a point of the ray, pixel).
template <class Integral>
Values for_every_pixel(const ct::Geometry& geometry, const Integral& integral) {
  Values projections(geometry.views.size() * static_cast<std::size_t>(geometry.rows * geometry.columns));
  on_threads(geometry.views.size() * static_cast<std::size_t>(geometry.rows), [&](std::size_t line) {
    const std::size_t k = line / static_cast<std::size_t>(geometry.rows);
    const double row = static_cast<double>(line % static_cast<std::size_t>(geometry.rows));
    const ct::View& view = geometry.views[k];
    for (std::int64_t column = 0; column < geometry.columns; ++column) {
      const Vec3 pixel = pixel_position(geometry, k, row, static_cast<double>(column));
      projections[line * static_cast<std::size_t>(geometry.columns) + static_cast<std::size_t>(column)] =
          integral(view.parallel ? pixel - view.source : view.source, pixel, view.parallel);
    }
  });
  return projections;
}

}  // namespace

Vec3 pixel_position(const ct::Geometry& geometry, std::size_t k, double row, double column) {
  const ct::View& view = geometry.views[k];
  return view.detector + (column - 0.5 * static_cast<double>(geometry.columns - 1)) * view.u +
         (row - 0.5 * static_cast<double>(geometry.rows - 1)) * view.v;
}

ct::PanelPoint project(const ct::Geometry& geometry, std::size_t k, const Vec3& point) {
  const ct::View& view = geometry.views[k];
  const Vec3 normal = cross(view.u, view.v);
  const Vec3 direction = view.parallel ? view.source : point - view.source;
  const Vec3 hit = point + (dot(normal, view.detector - point) / dot(normal, direction)) * direction;
  // hit - pixel00 = a u + b v, u and v not necessarily orthogonal: normal equations.
  const Vec3 d = hit - pixel_position(geometry, k, 0, 0);
  const double uu = dot(view.u, view.u), uv = dot(view.u, view.v), vv = dot(view.v, view.v);
  const double du = dot(d, view.u), dv = dot(d, view.v), determinant = uu * vv - uv * uv;
  const double w = view.parallel ? 1 : dot(normal, point - view.source) / dot(normal, -1. * view.source);
  return {(du * vv - dv * uv) / determinant, (dv * uu - du * uv) / determinant, w};
}

std::vector<double> angular_gaps(const ct::Geometry& geometry) {
  const double turn = geometry.views[0].parallel ? std::numbers::pi : 2 * std::numbers::pi;
  // Any two directions that span the plane of rotation will do.
  Vec3 e1 = cross(geometry.axis, Vec3{0.3, 0.5, 0.8});
  e1 = (1 / norm(e1)) * e1;
  const Vec3 e2 = cross(geometry.axis, e1);
  std::vector<double> angles;
  for (const ct::View& view : geometry.views) {
    const double sign = view.parallel ? -1 : 1;
    angles.push_back(std::atan2(sign * dot(view.source, e2), sign * dot(view.source, e1)));
  }
  std::vector<double> gaps;
  for (std::size_t k = 0; k < angles.size(); ++k) {
    double ahead = turn, behind = turn;
    for (std::size_t j = 0; j < angles.size(); ++j) {
      if (j == k) continue;
      double forward = std::fmod(angles[j] - angles[k] + 4 * turn, turn);
      if (turn - forward < 1e-12) forward = 0;
      // Views at the same angle stand in the order in which they were taken.
      const bool same = forward < 1e-12;
      ahead = std::min(ahead, same && j < k ? turn : forward);
      behind = std::min(behind, same && j > k ? turn : same ? 0 : turn - forward);
    }
    gaps.push_back(0.5 * (ahead + behind));
  }
  return gaps;
}

double line_integral(std::span<const ct::Ellipsoid> ellipsoids, const Vec3& from, const Vec3& to, bool parallel) {
  double sum = 0;
  for (const ct::Ellipsoid& ellipsoid : ellipsoids) {
    const Vec3 p = to_ball(ellipsoid, from, true), d = to_ball(ellipsoid, to - from, false);
    const double a = dot(d, d), b = dot(p, d), c = dot(p, p) - 1;
    const double discriminant = b * b - a * c;
    if (!(discriminant > 0)) continue;
    double enter = (-b - std::sqrt(discriminant)) / a, leave = (-b + std::sqrt(discriminant)) / a;
    if (!parallel) {
      enter = std::max(enter, 0.);
      leave = std::max(leave, 0.);
    }
    sum += ellipsoid.density * (leave - enter) * norm(to - from);
  }
  return sum;
}

Values line_integrals(std::span<const ct::Ellipsoid> ellipsoids, const ct::Geometry& geometry) {
  return for_every_pixel(geometry, [&](const Vec3& from, const Vec3& to, bool parallel) {
    return line_integral(ellipsoids, from, to, parallel);
  });
}

double density(std::span<const ct::Ellipsoid> ellipsoids, const Vec3& point) {
  double sum = 0;
  for (const ct::Ellipsoid& ellipsoid : ellipsoids)
    if (norm(to_ball(ellipsoid, point, true)) <= 1) sum += ellipsoid.density;
  return sum;
}

Values rasterise(std::span<const ct::Ellipsoid> ellipsoids, const Grid& grid) {
  Values volume;
  volume.reserve(static_cast<std::size_t>(element_count<3>(grid.shape)));
  for (std::int64_t z = 0; z < grid.nz(); ++z)
    for (std::int64_t y = 0; y < grid.ny(); ++y)
      for (std::int64_t x = 0; x < grid.nx(); ++x)
        volume.push_back(
            density(ellipsoids, grid.world({static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)})));
  return volume;
}

}  // namespace kiban::reference
