#include <algorithm>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <utility>

#include "tests/reference/image.hpp"

namespace kiban::reference {

std::vector<std::size_t> touching(const Shape<3>& shape, int connectivity, std::size_t at) {
  const auto i = static_cast<std::int64_t>(at);
  const std::int64_t x = i % shape[2], y = i / shape[2] % shape[1], z = i / shape[2] / shape[1];
  const int most = connectivity == 6 ? 1 : connectivity == 18 ? 2 : 3;
  std::vector<std::size_t> found;
  for (int dz = -1; dz <= 1; ++dz)
    for (int dy = -1; dy <= 1; ++dy)
      for (int dx = -1; dx <= 1; ++dx) {
        const int differing = std::abs(dz) + std::abs(dy) + std::abs(dx);
        if (differing == 0 || differing > most || x + dx < 0 || x + dx >= shape[2] || y + dy < 0 ||
            y + dy >= shape[1] || z + dz < 0 || z + dz >= shape[0])
          continue;
        found.push_back(static_cast<std::size_t>(((z + dz) * shape[1] + y + dy) * shape[2] + x + dx));
      }
  return found;
}

std::vector<std::uint32_t> watershed(const std::vector<double>& image, const std::vector<std::uint32_t>& markers,
                                     const std::vector<bool>& floods, const Shape<3>& shape, int connectivity) {
  using Reached = std::pair<double, std::int64_t>;  // level, steps
  constexpr Reached kNever{std::numeric_limits<double>::infinity(), 0};
  std::vector<Reached> reached(image.size(), kNever);
  for (std::size_t p = 0; p < image.size(); ++p)
    if (markers[p] != 0 && floods[p]) reached[p] = {image[p], 0};
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t p = 0; p < image.size(); ++p) {
      if (markers[p] != 0 || !floods[p]) continue;
      for (const std::size_t q : touching(shape, connectivity, p)) {
        if (reached[q] == kNever) continue;
        const Reached by_q =
            reached[q].first < image[p] ? Reached{image[p], 0} : Reached{reached[q].first, reached[q].second + 1};
        if (by_q < reached[p]) {
          reached[p] = by_q;
          changed = true;
        }
      }
    }
  }
  std::vector<std::size_t> order(image.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t p) { return reached[p]; });
  std::vector<std::uint32_t> labels(image.size());
  for (const std::size_t p : order) {
    if (!floods[p] || reached[p] == kNever) continue;
    labels[p] = markers[p];
    if (markers[p] != 0) continue;
    std::pair<Reached, std::uint32_t> best{kNever, 0};
    for (const std::size_t q : touching(shape, connectivity, p))
      if (reached[q] != kNever) best = std::min(best, std::pair{reached[q], labels[q]});
    labels[p] = best.second;
  }
  return labels;
}

std::vector<double> reconstructed(const std::vector<double>& image, const std::vector<double>& marker,
                                  const Shape<3>& shape, int connectivity) {
  std::vector<double> sunk(image.size());
  for (std::size_t p = 0; p < image.size(); ++p) sunk[p] = std::max(image[p], marker[p]);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t p = 0; p < image.size(); ++p) {
      double lowest = sunk[p];
      for (const std::size_t q : touching(shape, connectivity, p)) lowest = std::min(lowest, sunk[q]);
      lowest = std::max(lowest, image[p]);
      changed = changed || lowest != sunk[p];
      sunk[p] = lowest;
    }
  }
  return sunk;
}

}  // namespace kiban::reference
