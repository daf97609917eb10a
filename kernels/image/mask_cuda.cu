#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/mask.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kBlock = 256;

///   reads a byte, writes some
__global__ void __launch_bounds__(kBlock)
    fill_kernel(std::int64_t voxels, const std::uint8_t* mask, bool of_zero, std::uint8_t value, std::uint8_t* values) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at < voxels && (mask[at] == 0) == of_zero) values[at] = value;
}

}  // namespace

void fill_masked(Stream& stream, Span<const std::uint8_t, 3> mask, Where where, std::uint8_t value,
                 Span<std::uint8_t, 3> values) {
  gpu::launch(stream, gpu::blocks_for(values.size(), kBlock), kBlock, &fill_kernel, values.size(),
              mask.on(stream.device()).data, where == Where::zero, value, values.on(stream.device()).data);
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
