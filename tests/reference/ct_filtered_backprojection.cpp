#include <cmath>
#include <numbers>

#include "tests/reference/ct.hpp"
#include "tests/reference/threads.hpp"

namespace kiban::reference {
namespace {

double pi() { return std::numbers::pi; }

/// Smallest even length >= 2 columns - 1 without prime factors beyond 5.
std::int64_t transform_length(std::int64_t columns) {
  for (std::int64_t length = 2 * columns;; length += 2) {
    std::int64_t rest = length;
    for (const std::int64_t prime : {2, 3, 5})
      while (rest % prime == 0) rest /= prime;
    if (rest == 1) return length;
  }
}

/// At a share `f` of the cut-off frequency.
double window_value(ct::Window window, double f) {
  switch (window) {
    case ct::Window::ram_lak:
      return 1;
    case ct::Window::shepp_logan:
      return f == 0 ? 1 : std::sin(pi() * f / 2) / (pi() * f / 2);
    case ct::Window::cosine:
      return std::cos(pi() * f / 2);
    case ct::Window::hamming:
      return 0.54 + 0.46 * std::cos(pi() * f);
    case ct::Window::hann:
      return 0.5 + 0.5 * std::cos(pi() * f);
  }
  return 0;
}

/// The panel extended by zeros, between its pixels.
double panel_value(const double* panel, std::int64_t rows, std::int64_t columns, double u, double v) {
  const double u0 = std::floor(u), v0 = std::floor(v);
  if (!(u0 >= -1 && v0 >= -1 && u0 < static_cast<double>(columns) && v0 < static_cast<double>(rows))) return 0;
  double sum = 0;
  for (int dv = 0; dv < 2; ++dv)
    for (int du = 0; du < 2; ++du) {
      const auto column = static_cast<std::int64_t>(u0) + du, row = static_cast<std::int64_t>(v0) + dv;
      if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
      const double share_u = du ? u - u0 : 1 - (u - u0), share_v = dv ? v - v0 : 1 - (v - v0);
      sum += share_u * share_v * panel[row * columns + column];
    }
  return sum;
}

}  // namespace

double weight(const ct::Geometry& geometry, std::size_t k, double gap, double row, double column) {
  const ct::View& view = geometry.views[k];
  if (view.parallel) return gap;
  const Vec3 normal_scaled = cross(view.u, view.v);
  const Vec3 normal = (1 / norm(normal_scaled)) * normal_scaled;
  const double sid = std::abs(dot(normal, view.source));
  const double sdd = std::abs(dot(normal, view.source - view.detector));
  const Vec3 towards_axis = dot(view.source, geometry.axis) * geometry.axis - view.source;
  const Vec3 ray = pixel_position(geometry, k, row, column) - view.source;
  const double cos_gamma = dot(ray, towards_axis) / (norm(ray) * norm(towards_axis));
  return gap * sdd * norm(view.source) / (2 * sid * sid) * cos_gamma;
}

std::vector<double> ramp_kernel(std::int64_t columns, double spacing_mm, ct::Window window, double cutoff) {
  const std::int64_t length = transform_length(columns);
  const auto count = static_cast<std::size_t>(length);
  std::vector<double> ramp(count), response(count), kernel(count);
  for (std::int64_t n = 0; n < length; ++n) {
    const std::int64_t distance = std::min(n, length - n);
    const double odd = pi() * static_cast<double>(distance) * spacing_mm;
    ramp[static_cast<std::size_t>(n)] = distance == 0       ? 1 / (4 * spacing_mm * spacing_mm)
                                        : distance % 2 == 1 ? -1 / (odd * odd)
                                                            : 0;
  }
  std::vector<double> cosine(count);
  for (std::size_t i = 0; i < count; ++i)
    cosine[i] = std::cos(2 * pi() * static_cast<double>(i) / static_cast<double>(count));
  for (std::size_t f = 0; f < count; ++f) {
    double sum = 0;
    for (std::size_t n = 0; n < count; ++n) sum += ramp[n] * cosine[f * n % count];
    const double share = static_cast<double>(std::min(f, count - f)) / (static_cast<double>(count) / 2);
    response[f] = share <= cutoff ? spacing_mm * sum * window_value(window, share / cutoff) : 0;
  }
  for (std::size_t n = 0; n < count; ++n) {
    double sum = 0;
    for (std::size_t f = 0; f < count; ++f) sum += response[f] * cosine[f * n % count];
    kernel[n] = sum / static_cast<double>(count);
  }
  return kernel;
}

Values filter(const Values& projections, const ct::Geometry& geometry, ct::Window window, double cutoff) {
  const std::int64_t rows = geometry.rows, columns = geometry.columns;
  const std::vector<double> gaps = reference::angular_gaps(geometry);
  Values filtered(projections.size());
  on_threads(geometry.views.size(), [&](std::size_t k) {
    const std::vector<double> kernel = ramp_kernel(columns, norm(geometry.views[k].u), window, cutoff);
    std::vector<double> weighted(static_cast<std::size_t>(columns));
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::size_t line = (k * static_cast<std::size_t>(rows) + static_cast<std::size_t>(row)) * weighted.size();
      for (std::size_t u = 0; u < weighted.size(); ++u)
        weighted[u] =
            projections[line + u] * weight(geometry, k, gaps[k], static_cast<double>(row), static_cast<double>(u));
      for (std::size_t u = 0; u < weighted.size(); ++u) {
        double sum = 0;
        for (std::size_t j = 0; j < weighted.size(); ++j) sum += kernel[u > j ? u - j : j - u] * weighted[j];
        filtered[line + u] = sum;
      }
    }
  });
  return filtered;
}

Values backproject(const Values& filtered, const ct::Geometry& geometry, const Grid& grid) {
  const auto panel_size = static_cast<std::size_t>(geometry.rows * geometry.columns);
  Values volume(static_cast<std::size_t>(element_count<3>(grid.shape)));
  on_threads(static_cast<std::size_t>(grid.nz()), [&](std::size_t z) {
    for (std::int64_t y = 0; y < grid.ny(); ++y)
      for (std::int64_t x = 0; x < grid.nx(); ++x) {
        const Vec3 point = grid.world({static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)});
        double sum = 0;
        for (std::size_t k = 0; k < geometry.views.size(); ++k) {
          const ct::PanelPoint at = project(geometry, k, point);
          if (!(at.w > kLeastPerspective)) continue;
          sum += panel_value(filtered.data() + k * panel_size, geometry.rows, geometry.columns, at.u, at.v) /
                 (at.w * at.w);
        }
        volume[(z * static_cast<std::size_t>(grid.ny()) + static_cast<std::size_t>(y)) *
                   static_cast<std::size_t>(grid.nx()) +
               static_cast<std::size_t>(x)] = sum;
      }
  });
  return volume;
}

std::vector<bool> field_of_view(const ct::Geometry& geometry, const Grid& grid) {
  std::vector<char> seen(static_cast<std::size_t>(element_count<3>(grid.shape)), 1);
  on_threads(static_cast<std::size_t>(grid.nz()), [&](std::size_t z) {
    std::size_t voxel = z * static_cast<std::size_t>(grid.ny() * grid.nx());
    for (std::int64_t y = 0; y < grid.ny(); ++y)
      for (std::int64_t x = 0; x < grid.nx(); ++x, ++voxel) {
        const Vec3 point = grid.world({static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)});
        for (std::size_t k = 0; k < geometry.views.size() && seen[voxel]; ++k) {
          const ct::PanelPoint at = project(geometry, k, point);
          seen[voxel] = at.w > kLeastPerspective && at.u >= 0 && at.v >= 0 &&
                        at.u <= static_cast<double>(geometry.columns - 1) &&
                        at.v <= static_cast<double>(geometry.rows - 1);
        }
      }
  });
  return {seen.begin(), seen.end()};
}

Values fdk(const Values& projections, const ct::Geometry& geometry, const Grid& grid, const FdkOptions& options) {
  Values volume = backproject(filter(projections, geometry, options.window, options.cutoff), geometry, grid);
  if (options.mask_field_of_view) {
    const std::vector<bool> seen = field_of_view(geometry, grid);
    for (std::size_t i = 0; i < volume.size(); ++i)
      if (!seen[i]) volume[i] = 0;
  }
  return volume;
}

}  // namespace kiban::reference
