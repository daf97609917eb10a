#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/core/volume.hpp"

namespace kiban::test {

/// Values that no transposition, flip or shift leaves as they are.
inline float pattern_value(std::int64_t z, std::int64_t y, std::int64_t x) {
  return static_cast<float>(1000 * z + 37 * y) + 0.125f * static_cast<float>(x) - 500;
}

inline Array<float, 3> pattern(const Shape<3>& shape) {
  Array<float, 3> array(shape);
  const auto view = array.host();
  for (std::int64_t z = 0; z < shape[0]; ++z)
    for (std::int64_t y = 0; y < shape[1]; ++y)
      for (std::int64_t x = 0; x < shape[2]; ++x) view(z, y, x) = pattern_value(z, y, x);
  return array;
}

/// A grid with nothing regular about it: anisotropic, off centre, turned about two axes.
inline Grid oblique_grid(const Shape<3>& shape) {
  const double a = 0.3, b = -0.5;
  Grid grid;
  grid.shape = shape;
  grid.spacing = {0.7, 1.25, 2.5};
  grid.origin = {-12.5, 3.25, 101.75};
  grid.direction = {Vec3{std::cos(a), -std::sin(a) * std::cos(b), std::sin(a) * std::sin(b)},
                    Vec3{std::sin(a), std::cos(a) * std::cos(b), -std::cos(a) * std::sin(b)},
                    Vec3{0, std::sin(b), std::cos(b)}};
  return grid;
}

}  // namespace kiban::test
