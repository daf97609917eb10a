#include "kernels/core/cuda/launch.cuh"
#include "kernels/ct/scan_volumes.hpp"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kThreads = 256;

/// 8 bytes a value: bound by memory.   grid (values / 256, scans)
__global__ void __launch_bounds__(kThreads)
    scale_kernel(float factor, float offset, const __grid_constant__ VolumePointers volumes, std::int64_t count) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  float* const values = volumes.of_scan[blockIdx.y];
  if (i < count && values != nullptr) values[i] = fmaf(factor, values[i], offset);
}

}  // namespace

/// values = factor * values + offset.
void scale_values(Stream& stream, float factor, float offset, std::int64_t voxels, const VolumePointers& volumes,
                  std::int64_t scans) {
  gpu::launch(stream, dim3(gpu::blocks_for(voxels, kThreads), static_cast<unsigned>(scans)), dim3(kThreads),
              &scale_kernel, factor, offset, volumes, voxels);
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
