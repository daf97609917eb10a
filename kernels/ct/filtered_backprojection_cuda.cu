#include "kernels/core/array.hpp"
#include "kernels/core/cuda/launch.cuh"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kThreads = 256;

/// 8 bytes a value: bound by memory.
__global__ void __launch_bounds__(kThreads)
    scale_kernel(float factor, float offset, float* values, std::int64_t count) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) values[i] = fmaf(factor, values[i], offset);
}

}  // namespace

/// values = factor * values + offset.
void scale_values(Stream& stream, float factor, float offset, Span<float, 3> volume) {
  const ArrayView<float, 3> voxels = volume.on(stream.device());
  if (voxels.size() == 0) return;
  gpu::launch(stream, dim3(gpu::blocks_for(voxels.size(), kThreads)), dim3(kThreads), &scale_kernel, factor, offset,
              voxels.data, voxels.size());
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
