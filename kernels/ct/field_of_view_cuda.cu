#include <span>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/ct/field_of_view.hpp"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/ct/field_of_view_math-inl.hpp"

constexpr unsigned kWarp = 32, kRowsPerBlock = 8;

__device__ double warp_max(double value) {
  for (int flip = kWarp / 2; flip > 0; flip /= 2) value = max(value, __shfl_xor_sync(~0u, value, flip));
  return value;
}

/// A warp takes a row along x: its lanes share out the views. Costs 96 bytes (from L2) and about 40 operations of fp64
/// a row and view.
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    find_seen(const double (*matrices)[3][4], int views, double panel_rows, double panel_columns, std::int64_t nx,
              ArrayView<SeenVoxels, 2> seen) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsPerBlock + threadIdx.y;
  if (row >= seen.size()) return;  // the whole warp
  const auto y = static_cast<double>(row % seen.shape[1]), z = static_cast<double>(row / seen.shape[1]);
  RowInterval interval{0, static_cast<double>(nx - 1)};
  for (int view = static_cast<int>(threadIdx.x); view < views && interval.low <= interval.high; view += kWarp)
    cut_to_panel(matrices[view], y, z, panel_rows, panel_columns, interval);
  interval = {warp_max(interval.low), -warp_max(-interval.high)};
  if (threadIdx.x == 0) seen.data[row] = voxels_in(interval, nx);
}

/// A warp takes a row along x; it writes only what it masks.   grid (rows / 8, scans)
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    mask_rows(const SeenVoxels* seen, std::int64_t rows, float outside, std::int64_t nx,
              const __grid_constant__ VolumePointers volumes) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsPerBlock + threadIdx.y;
  float* const volume = volumes.of_scan[blockIdx.y];
  if (row >= rows || volume == nullptr) return;
  const SeenVoxels voxels = seen[row];
  for (std::int64_t x = threadIdx.x; x < nx; x += kWarp)
    if (x < voxels.begin || x >= voxels.end) volume[row * nx + x] = outside;
}

}  // namespace

void find_seen_voxels(Stream& stream, std::span<const ProjectionMatrix> matrices, std::int64_t rows,
                      std::int64_t columns, std::int64_t nx, Span<SeenVoxels, 2> seen) {
  static_assert(sizeof(ProjectionMatrix) == sizeof(double[3][4]));
  Array<ProjectionMatrix, 1> on_device({static_cast<std::int64_t>(matrices.size())}, stream.device());
  copy(stream, Span<const ProjectionMatrix, 1>(matrices.data(), on_device.shape()), on_device.span());
  const auto* first = reinterpret_cast<const double(*)[3][4]>(on_device.span().on(stream.device()).data);
  gpu::launch(stream, dim3(gpu::blocks_for(seen.size(), kRowsPerBlock)), dim3(kWarp, kRowsPerBlock), &find_seen, first,
              static_cast<int>(matrices.size()), static_cast<double>(rows), static_cast<double>(columns), nx,
              seen.on(stream.device()));
  stream.synchronize();  // the matrices go away
}

void mask_outside(Stream& stream, Span<const SeenVoxels, 2> seen, float outside, std::int64_t nx,
                  const VolumePointers& volumes, std::int64_t scans) {
  const ArrayView<const SeenVoxels, 2> rows = seen.on(stream.device());
  gpu::launch(stream, dim3(gpu::blocks_for(rows.size(), kRowsPerBlock), static_cast<unsigned>(scans)),
              dim3(kWarp, kRowsPerBlock), &mask_rows, rows.data, rows.size(), outside, nx, volumes);
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
