// Loops without a branch over plain values, which the compiler turns into vectors, once for each instruction set;
// memory is the limit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/threshold_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <type_traits>

#include "kernels/core/parallel.hpp"
#include "kernels/image/threshold.hpp"
#include "kernels/image/threshold_bounds.hpp"

#ifndef KIBAN_THRESHOLD_CPU_ONCE
#define KIBAN_THRESHOLD_CPU_ONCE
namespace kiban::image::cpu {

#define KIBAN_HD
#include "kernels/image/threshold_math-inl.hpp"
#undef KIBAN_HD

/// `bounds`: of Bound<T>, for values of T.
using ClassifyRange = void (*)(const void* values, const void* bounds, std::size_t bound_count, std::uint8_t bits,
                               std::int64_t count, std::uint8_t* classes);

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {

template <class T>
HWY_ATTR void classify_range_of(const void* values_memory, const void* bounds_memory, std::size_t bound_count,
                                std::uint8_t bits, std::int64_t count, std::uint8_t* classes) {
  const T* const values = static_cast<const T*>(values_memory);
  const Bound<T>* const bounds = static_cast<const Bound<T>*>(bounds_memory);
  if (bound_count == 2 && bits == 1 && !bounds[0].never && !bounds[1].never) {  // a range, the usual thing
    const T least = bounds[0].least, above = bounds[1].least;
    for (std::int64_t i = 0; i < count; ++i)
      classes[i] = static_cast<std::uint8_t>((values[i] >= least) != (values[i] >= above));
    return;
  }
  std::fill_n(classes, count, std::uint8_t{0});
  for (std::size_t k = 0; k < bound_count; ++k) {
    if (bounds[k].never) continue;
    const T least = bounds[k].least;
    for (std::int64_t i = 0; i < count; ++i)
      classes[i] = static_cast<std::uint8_t>(classes[i] + static_cast<std::uint8_t>(values[i] >= least));
  }
  if (bits == 255) return;
  for (std::int64_t i = 0; i < count; ++i) classes[i] &= bits;
}

ClassifyRange classify_range_for(VoxelType type) {
  return with_voxel_type(type, []<class T>() -> ClassifyRange { return &classify_range_of<T>; });
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(classify_range_for);

constexpr std::int64_t kGrain = 1 << 16;

}  // namespace

void classify_voxels(Stream& stream, const ConstVoxelSpan& image, std::span<const double> thresholds,
                     Span<std::uint8_t, 3> classes, std::uint8_t bits) {
  const ClassifyRange classify_range = HWY_DYNAMIC_DISPATCH(classify_range_for)(image.type());
  with_voxel_type(image.type(), [&]<class T>() {
    const std::vector<Bound<T>> bounds = bounds_of<Bound<T>, T>(thresholds);
    const T* const values = static_cast<const T*>(image.data());
    std::uint8_t* const target = classes.host().data;
    parallel_for(stream, image.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      constexpr std::int64_t kNear = 4096;  // stays in the nearest cache while the thresholds come one by one
      for (std::int64_t at = begin; at < end; at += kNear)
        classify_range(values + at, bounds.data(), bounds.size(), bits, std::min(kNear, end - at), target + at);
    });
  });
}

void find_value_range(Stream& stream, const ConstVoxelSpan& image, ValueRange& range) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  range = {kInfinity, -kInfinity};
  std::mutex mutex;
  with_voxel_type(image.type(), [&]<class T>() {
    const T* const values = static_cast<const T*>(image.data());
    parallel_for(stream, image.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      T least = std::numeric_limits<T>::max(), largest = std::numeric_limits<T>::lowest();
      for (std::int64_t i = begin; i < end; ++i) {
        // Comparisons with NaN are false; infinite values leave the range of finite ones.
        if constexpr (std::is_same_v<T, float>) {
          const bool is_finite = std::abs(values[i]) <= std::numeric_limits<float>::max();
          least = is_finite && values[i] < least ? values[i] : least;
          largest = is_finite && values[i] > largest ? values[i] : largest;
        } else {
          least = std::min(least, values[i]);
          largest = std::max(largest, values[i]);
        }
      }
      const std::lock_guard lock(mutex);
      range.least = std::min(range.least, static_cast<double>(least));
      range.largest = std::max(range.largest, static_cast<double>(largest));
    });
  });
  // Where no value was finite, the bounds of T are left as they were, the wrong way round.
  if (range.least > range.largest) range = {0, -1};
}

void count_values(Stream& stream, const ConstVoxelSpan& image, Histogram& histogram) {
  constexpr std::int64_t kParts = 64;
  const std::int64_t of_part = (image.size() + kParts - 1) / kParts;
  const auto bins = static_cast<std::int64_t>(histogram.counts.size());
  std::mutex mutex;
  with_voxel_type(image.type(), [&]<class T>() {
    const T* const values = static_cast<const T*>(image.data());
    parallel_for(stream, kParts, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int64_t> counts(histogram.counts.size(), 0);
      const std::int64_t last = std::min(image.size(), end * of_part);
      for (std::int64_t i = begin * of_part; i < last; ++i) {
        const auto value = static_cast<double>(values[i]);
        if (std::isfinite(value))
          ++counts[static_cast<std::size_t>(bin_of(value, histogram.first_edge, histogram.width, bins))];
      }
      const std::lock_guard lock(mutex);
      for (std::size_t bin = 0; bin < counts.size(); ++bin) histogram.counts[bin] += counts[bin];
    });
  });
}

}  // namespace kiban::image::cpu
#endif
