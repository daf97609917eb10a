#include "kernels/ct/backproject.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/core/backends.hpp"

namespace kiban::ct {

KIBAN_BACKENDS(backproject_block, Stream&, const PanelBlock&, std::span<const ProjectionMatrix>, Interpolation,
               Span<float, 3> volume)

int column_axis(std::span<const ProjectionMatrix> matrices) {
  // A tenth of a millionth of a pixel over a thousand voxels: rounding of a matrix product, not a tilt.
  constexpr double kNothing = 1e-10;
  const auto still = [](const double(&row)[4], int axis) {
    const double size = std::max({std::abs(row[0]), std::abs(row[1]), std::abs(row[2]), std::abs(row[3])});
    return std::abs(row[axis]) <= kNothing * size;
  };
  for (const int axis : {1, 2, 0}) {
    const bool fits = std::all_of(matrices.begin(), matrices.end(), [&](const ProjectionMatrix& matrix) {
      return still(matrix.m[0], axis) && still(matrix.m[2], axis);
    });
    if (fits && !matrices.empty()) return axis;
  }
  return -1;
}

bool wants_columns(Device device, std::span<const ProjectionMatrix> matrices, const Shape<3>& volume) {
  constexpr std::int64_t kShortestColumn = 4;  // a blend of two detector columns must pay; scans of two rows exist
  const int axis = column_axis(matrices);
  return device.kind == DeviceKind::cpu && axis >= 0 && volume[static_cast<std::size_t>(2 - axis)] >= kShortestColumn;
}

void backproject(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                 Interpolation interpolation, Span<float, 3> volume) {
  if (static_cast<std::int64_t>(matrices.size()) > PanelBlock::kViews || block.pixels.size() == 0)
    throw Error(ErrorCode::internal, "backprojection of more views than a block holds, or of an empty block");
  if (block.columns_contiguous && (stream.device().kind != DeviceKind::cpu || column_axis(matrices) < 0))
    throw Error(ErrorCode::internal, "backprojection of detector columns where only rows will do");
  if (matrices.empty() || volume.size() == 0) return;
  KIBAN_BACKEND_FOR(stream, backproject_block)(stream, block, matrices, interpolation, volume);
}

}  // namespace kiban::ct
