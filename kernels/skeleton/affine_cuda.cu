// How a GPU walks it: a thread a value. Compiled by nvcc into the library and by the C++ compiler into the tests.
#include "kernels/core/cuda/launch.cuh"
#include "kernels/skeleton/affine.hpp"

namespace kiban::skeleton::KIBAN_CUDA_NAMESPACE {
namespace {

KIBAN_HD inline float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
#include "kernels/skeleton/affine_math-inl.hpp"

__global__ void affine_kernel(float scale, float offset, float* values, std::int64_t count) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) values[i] = affine_value(scale, offset, values[i]);
}

}  // namespace

void affine(Stream& stream, float scale, float offset, Span<float, 3> values) {
  constexpr unsigned kThreads = 256;
  const auto view = values.on(stream.device());
  gpu::launch(stream, gpu::blocks_for(view.size(), kThreads), kThreads, affine_kernel, scale, offset, view.data,
              view.size());
}

}  // namespace kiban::skeleton::KIBAN_CUDA_NAMESPACE
