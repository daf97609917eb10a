#include "kernels/ct/backproject.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/core/backends.hpp"

namespace kiban::ct {

KIBAN_BACKENDS(backproject_block, Stream&, const PanelBlock&, std::span<const ProjectionMatrix>, Interpolation,
               ScanVolumes)

namespace {

/// Whether neither u nor w changes along the whole of a column. Rounding of a matrix product stays a million times
/// below these, and what they let pass a hundred times below what results are held to. The matrix is of w = 1 at the
/// isocentre; the translation, which says how far off the grid lies, has no part in it.
bool stands_still(const ProjectionMatrix& matrix, int axis, const Shape<3>& volume) {
  constexpr double kPixels = 1e-6, kShareOfDepth = 1e-10;  // the latter for panels of ten thousand columns
  const auto length = static_cast<double>(volume[static_cast<std::size_t>(2 - axis)]);
  return std::abs(matrix.m[0][axis]) * length <= kPixels && std::abs(matrix.m[2][axis]) * length <= kShareOfDepth;
}

/// Errors: input (a view maps the volume to where numbers end).
void check_matrices(std::span<const ProjectionMatrix> matrices, const Shape<3>& volume) {
  constexpr double kFurthest = 1e30;  // times the largest weight it is a float yet
  for (std::size_t view = 0; view < matrices.size(); ++view)
    for (const double(&row)[4] : matrices[view].m) {
      double reach = std::abs(row[3]);
      for (std::size_t axis = 0; axis < 3; ++axis) reach += std::abs(row[axis]) * static_cast<double>(volume[2 - axis]);
      if (!(reach < kFurthest))
        throw Error(ErrorCode::input, "view " + std::to_string(view) + " of a block of the scan puts the volume 1e30 " +
                                          "pixels or more away from its panel; check the geometry and the volume's " +
                                          "origin and spacing");
    }
}

}  // namespace

int column_axis(std::span<const ProjectionMatrix> matrices, const Shape<3>& volume) {
  for (const int axis : {1, 2, 0}) {
    const bool fits = std::all_of(matrices.begin(), matrices.end(),
                                  [&](const ProjectionMatrix& matrix) { return stands_still(matrix, axis, volume); });
    if (fits && !matrices.empty()) return axis;
  }
  return -1;
}

bool wants_columns(Device device, std::span<const ProjectionMatrix> matrices, const Shape<3>& volume) {
  constexpr std::int64_t kShortestColumn = 4;  // a blend of two detector columns must pay; scans of two rows exist
  const int axis = column_axis(matrices, volume);
  return device.kind == DeviceKind::cpu && axis >= 0 && volume[static_cast<std::size_t>(2 - axis)] >= kShortestColumn;
}

void backproject(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                 Interpolation interpolation, ScanVolumes volumes) {
  const auto views = static_cast<std::int64_t>(matrices.size()), scans = static_cast<std::int64_t>(volumes.size());
  if (views > PanelBlock::kViews || block.pixels.size() == 0 ||
      (scans > 0 && (scans - 1) * PanelBlock::kViews + views > block.slots()))
    throw Error(ErrorCode::internal, "backprojection of more views than a block holds, or of an empty block");
  const Shape<3> shape = shape_of(volumes);
  if (block.columns_contiguous && (stream.device().kind != DeviceKind::cpu || column_axis(matrices, shape) < 0))
    throw Error(ErrorCode::internal, "backprojection of detector columns where only rows will do");
  if (matrices.empty() || element_count<3>(shape) == 0) return;
  check_matrices(matrices, shape);
  KIBAN_BACKEND_FOR(stream, backproject_block)(stream, block, matrices, interpolation, volumes);
}

}  // namespace kiban::ct
