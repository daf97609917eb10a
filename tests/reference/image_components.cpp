#include <cstdlib>

#include "tests/reference/image.hpp"

namespace kiban::reference {

std::vector<std::uint32_t> components(const std::vector<std::uint32_t>& labels, const Shape<3>& shape, int connectivity,
                                      bool of_background) {
  const int steps = connectivity == 6 ? 1 : connectivity == 18 ? 2 : 3;
  const auto index = [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    return static_cast<std::size_t>((z * shape[1] + y) * shape[2] + x);
  };
  std::vector<std::uint32_t> numbers(labels.size(), 0);
  std::uint32_t count = 0;
  for (std::size_t first = 0; first < labels.size(); ++first) {
    if (numbers[first] != 0 || (labels[first] == 0) != of_background) continue;
    numbers[first] = ++count;
    std::vector<std::size_t> open{first};
    while (!open.empty()) {
      const auto at = static_cast<std::int64_t>(open.back());
      open.pop_back();
      const std::int64_t x = at % shape[2], y = at / shape[2] % shape[1], z = at / shape[2] / shape[1];
      for (std::int64_t dz = -1; dz <= 1; ++dz)
        for (std::int64_t dy = -1; dy <= 1; ++dy)
          for (std::int64_t dx = -1; dx <= 1; ++dx) {
            if (std::abs(dz) + std::abs(dy) + std::abs(dx) > steps) continue;
            if (z + dz < 0 || z + dz >= shape[0] || y + dy < 0 || y + dy >= shape[1] || x + dx < 0 ||
                x + dx >= shape[2])
              continue;
            const std::size_t next = index(z + dz, y + dy, x + dx);
            if (numbers[next] != 0 || labels[next] != labels[first]) continue;
            numbers[next] = count;
            open.push_back(next);
          }
    }
  }
  return numbers;
}

}  // namespace kiban::reference
