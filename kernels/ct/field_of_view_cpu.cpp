#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/field_of_view.hpp"

namespace kiban::ct::cpu {
namespace {

#define KIBAN_HD
#include "kernels/ct/field_of_view_math-inl.hpp"
#undef KIBAN_HD

}  // namespace

void mask_outside(Stream& stream, std::span<const ProjectionMatrix> matrices, std::int64_t rows, std::int64_t columns,
                  float outside, Span<float, 3> volume) {
  const auto voxels = volume.host();
  const std::int64_t nz = voxels.shape[0], ny = voxels.shape[1], nx = voxels.shape[2];
  parallel_for(stream, nz * ny, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      RowInterval seen{0, static_cast<double>(nx - 1)};
      for (const ProjectionMatrix& matrix : matrices) {
        if (seen.high < seen.low) break;
        cut_to_panel(matrix.m, static_cast<double>(row % ny), static_cast<double>(row / ny), static_cast<double>(rows),
                     static_cast<double>(columns), seen);
      }
      float* values = voxels.data + row * nx;
      const auto first = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(seen.low)), 0, nx);
      const auto last = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(seen.high)) + 1, first, nx);
      std::fill(values, values + first, outside);
      std::fill(values + last, values + nx, outside);
    }
  });
}

}  // namespace kiban::ct::cpu
