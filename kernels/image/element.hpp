#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/core/vec.hpp"

namespace kiban::image {

/// A structuring element, symmetric about its centre: rows of voxels dx = -reach to reach at dy, dz.
struct Element {
  struct Row {
    std::int32_t dz, dy, reach;
  };
  std::vector<Row> rows;
  bool is_box = false;  ///< all rows of a box, along whose axes one can go one after the other

  /// The largest dy, and dz, of a row.
  std::int64_t reach_y() const;
  std::int64_t reach_z() const;
};

/// Voxels up to `radius` from the centre along each of x, y, z.
Element box(const std::array<std::int64_t, 3>& radius);
/// The centre and the six voxels that share a face with it.
Element cross();
/// Voxels whose centres are not farther from the centre than `radius_mm`, up to a millionth.
Element ball(double radius_mm, const Vec3& spacing_mm);

}  // namespace kiban::image
