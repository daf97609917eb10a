#include <algorithm>
#include <cmath>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/field_of_view.hpp"

namespace kiban::ct::cpu {
namespace {

#define KIBAN_HD
#include "kernels/ct/field_of_view_math-inl.hpp"
#undef KIBAN_HD

constexpr std::int64_t kRowsAtOnce = 64;

}  // namespace

void find_seen_voxels(Stream& stream, std::span<const ProjectionMatrix> matrices, std::int64_t rows,
                      std::int64_t columns, std::int64_t nx, Span<SeenVoxels, 2> seen) {
  const auto found = seen.host();
  parallel_for(stream, found.size(), kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto y = static_cast<double>(row % found.shape[1]), z = static_cast<double>(row / found.shape[1]);
      RowInterval interval{0, static_cast<double>(nx - 1)};
      for (const ProjectionMatrix& matrix : matrices) {
        if (interval.high < interval.low) break;
        cut_to_panel(matrix.m, y, z, static_cast<double>(rows), static_cast<double>(columns), interval);
      }
      found.data[row] = voxels_in(interval, nx);
    }
  });
}

void mask_outside(Stream& stream, Span<const SeenVoxels, 2> seen, float outside, std::int64_t nx,
                  const VolumePointers& volumes, std::int64_t scans) {
  const auto rows = seen.host();
  parallel_for(stream, scans * rows.size(), kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* volume = volumes.of_scan[row / rows.size()];
      if (!volume) continue;
      const SeenVoxels& voxels = rows.data[row % rows.size()];
      float* values = volume + row % rows.size() * nx;
      std::fill(values, values + voxels.begin, outside);
      std::fill(values + voxels.end, values + nx, outside);
    }
  });
}

}  // namespace kiban::ct::cpu
