// Loops without a branch over plain values, which every compiler turns into vectors; memory is the limit.
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <type_traits>

#include "kernels/core/parallel.hpp"
#include "kernels/image/threshold.hpp"
#include "kernels/image/threshold_bounds.hpp"

namespace kiban::image::cpu {
namespace {

#define KIBAN_HD
#include "kernels/image/threshold_math-inl.hpp"
#undef KIBAN_HD

constexpr std::int64_t kGrain = 1 << 16;

template <class T>
void classify_range(const T* values, std::span<const Bound<T>> bounds, std::uint8_t bits, std::int64_t count,
                    std::uint8_t* classes) {
  std::fill_n(classes, count, std::uint8_t{0});
  for (const Bound<T>& bound : bounds) {
    if (bound.never) continue;
    const T least = bound.least;
    for (std::int64_t i = 0; i < count; ++i)
      classes[i] = static_cast<std::uint8_t>(classes[i] + static_cast<std::uint8_t>(values[i] >= least));
  }
  if (bits == 255) return;
  for (std::int64_t i = 0; i < count; ++i) classes[i] &= bits;
}

}  // namespace

void classify_voxels(Stream& stream, const ConstVoxelSpan& image, std::span<const double> thresholds,
                     Span<std::uint8_t, 3> classes, std::uint8_t bits) {
  with_voxel_type(image.type(), [&]<class T>() {
    const std::vector<Bound<T>> bounds = bounds_of<Bound<T>, T>(thresholds);
    const T* const values = static_cast<const T*>(image.data());
    std::uint8_t* const target = classes.host().data;
    parallel_for(stream, image.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      constexpr std::int64_t kNear = 4096;  // stays in the nearest cache while the thresholds come one by one
      for (std::int64_t at = begin; at < end; at += kNear)
        classify_range<T>(values + at, bounds, bits, std::min(kNear, end - at), target + at);
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
        if (std::isfinite(value)) ++counts[static_cast<std::size_t>(bin_of(value, histogram.first_edge, histogram.width, bins))];
      }
      const std::lock_guard lock(mutex);
      for (std::size_t bin = 0; bin < counts.size(); ++bin) histogram.counts[bin] += counts[bin];
    });
  });
}

}  // namespace kiban::image::cpu
