// Integer atomics only, so that no sum depends on the order of threads. Values are taken in fixed point of the largest
// of them: their sums and the sums of their squares' upper parts fit 64 bits.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/label_statistics.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kWarp = 32, kBlock = 256;
constexpr std::uint32_t kMostLabels = 1U << 20;
constexpr int kFractionBits = 31;

using Wide = unsigned long long;

struct Sums {
  Wide voxels, index_sum[3];
  Wide sum, squares_low, squares_high;  ///< two's complement; squares of 62 bits in two parts of 31
  std::uint32_t first[3], last[3];
  std::uint32_t least, largest;  ///< as `in_order`
  std::uint32_t has_nan;
};

/// Floats as numbers whose order is that of the floats.
KIBAN_DEVICE std::uint32_t in_order(float value) {
  const std::uint32_t bits = __float_as_uint(value);
  return bits >> 31 ? ~bits : bits | 0x80000000U;
}
float from_order(std::uint32_t key) {
  const std::uint32_t bits = key >> 31 ? key & 0x7FFFFFFFU : ~key;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

KIBAN_DEVICE std::int64_t thread_number() { return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

KIBAN_DEVICE std::uint32_t warp_largest(std::uint32_t value) {
  for (int flip = kWarp / 2; flip > 0; flip /= 2) value = max(value, __shfl_xor_sync(~0U, value, flip));
  return value;
}

/// The largest label, and the largest absolute value in the order of floats, NaN left out.
template <class T, class Value>
__global__ void __launch_bounds__(kBlock)
    find_largest(std::int64_t voxels, const T* labels, const Value* image, std::uint32_t* largest) {
  const std::int64_t at = thread_number();
  const std::uint32_t label = at < voxels ? labels[at] : 0;
  const float value = image && label != 0 ? fabsf(static_cast<float>(image[at])) : 0.0F;
  const std::uint32_t largest_label = warp_largest(label),
                      largest_value = warp_largest(value == value ? in_order(value) : 0);
  if (threadIdx.x % kWarp != 0) return;
  atomicMax(&largest[0], largest_label);
  atomicMax(&largest[1], largest_value);
}

template <class T, class Value>
__global__ void __launch_bounds__(kBlock) add_voxels(std::int64_t voxels, std::int64_t ny, std::int64_t nx,
                                                     const T* labels, const Value* image, double to_fixed, Sums* sums) {
  const std::int64_t at = thread_number();
  if (at >= voxels || labels[at] == 0) return;
  Sums& mine = sums[labels[at]];
  const std::int64_t place[3] = {at % nx, at / nx % ny, at / nx / ny};
  atomicAdd(&mine.voxels, 1);
  for (int axis = 0; axis < 3; ++axis) {
    const auto index = static_cast<std::uint32_t>(place[axis]);
    atomicAdd(&mine.index_sum[axis], index);
    if (index < mine.first[axis]) atomicMin(&mine.first[axis], index);
    if (index > mine.last[axis]) atomicMax(&mine.last[axis], index);
  }
  if (!image) return;
  const double value = static_cast<double>(image[at]);
  if (value != value) {
    mine.has_nan = 1;
    return;
  }
  const std::uint32_t key = in_order(static_cast<float>(image[at]));
  if (key < mine.least) atomicMin(&mine.least, key);
  if (key > mine.largest) atomicMax(&mine.largest, key);
  const long long fixed = llrint(value * to_fixed);
  const Wide square = static_cast<Wide>(fixed * fixed);
  atomicAdd(&mine.sum, static_cast<Wide>(fixed));
  atomicAdd(&mine.squares_low, square & ((Wide{1} << kFractionBits) - 1));
  atomicAdd(&mine.squares_high, square >> kFractionBits);
}

LabelStatistics statistics_of(std::uint32_t label, const Sums& sums, bool has_image, double to_fixed) {
  LabelStatistics made;
  made.label = label;
  made.voxels = static_cast<std::int64_t>(sums.voxels);
  const auto count = static_cast<double>(sums.voxels);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    made.centroid[axis] = static_cast<double>(sums.index_sum[axis]) / count;
    made.first[axis] = sums.first[axis];
    made.last[axis] = sums.last[axis];
  }
  if (!has_image) return made;
  if (sums.has_nan) {
    made.mean = made.deviation = made.least = made.largest = NAN;
    return made;
  }
  // The variance of whole numbers, exact but for its last step: n sum of squares - (sum)^2 in 128 bits and more.
  const long double squares = std::ldexp(static_cast<long double>(sums.squares_high), kFractionBits) +
                              static_cast<long double>(sums.squares_low);
  const auto sum = static_cast<long double>(static_cast<std::int64_t>(sums.sum));
  const long double mean = sum / count, variance = squares / count - mean * mean;
  made.mean = static_cast<double>(mean) / to_fixed;
  made.deviation = std::sqrt(std::max(0.0, static_cast<double>(variance))) / to_fixed;
  made.least = from_order(sums.least);
  made.largest = from_order(sums.largest);
  return made;
}

template <class T, class Value>
void measure(Stream& stream, const ConstVoxelSpan& labels, const Value* image,
             std::vector<LabelStatistics>& statistics) {
  const T* const of = labels.as<T>().on(stream.device()).data;
  const unsigned blocks = gpu::blocks_for(labels.size(), kBlock);
  std::uint32_t largest[2] = {0, 0};
  Array<std::uint32_t, 1> there({2}, stream.device());
  zero(stream, there.span());
  gpu::launch(stream, blocks, kBlock, &find_largest<T, Value>, labels.size(), of, image,
              there.span().on(stream.device()).data);
  copy(stream, std::as_const(there).span(), Span<std::uint32_t, 1>(largest, {2}));
  stream.synchronize();
  if (largest[0] >= kMostLabels)
    throw Error(ErrorCode::input, "on a GPU labels go up to 1048575, and the largest here is " +
                                      std::to_string(largest[0]) + "; renumber them, or take --device cpu");
  const double span = from_order(largest[1]);
  if (std::isinf(span)) throw Error(ErrorCode::input, "the image holds an infinite value; replace it");
  const double to_fixed = span > 0 ? std::ldexp(1.0, kFractionBits - 1) / span : 1.0;
  const Shape<1> shape{std::int64_t{largest[0]} + 1};
  std::vector<Sums> sums(static_cast<std::size_t>(shape[0]),
                         Sums{0, {}, 0, 0, 0, {UINT32_MAX, UINT32_MAX, UINT32_MAX}, {}, UINT32_MAX, 0, 0});
  Array<Sums, 1> table(shape, stream.device());
  copy(stream, Span<const Sums, 1>(sums.data(), shape), table.span());
  gpu::launch(stream, blocks, kBlock, &add_voxels<T, Value>, labels.size(), labels.extent(1), labels.extent(2), of,
              image, to_fixed, table.span().on(stream.device()).data);
  copy(stream, std::as_const(table).span(), Span<Sums, 1>(sums.data(), shape));
  stream.synchronize();
  for (std::size_t label = 1; label < sums.size(); ++label)
    if (sums[label].voxels != 0)
      statistics.push_back(statistics_of(static_cast<std::uint32_t>(label), sums[label], image != nullptr, to_fixed));
}

}  // namespace

void measure_labels(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& image,
                    std::vector<LabelStatistics>& statistics) {
  with_label_type(labels.type(), [&]<class T>() {
    if (image.data() == nullptr) return measure<T, float>(stream, labels, nullptr, statistics);
    with_voxel_type(image.type(), [&]<class Value>() {
      measure<T, Value>(stream, labels, image.as<Value>().on(stream.device()).data, statistics);
    });
  });
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
