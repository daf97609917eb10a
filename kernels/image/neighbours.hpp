#pragma once
#include <cstdint>
#include <cstdlib>

#include "kernels/core/array.hpp"
#include "kernels/image/components.hpp"

namespace kiban::image {

/// The ends of the volume that a voxel lies at, as bits: x, y, z, of each the first and then the last.
inline std::uint8_t ends_at(const Shape<3>& shape, std::int64_t z, std::int64_t y, std::int64_t x) {
  return static_cast<std::uint8_t>((x == 0) | (x == shape[2] - 1) << 1 | (y == 0) << 2 | (y == shape[1] - 1) << 3 |
                                   (z == 0) << 4 | (z == shape[0] - 1) << 5);
}

/// The voxels that touch one: how far away they are in memory, and the ends at which there is none.
struct Neighbours {
  int count = 0;
  std::int64_t offset[26];
  std::uint8_t missing_at[26];

  Neighbours(const Shape<3>& shape, Connectivity connectivity) {
    const int most = connectivity == Connectivity::faces ? 1 : connectivity == Connectivity::edges ? 2 : 3;
    for (int dz = -1; dz <= 1; ++dz)
      for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
          const int differing = std::abs(dz) + std::abs(dy) + std::abs(dx);
          if (differing == 0 || differing > most) continue;
          offset[count] = (dz * shape[1] + dy) * shape[2] + dx;
          missing_at[count++] = static_cast<std::uint8_t>((dx < 0) | (dx > 0) << 1 | (dy < 0) << 2 | (dy > 0) << 3 |
                                                          (dz < 0) << 4 | (dz > 0) << 5);
        }
  }
};

}  // namespace kiban::image
