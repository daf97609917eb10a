#include "kernels/image/element.hpp"

#include <algorithm>
#include <cmath>

namespace kiban::image {
namespace {

std::int64_t steps_within(double length, double spacing) {
  return static_cast<std::int64_t>(std::floor(length / spacing * (1 + 1e-6)));
}

Element::Row row(std::int64_t dz, std::int64_t dy, std::int64_t reach) {
  return {static_cast<std::int32_t>(dz), static_cast<std::int32_t>(dy), static_cast<std::int32_t>(reach)};
}

}  // namespace

std::int64_t Element::reach_y() const {
  std::int32_t most = 0;
  for (const Row& row : rows) most = std::max(most, row.dy);
  return most;
}

std::int64_t Element::reach_z() const {
  std::int32_t most = 0;
  for (const Row& row : rows) most = std::max(most, row.dz);
  return most;
}

Element box(const std::array<std::int64_t, 3>& radius) {
  Element made{{}, true};
  for (std::int64_t dz = -radius[2]; dz <= radius[2]; ++dz)
    for (std::int64_t dy = -radius[1]; dy <= radius[1]; ++dy) made.rows.push_back(row(dz, dy, radius[0]));
  return made;
}

Element cross() { return {{{-1, 0, 0}, {0, -1, 0}, {0, 0, 1}, {0, 1, 0}, {1, 0, 0}}, false}; }

Element ball(double radius_mm, const Vec3& spacing_mm) {
  Element made;
  const std::int64_t deep = steps_within(radius_mm, spacing_mm[2]);
  for (std::int64_t dz = -deep; dz <= deep; ++dz) {
    const double z = static_cast<double>(dz) * spacing_mm[2];
    const double disc = std::sqrt(std::max(0.0, radius_mm * radius_mm - z * z));
    const std::int64_t wide = steps_within(disc, spacing_mm[1]);
    for (std::int64_t dy = -wide; dy <= wide; ++dy) {
      const double y = static_cast<double>(dy) * spacing_mm[1];
      const double left = std::max(0.0, radius_mm * radius_mm - z * z - y * y);
      made.rows.push_back(row(dz, dy, steps_within(std::sqrt(left), spacing_mm[0])));
    }
  }
  return made;
}

}  // namespace kiban::image
