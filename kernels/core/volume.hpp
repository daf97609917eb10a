#pragma once
#include "kernels/core/array.hpp"
#include "kernels/core/vec.hpp"

namespace kiban {

/// Where the voxels of an array [z,y,x] lie. Vectors are in x, y, z order, in mm.
struct Grid {
  Shape<3> shape{};              ///< [z,y,x]
  Vec3 spacing{1, 1, 1};         ///< mm between voxel centres, along x, y, z indices
  Vec3 origin{0, 0, 0};          ///< mm, the centre of voxel (0,0,0)
  Mat3 direction = identity3();  ///< column j: the unit vector along which index j grows

  std::int64_t nx() const { return shape[2]; }
  std::int64_t ny() const { return shape[1]; }
  std::int64_t nz() const { return shape[0]; }
  /// World position of the (possibly fractional) index x, y, z.
  Vec3 world(const Vec3& index) const {
    return origin + direction * Vec3{spacing[0] * index[0], spacing[1] * index[1], spacing[2] * index[2]};
  }
  /// mm that a step of one along index `axis` (0 = x) moves.
  Vec3 step(int axis) const { return spacing[static_cast<std::size_t>(axis)] * column(direction, axis); }

  /// Axis-aligned grid of n voxels (x, y, z) centred on the world's origin.
  static Grid centred(const Shape<3>& shape, const Vec3& spacing) {
    Grid grid{shape, spacing, {}, identity3()};
    for (std::size_t a = 0; a < 3; ++a) grid.origin[a] = -0.5 * spacing[a] * static_cast<double>(shape[2 - a] - 1);
    return grid;
  }
};

/// Values with their place in space. Frame: RTK's world, or the patient's (DICOM, LPS) once it left an operation so.
struct Volume {
  Array<float, 3> values;
  Grid grid;
};

}  // namespace kiban
