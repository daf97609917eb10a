#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/core/array.hpp"

namespace kiban::image::cpu {

/// Rows [z,y] of labels in bands of some thousand voxels, whatever the number of threads.
struct Bands {
  explicit Bands(const Shape<3>& shape) : columns(shape[2]), rows_of_slice(shape[1]), rows(shape[0] * shape[1]) {
    constexpr std::int64_t kVoxels = 1 << 13;
    rows_of_band = std::clamp<std::int64_t>(kVoxels / columns, 1, rows);
    count = (rows + rows_of_band - 1) / rows_of_band;
  }

  std::int64_t first_row_of_band(std::int64_t band) const { return std::min(rows, band * rows_of_band); }

  std::int64_t columns, rows_of_slice, rows, rows_of_band, count;
};

}  // namespace kiban::image::cpu
