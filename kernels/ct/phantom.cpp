#include "kernels/ct/phantom.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/ct/phantom_backends.hpp"

namespace kiban::ct {
namespace {

/// World -> frame in which the ellipsoid is the unit ball.
struct ToBall {
  Mat3 matrix;
  Vec3 centre;
  explicit ToBall(const Ellipsoid& e) : centre(e.centre_mm) {
    const double angle = e.angle_deg * std::numbers::pi / 180, c = std::cos(angle), s = std::sin(angle);
    matrix = {Vec3{c / e.semi_axes_mm[0], 0, s / e.semi_axes_mm[0]}, Vec3{0, 1 / e.semi_axes_mm[1], 0},
              Vec3{-s / e.semi_axes_mm[2], 0, c / e.semi_axes_mm[2]}};
  }
  Vec3 point(const Vec3& p) const { return matrix * (p - centre); }
  Vec3 direction(const Vec3& d) const { return matrix * d; }
};

bool is_finite(const Vec3& a) { return std::isfinite(a[0]) && std::isfinite(a[1]) && std::isfinite(a[2]); }

void check(std::span<const Ellipsoid> ellipsoids) {
  for (std::size_t e = 0; e < ellipsoids.size(); ++e) {
    const Ellipsoid& ellipsoid = ellipsoids[e];
    const bool finite = is_finite(ellipsoid.semi_axes_mm) && is_finite(ellipsoid.centre_mm) &&
                        std::isfinite(ellipsoid.angle_deg) && std::isfinite(ellipsoid.density);
    if (!finite || !(*std::min_element(ellipsoid.semi_axes_mm.begin(), ellipsoid.semi_axes_mm.end()) > 0))
      throw Error(ErrorCode::input, fmt::format("ellipsoid {} of the phantom is not finite, or has a semi-axis that is "
                                                "not positive; check its scale and density",
                                                e));
  }
}

/// |a + u b + v c|^2.
Quadratic squared_norm(const Vec3& a, const Vec3& b, const Vec3& c) {
  return {{static_cast<float>(dot(a, a)), static_cast<float>(2 * dot(a, b)), static_cast<float>(2 * dot(a, c)),
           static_cast<float>(dot(b, b)), static_cast<float>(2 * dot(b, c)), static_cast<float>(dot(c, c))}};
}

/// |a + u b + v c|^2 - |d + u e + v f|^2, subtracted before it is rounded.
Quadratic difference(const Vec3 (&plus)[3], const Vec3 (&minus)[3]) {
  const auto entry = [&](int i, int j) {
    const double value = dot(plus[i], plus[j]) - dot(minus[i], minus[j]);
    return static_cast<float>(i == j ? value : 2 * value);
  };
  return {{entry(0, 0), entry(0, 1), entry(0, 2), entry(1, 1), entry(1, 2), entry(2, 2)}};
}

Vec3 pixel_position(const Geometry& geometry, const View& view, double u, double v) {
  return view.detector + (u - 0.5 * static_cast<double>(geometry.columns - 1)) * view.u +
         (v - 0.5 * static_cast<double>(geometry.rows - 1)) * view.v;
}

/// The pixel about which polynomials are written: where the centre of the ellipsoid falls, or the panel's own centre
/// when that is behind the source or so far away that a float cannot count pixels there.
std::array<double, 2> expansion_pixel(const Geometry& geometry, const ProjectionMatrix& matrix, const Vec3& centre) {
  constexpr double kFar = 1e6;
  const PanelPoint at = matrix(centre[0], centre[1], centre[2]);
  if (at.w > 0 && std::abs(at.u) < kFar && std::abs(at.v) < kFar)
    return {static_cast<float>(at.u), static_cast<float>(at.v)};
  return {0.5 * static_cast<double>(geometry.columns - 1), 0.5 * static_cast<double>(geometry.rows - 1)};
}

EllipsoidShadow shadow_of(const Ellipsoid& ellipsoid, const Geometry& geometry, const View& view,
                          const ProjectionMatrix& matrix) {
  const ToBall ball(ellipsoid);
  const auto [u, v] = expansion_pixel(geometry, matrix, ellipsoid.centre_mm);
  const Vec3 pixel = pixel_position(geometry, view, u, v);
  const Vec3 bu = ball.direction(view.u), bv = ball.direction(view.v);
  EllipsoidShadow shadow{
      static_cast<float>(u), static_cast<float>(v), {}, {}, {}, static_cast<float>(ellipsoid.density), 0};
  if (view.parallel) {
    const Vec3 d = ball.direction(view.source), p = ball.point(pixel);
    shadow.speed = squared_norm(d, {}, {});
    shadow.discriminant = difference({d, {}, {}}, {cross(p, d), cross(bu, d), cross(bv, d)});
    shadow.ahead = {{1}};
    return shadow;
  }
  const Vec3 p = ball.point(view.source), d = ball.direction(pixel - view.source);
  shadow.speed = squared_norm(d, bu, bv);
  shadow.discriminant = difference({d, bu, bv}, {cross(p, d), cross(p, bu), cross(p, bv)});
  shadow.ahead = {{static_cast<float>(-dot(p, d)), static_cast<float>(-dot(p, bu)), static_cast<float>(-dot(p, bv))}};
  shadow.holds_source = dot(p, p) < 1 ? 1 : 0;
  return shadow;
}

RayLength ray_length(const Geometry& geometry, const View& view) {
  const double u = 0.5 * static_cast<double>(geometry.columns - 1), v = 0.5 * static_cast<double>(geometry.rows - 1);
  RayLength length{static_cast<float>(u), static_cast<float>(v), {{1}}};  // parallel: the direction is a unit vector
  if (!view.parallel) length.squared = squared_norm(pixel_position(geometry, view, u, v) - view.source, view.u, view.v);
  return length;
}

template <class T, int N>
Array<T, N> on_device(Stream& stream, const std::vector<T>& values, const Shape<N>& shape) {
  Array<T, N> array(shape, stream.device());
  copy(stream, Span<const T, N>(values.data(), shape), array.span());
  return array;
}

}  // namespace

std::vector<Ellipsoid> shepp_logan(double scale_mm, double density_scale) {
  struct Row {
    Vec3 semi_axes, centre;
    double angle_deg, density;
  };
  static constexpr Row kHead[] = {
      {{0.69, 0.90, 0.92}, {0, 0, 0}, 0, 2},
      {{0.6624, 0.880, 0.874}, {0, 0, 0}, 0, -0.98},
      {{0.41, 0.21, 0.16}, {-0.22, -0.25, 0}, 108, -0.02},
      {{0.31, 0.22, 0.11}, {0.22, -0.25, 0}, 72, -0.02},
      {{0.21, 0.50, 0.25}, {0, -0.25, 0.35}, 0, 0.02},
      {{0.046, 0.046, 0.046}, {0, -0.25, 0.10}, 0, 0.02},
      {{0.046, 0.02, 0.023}, {-0.08, -0.25, -0.65}, 0, 0.01},
      {{0.046, 0.02, 0.023}, {0.06, -0.25, -0.65}, 90, 0.01},
      {{0.056, 0.1, 0.04}, {0.06, 0.625, -0.105}, 90, 0.02},
      {{0.056, 0.1, 0.056}, {0, 0.625, 0.1}, 0, -0.02},
  };
  std::vector<Ellipsoid> head;
  for (const Row& row : kHead)
    head.push_back({scale_mm * row.semi_axes, scale_mm * row.centre, row.angle_deg, density_scale * row.density});
  return head;
}

void project_ellipsoids(Stream& stream, std::span<const Ellipsoid> ellipsoids, const Geometry& geometry,
                        std::int64_t first, Span<float, 3> projections) {
  check(ellipsoids);
  const std::int64_t count = projections.extent(0);
  if (projections.extent(1) != geometry.rows || projections.extent(2) != geometry.columns || first < 0 ||
      first + count > static_cast<std::int64_t>(geometry.views.size()))
    throw Error(ErrorCode::internal, "the projections to simulate do not have the shape of the geometry");
  if (projections.size() == 0) return;
  if (ellipsoids.empty()) {
    zero(stream, projections);
    return stream.synchronize();
  }
  std::vector<EllipsoidShadow> shadows;
  std::vector<RayLength> lengths;
  for (std::int64_t k = first; k < first + count; ++k) {
    const View& view = geometry.views[static_cast<std::size_t>(k)];
    const ProjectionMatrix matrix = world_to_panel(geometry, k);
    for (const Ellipsoid& ellipsoid : ellipsoids) shadows.push_back(shadow_of(ellipsoid, geometry, view, matrix));
    lengths.push_back(ray_length(geometry, view));
  }
  const auto device_shadows =
      on_device<EllipsoidShadow, 2>(stream, shadows, {count, static_cast<std::int64_t>(ellipsoids.size())});
  const auto device_lengths = on_device<RayLength, 1>(stream, lengths, {count});
  KIBAN_BACKEND_FOR(stream, project_shadows)(stream, device_shadows.span(), device_lengths.span(), projections);
  stream.synchronize();
}

void rasterise_ellipsoids(Stream& stream, std::span<const Ellipsoid> ellipsoids, const Grid& grid,
                          Span<float, 3> volume) {
  check(ellipsoids);
  if (!is_finite(grid.world({0, 0, 0})) || !is_finite(grid.step(0)) || !is_finite(grid.step(1)) ||
      !is_finite(grid.step(2)))
    throw Error(ErrorCode::input, "the grid's origin, spacing or direction is not finite; check the volume's header");
  if (volume.shape() != grid.shape) throw Error(ErrorCode::internal, "the volume does not have the shape of its grid");
  if (volume.size() == 0) return;
  if (ellipsoids.empty()) {
    zero(stream, volume);
    return stream.synchronize();
  }
  std::vector<UnitBall> balls;
  for (const Ellipsoid& ellipsoid : ellipsoids) {
    const ToBall to_ball(ellipsoid);
    const Vec3 parts[4] = {to_ball.point(grid.origin), to_ball.direction(grid.step(0)), to_ball.direction(grid.step(1)),
                           to_ball.direction(grid.step(2))};
    UnitBall ball{};
    float* const targets[4] = {ball.origin, ball.dx, ball.dy, ball.dz};
    for (std::size_t part = 0; part < 4; ++part)
      for (std::size_t a = 0; a < 3; ++a) targets[part][a] = static_cast<float>(parts[part][a]);
    ball.density = static_cast<float>(ellipsoid.density);
    balls.push_back(ball);
  }
  const auto device_balls = on_device<UnitBall, 1>(stream, balls, {static_cast<std::int64_t>(balls.size())});
  KIBAN_BACKEND_FOR(stream, rasterise_balls)(stream, device_balls.span(), volume);
  stream.synchronize();
}

}  // namespace kiban::ct
