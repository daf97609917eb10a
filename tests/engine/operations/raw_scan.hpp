#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "io/hdf5/exchange_file.hpp"

namespace kiban::test {

/// A raw parallel scan of a disc that circles about column 20.5 of 48.
inline void write_raw_scan(const std::string& path, std::int64_t views, float brightness) {
  const std::int64_t rows = 2, columns = 48;
  Array<float, 3> counts({views, rows, columns}), flats({1, rows, columns}), darks({1, rows, columns});
  std::fill_n(flats.host().data, rows * columns, brightness + 10);
  std::fill_n(darks.host().data, rows * columns, 10.0F);
  std::vector<double> angles;
  for (std::int64_t k = 0; k < views; ++k) {
    angles.push_back(180.0 * static_cast<double>(k) / static_cast<double>(views));
    const double disc = 20.5 + 5 * std::cos(angles.back() * std::numbers::pi / 180);
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      const double x = (static_cast<double>(i % columns) - disc) / 8;
      const double chord = 2 * std::sqrt(std::max(0.0, 1 - x * x));
      counts.host().data[k * rows * columns + i] = 10 + brightness * static_cast<float>(std::exp(-chord));
    }
  }
  io::write_exchange(path, counts.span(), flats.span(), darks.span(), angles);
}

}  // namespace kiban::test
