#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/threshold.hpp"
#include "kernels/image/threshold_bounds.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/threshold_math-inl.hpp"

constexpr unsigned kWarp = 32, kBlock = 256, kSharedBins = 4096;

KIBAN_DEVICE std::int64_t thread_number() { return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

/// Reads a voxel, writes a byte; the bounds stay in the cache.
template <class T>
__global__ void __launch_bounds__(kBlock) classify_kernel(std::int64_t voxels, const T* values, const Bound<T>* bounds,
                                                          int count, int bits, std::uint8_t* classes) {
  const std::int64_t at = thread_number();
  if (at >= voxels) return;
  const T value = values[at];
  int reached = 0;
  for (int k = 0; k < count; ++k) reached += reaches(value, bounds[k]);
  classes[at] = static_cast<std::uint8_t>(reached & bits);
}

/// Numbers as unsigned ones of the same order; floats, too.
KIBAN_DEVICE std::uint32_t in_order(float value) {
  const std::uint32_t bits = __float_as_uint(value);
  return bits >> 31 ? ~bits : bits | 0x80000000U;
}
template <class T>
KIBAN_DEVICE std::uint32_t in_order(T value) {
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(value) - (T(-1) < T(0) ? INT32_MIN : 0));
}
template <class T>
double from_order(std::uint32_t key) {
  if constexpr (std::is_same_v<T, float>) {
    const std::uint32_t bits = key >> 31 ? key & 0x7FFFFFFFU : ~key;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  } else {
    return static_cast<double>(static_cast<std::int64_t>(key) + (T(-1) < T(0) ? INT32_MIN : 0));
  }
}

template <class T>
KIBAN_DEVICE bool is_finite(T value) {
  return value - value == 0;
}

template <class T>
__global__ void __launch_bounds__(kBlock) find_range(std::int64_t voxels, const T* values, std::uint32_t* range) {
  const std::int64_t at = thread_number();
  const bool counts = at < voxels && is_finite(values[at]);
  std::uint32_t least = counts ? in_order(values[at]) : UINT32_MAX, largest = counts ? in_order(values[at]) : 0;
  for (int flip = kWarp / 2; flip > 0; flip /= 2) {
    least = min(least, __shfl_xor_sync(~0U, least, flip));
    largest = max(largest, __shfl_xor_sync(~0U, largest, flip));
  }
  if (threadIdx.x % kWarp != 0) return;
  if (least < range[0]) atomicMin(&range[0], least);
  if (largest > range[1]) atomicMax(&range[1], largest);
}

struct BlockCounts {
  std::uint32_t of[kSharedBins];
};

/// A block counts for itself where its bins fit shared memory, and adds its counts to those of all once.
template <class T>
__global__ void __launch_bounds__(kBlock) count_kernel(std::int64_t voxels, const T* values, double first_edge,
                                                       double width, std::int64_t bins, unsigned long long* counts) {
  BlockCounts& mine = gpu::block_shared<BlockCounts>();
  const bool in_shared = bins <= kSharedBins;
  if (in_shared)
    for (std::int64_t bin = threadIdx.x; bin < bins; bin += blockDim.x) mine.of[bin] = 0;
  __syncthreads();
  for (std::int64_t at = thread_number(); at < voxels; at += std::int64_t{gridDim.x} * blockDim.x) {
    if (!is_finite(values[at])) continue;
    const std::int64_t bin = bin_of(static_cast<double>(values[at]), first_edge, width, bins);
    if (in_shared)
      atomicAdd(&mine.of[bin], 1U);
    else
      atomicAdd(&counts[bin], 1ULL);
  }
  __syncthreads();
  if (in_shared)
    for (std::int64_t bin = threadIdx.x; bin < bins; bin += blockDim.x)
      if (mine.of[bin] != 0) atomicAdd(&counts[bin], static_cast<unsigned long long>(mine.of[bin]));
}

}  // namespace

void classify_voxels(Stream& stream, const ConstVoxelSpan& image, std::span<const double> thresholds,
                     Span<std::uint8_t, 3> classes, std::uint8_t bits) {
  with_voxel_type(image.type(), [&]<class T>() {
    const std::vector<Bound<T>> bounds = bounds_of<Bound<T>, T>(thresholds);
    const Shape<1> shape{static_cast<std::int64_t>(bounds.size())};
    Array<Bound<T>, 1> there({std::max<std::int64_t>(1, shape[0])}, stream.device());
    if (!bounds.empty()) copy(stream, Span<const Bound<T>, 1>(bounds.data(), shape), there.span().slice(0, shape[0]));
    gpu::launch(stream, gpu::blocks_for(image.size(), kBlock), kBlock, &classify_kernel<T>, image.size(),
                image.as<T>().on(stream.device()).data, there.span().on(stream.device()).data,
                static_cast<int>(bounds.size()), int{bits}, classes.on(stream.device()).data);
    stream.synchronize();  // the bounds go away
  });
}

void find_value_range(Stream& stream, const ConstVoxelSpan& image, ValueRange& range) {
  with_voxel_type(image.type(), [&]<class T>() {
    std::uint32_t keys[2] = {UINT32_MAX, 0};
    Array<std::uint32_t, 1> there({2}, stream.device());
    copy(stream, Span<const std::uint32_t, 1>(keys, {2}), there.span());
    gpu::launch(stream, gpu::blocks_for(image.size(), kBlock), kBlock, &find_range<T>, image.size(),
                image.as<T>().on(stream.device()).data, there.span().on(stream.device()).data);
    copy(stream, std::as_const(there).span(), Span<std::uint32_t, 1>(keys, {2}));
    stream.synchronize();
    range = keys[0] > keys[1] ? ValueRange{0, -1} : ValueRange{from_order<T>(keys[0]), from_order<T>(keys[1])};
  });
}

void count_values(Stream& stream, const ConstVoxelSpan& image, Histogram& histogram) {
  const Shape<1> shape{static_cast<std::int64_t>(histogram.counts.size())};
  std::vector<unsigned long long> counts(histogram.counts.size());
  Array<unsigned long long, 1> there(shape, stream.device());
  zero(stream, there.span());
  with_voxel_type(image.type(), [&]<class T>() {
    const unsigned blocks = std::min(1024U, gpu::blocks_for(image.size(), kBlock));
    gpu::launch(stream, blocks, kBlock, &count_kernel<T>, image.size(), image.as<T>().on(stream.device()).data,
                histogram.first_edge, histogram.width, shape[0], there.span().on(stream.device()).data);
  });
  copy(stream, std::as_const(there).span(), Span<unsigned long long, 1>(counts.data(), shape));
  stream.synchronize();
  std::ranges::transform(counts, histogram.counts.begin(), [](auto count) { return static_cast<std::int64_t>(count); });
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
