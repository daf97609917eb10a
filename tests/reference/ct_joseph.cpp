#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/reference/ct.hpp"
#include "tests/reference/threads.hpp"

namespace kiban::reference {
namespace {

/// Solves [x y z] i = p by Cramer's rule.
Vec3 to_index(const Grid& grid, const Vec3& p) {
  const Vec3 x = grid.step(0), y = grid.step(1), z = grid.step(2);
  const double determinant = dot(x, cross(y, z));
  return {dot(p, cross(y, z)) / determinant, dot(x, cross(p, z)) / determinant, dot(x, cross(y, p)) / determinant};
}

double voxel(const Values& volume, const Grid& grid, const std::int64_t (&index)[3]) {
  return volume[static_cast<std::size_t>((index[2] * grid.ny() + index[1]) * grid.nx() + index[0])];
}

/// Bilinear in the slice of `axis`; positions beyond the outermost voxels count as theirs.
double in_slice(const Values& volume, const Grid& grid, std::size_t axis, const Vec3& at) {
  const std::int64_t extent[3] = {grid.nx(), grid.ny(), grid.nz()};
  double sum = 0;
  for (int corner = 0; corner < 4; ++corner) {
    std::int64_t index[3];
    double weight = 1;
    for (std::size_t a = 0, other = 0; a < 3; ++a) {
      if (a == axis) {
        index[a] = std::llround(at[a]);
        continue;
      }
      const double held = std::clamp(at[a], 0., static_cast<double>(extent[a] - 1));
      const auto low = static_cast<std::int64_t>(std::floor(held));
      const bool upper = corner >> other & 1;
      weight *= upper ? held - static_cast<double>(low) : 1 - (held - static_cast<double>(low));
      index[a] = std::min(low + upper, extent[a] - 1);
      ++other;
    }
    sum += weight * voxel(volume, grid, index);
  }
  return sum;
}

/// Along start + t step, from `t0` to `t1`, in index coordinates; `length` mm for a step of t = 1.
double integrate(const Values& volume, const Grid& grid, const Vec3& start, const Vec3& step, double t0, double t1,
                 double length) {
  const std::int64_t extent[3] = {grid.nx(), grid.ny(), grid.nz()};
  std::size_t axis = 0;
  for (std::size_t a = 1; a < 3; ++a)
    if (std::abs(step[a]) > std::abs(step[axis])) axis = a;
  for (std::size_t a = 0; a < 3; ++a) {
    const double beyond = extent[a] == 1 ? 0.5 : 1e-6;
    const double low = -beyond, high = static_cast<double>(extent[a] - 1) + beyond;
    if (step[a] == 0) {
      if (start[a] < low || start[a] > high) return 0;
      continue;
    }
    const double ta = (low - start[a]) / step[a], tb = (high - start[a]) / step[a];
    t0 = std::max(t0, std::min(ta, tb));
    t1 = std::min(t1, std::max(ta, tb));
  }
  if (!(t1 > t0)) return 0;
  double sum = 0;
  for (std::int64_t slice = 0; slice < extent[axis]; ++slice) {
    const double s = static_cast<double>(slice);
    const double ta = (s - 0.5 - start[axis]) / step[axis], tb = (s + 0.5 - start[axis]) / step[axis];
    const double share = std::min(t1, std::max(ta, tb)) - std::max(t0, std::min(ta, tb));
    if (share <= 0) continue;
    Vec3 at = start + (s - start[axis]) / step[axis] * step;
    at[axis] = s;
    sum += share * length * in_slice(volume, grid, axis, at);
  }
  return sum;
}

}  // namespace

Values joseph(const Values& volume, const Grid& grid, const ct::Geometry& geometry) {
  Values projections(geometry.views.size() * static_cast<std::size_t>(geometry.rows * geometry.columns));
  const double infinity = std::numeric_limits<double>::infinity();
  on_threads(geometry.views.size(), [&](std::size_t k) {
    const ct::View& view = geometry.views[k];
    std::size_t pixel = k * static_cast<std::size_t>(geometry.rows * geometry.columns);
    for (std::int64_t row = 0; row < geometry.rows; ++row)
      for (std::int64_t column = 0; column < geometry.columns; ++column, ++pixel) {
        const Vec3 end = pixel_position(geometry, k, static_cast<double>(row), static_cast<double>(column));
        const Vec3 start = view.parallel ? end : view.source;
        const Vec3 direction = view.parallel ? view.source : end - start;
        projections[pixel] = integrate(volume, grid, to_index(grid, start - grid.origin), to_index(grid, direction),
                                       view.parallel ? -infinity : 0, view.parallel ? infinity : 1, norm(direction));
      }
  });
  return projections;
}

}  // namespace kiban::reference
