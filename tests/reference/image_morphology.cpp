#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/reference/image.hpp"

namespace kiban::reference {

std::vector<double> extremes(const std::vector<double>& values, const Shape<3>& shape,
                             const std::vector<std::array<std::int64_t, 3>>& offsets, bool largest) {
  std::vector<double> made;
  for (std::int64_t z = 0; z < shape[0]; ++z)
    for (std::int64_t y = 0; y < shape[1]; ++y)
      for (std::int64_t x = 0; x < shape[2]; ++x) {
        double found = largest ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
        for (const auto& [dx, dy, dz] : offsets) {
          const std::int64_t i = x + dx, j = y + dy, k = z + dz;
          if (i < 0 || i >= shape[2] || j < 0 || j >= shape[1] || k < 0 || k >= shape[0]) continue;
          const double value = values[static_cast<std::size_t>((k * shape[1] + j) * shape[2] + i)];
          found = largest ? std::max(found, value) : std::min(found, value);
        }
        made.push_back(found);
      }
  return made;
}

NearestLabels nearest_labels(const std::vector<std::uint32_t>& labels, const Shape<3>& shape, const Vec3& spacing_mm) {
  const auto place = [&](std::size_t at) {
    const auto i = static_cast<std::int64_t>(at);
    return Vec3{static_cast<double>(i % shape[2]) * spacing_mm[0],
                static_cast<double>(i / shape[2] % shape[1]) * spacing_mm[1],
                static_cast<double>(i / shape[2] / shape[1]) * spacing_mm[2]};
  };
  NearestLabels made;
  for (std::size_t p = 0; p < labels.size(); ++p) {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t q = 0; q < labels.size(); ++q)
      if (labels[q] != 0) least = std::min(least, norm(place(p) - place(q)));
    std::vector<std::uint32_t> as_near;
    for (std::size_t q = 0; q < labels.size(); ++q)
      if (labels[q] != 0 && norm(place(p) - place(q)) <= least * (1 + 1e-7)) as_near.push_back(labels[q]);
    std::ranges::sort(as_near);
    made.labels.push_back(as_near);
    made.mm.push_back(least);
  }
  return made;
}

}  // namespace kiban::reference
