#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/finite.hpp"

namespace kiban::KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kThreads = 256;
/// Blocks that stride over the values: enough for any chip, so that few are launched for a volume of any size.
constexpr unsigned kMostBlocks = 4096;

/// 4 bytes a value: bound by memory. A warp that found something says so once.
__global__ void __launch_bounds__(kThreads) find_not_finite(const float* values, std::int64_t count, int* found) {
  constexpr unsigned kExponent = 0x7F800000;  // all ones: infinite, or not a number
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  bool bad = false;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += stride)
    bad |= (__builtin_bit_cast(unsigned, __ldg(values + i)) & kExponent) == kExponent;
  if (__any_sync(~0U, bad) && threadIdx.x % 32 == 0) atomicMax(found, 1);
}

}  // namespace

void check_finite(Stream& stream, Span<const float, 3> values, bool& finite) {
  const ArrayView<const float, 3> view = values.on(stream.device());
  Array<int, 1> found({1}, stream.device()), answer({1});
  zero(stream, found.span());
  gpu::launch(stream, dim3(std::min(gpu::blocks_for(view.size(), kThreads), kMostBlocks)), dim3(kThreads),
              &find_not_finite, view.data, view.size(), found.span().on(stream.device()).data);
  copy(stream, Span<const int, 1>(found.span()), answer.span());
  stream.synchronize();
  finite = answer.host()(0) == 0;
}

}  // namespace kiban::KIBAN_CUDA_NAMESPACE
