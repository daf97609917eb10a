// The median bit by bit from the highest: it has a bit if not more values than belong below it are below what has the
// bits so far and this one. A row of voxels at a time, in loops without a branch over plain numbers, which the compiler
// turns into vectors, once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/median_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/smooth.hpp"

#ifndef KIBAN_MEDIAN_CPU_ONCE
#define KIBAN_MEDIAN_CPU_ONCE
namespace kiban::image::cpu {

#define KIBAN_HD
#include "kernels/image/key_math-inl.hpp"
#undef KIBAN_HD

/// So many voxels of a row at a time.
constexpr std::int64_t kMedianVoxels = 256;

/// `rows`: keys of each row of the element, of which value 0 is that under the first voxel; `reaches`: how far each row
/// goes. `ranks`: how many values are below each median. Fills `medians`. `differing`, `common`: the bits in which keys
/// differ, and those that all have.
using FindMedians = void (*)(const void* const* rows, const std::int32_t* reaches, std::int64_t row_count,
                             const std::uint32_t* ranks, std::uint32_t differing, std::uint32_t common, void* medians);

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {

template <class Key>
HWY_ATTR void find_medians_of(const void* const* rows, const std::int32_t* reaches, std::int64_t row_count,
                              const std::uint32_t* ranks, std::uint32_t differing, std::uint32_t common,
                              void* medians_memory) {
  // Counts as wide as keys, so that both are compared in the same lanes; at most 32767 values.
  using Count = std::conditional_t<sizeof(Key) == 4, std::uint32_t, std::uint16_t>;
  Key* const medians = static_cast<Key*>(medians_memory);
  Key tried[kMedianVoxels];
  Count below[kMedianVoxels];
  std::fill_n(medians, kMedianVoxels, static_cast<Key>(common));
  for (int place = static_cast<int>(8 * sizeof(Key)) - 1; place >= 0; --place) {
    const auto bit = static_cast<Key>(Key(1) << place);
    if ((differing & bit) == 0) continue;
    for (std::int64_t i = 0; i < kMedianVoxels; ++i) tried[i] = static_cast<Key>(medians[i] | bit);
    std::fill_n(below, kMedianVoxels, Count{0});
    for (std::int64_t r = 0; r < row_count; ++r)
      for (std::int64_t dx = -reaches[r]; dx <= reaches[r]; ++dx) {
        const Key* const keys = static_cast<const Key*>(rows[r]) + dx;
        for (std::int64_t i = 0; i < kMedianVoxels; ++i)
          below[i] = static_cast<Count>(below[i] + static_cast<Count>(keys[i] < tried[i]));
      }
    for (std::int64_t i = 0; i < kMedianVoxels; ++i)
      medians[i] = static_cast<std::uint32_t>(below[i]) <= ranks[i] ? tried[i] : medians[i];
  }
}

FindMedians find_medians_for(VoxelType type) {
  return bytes_of(type) == 1   ? &find_medians_of<std::uint8_t>
         : bytes_of(type) == 2 ? &find_medians_of<std::uint16_t>
                               : &find_medians_of<std::uint32_t>;
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(find_medians_for);

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The rows of an element about row y of slice z, as keys; beyond the volume the largest key, which is below nothing.
template <class T>
class MedianRows {
 public:
  using Key = decltype(key_of(T{}));

  MedianRows(const T* image, const Shape<3>& shape, const Element& element)
      : image_(image), shape_(shape), element_(element) {
    for (const Element::Row& row : element.rows) margin_ = std::max<std::int64_t>(margin_, row.reach);
    width_ = shape[2] + 2 * margin_ + kMedianVoxels;
    keys_.assign(at(static_cast<std::int64_t>(element.rows.size()) * width_), std::numeric_limits<Key>::max());
  }

  void enter(std::int64_t z, std::int64_t y) {
    reaches_.clear();
    differing_ = 0;
    common_ = std::numeric_limits<Key>::max();
    Key any = 0;
    for (const Element::Row& row : element_.rows) {
      const std::int64_t slice = z + row.dz, line = y + row.dy;
      if (slice < 0 || slice >= shape_[0] || line < 0 || line >= shape_[1]) continue;
      const T* const from = image_ + (slice * shape_[1] + line) * shape_[2];
      Key* const to = &keys_[at(static_cast<std::int64_t>(reaches_.size()) * width_ + margin_)];
      for (std::int64_t x = 0; x < shape_[2]; ++x) {
        to[x] = key_of(from[x]);
        any = static_cast<Key>(any | to[x]);
        common_ = static_cast<Key>(common_ & to[x]);
      }
      reaches_.push_back(row.reach);
    }
    differing_ = static_cast<Key>(any ^ common_);
  }

  /// Medians of kMedianVoxels voxels from x on; what lies beyond the row is of no use.
  void find(FindMedians find_medians, std::int64_t x, Key* medians) {
    std::uint32_t ranks[kMedianVoxels];
    std::vector<const void*> rows;
    for (std::size_t r = 0; r < reaches_.size(); ++r)
      rows.push_back(&keys_[at(static_cast<std::int64_t>(r) * width_ + margin_ + x)]);
    for (std::int64_t i = 0; i < kMedianVoxels; ++i) {
      std::int64_t values = 0;
      const std::int64_t place = std::min(x + i, shape_[2] - 1);
      for (const std::int32_t reach : reaches_)
        values += std::min<std::int64_t>(place + reach, shape_[2] - 1) - std::max<std::int64_t>(place - reach, 0) + 1;
      ranks[i] = static_cast<std::uint32_t>((values - 1) / 2);
    }
    find_medians(rows.data(), reaches_.data(), static_cast<std::int64_t>(reaches_.size()), ranks, differing_, common_,
                 medians);
  }

 private:
  const T* image_;
  Shape<3> shape_;
  const Element& element_;
  std::int64_t margin_ = 0, width_ = 0;
  std::vector<Key> keys_;
  std::vector<std::int32_t> reaches_;
  Key differing_ = 0, common_ = 0;
};

}  // namespace

void find_median(Stream& stream, const ConstVoxelSpan& image, const Element& element, const VoxelSpan& median) {
  const FindMedians find_medians = HWY_DYNAMIC_DISPATCH(find_medians_for)(image.type());
  const Shape<3>& shape = image.shape();
  with_voxel_type(image.type(), [&]<class T>() {
    T* const target = static_cast<T*>(median.data());
    parallel_for(stream, shape[0] * shape[1], 8, [&](std::int64_t begin, std::int64_t end) {
      MedianRows<T> rows(static_cast<const T*>(image.data()), shape, element);
      typename MedianRows<T>::Key medians[kMedianVoxels];
      for (std::int64_t line = begin; line < end; ++line) {
        rows.enter(line / shape[1], line % shape[1]);
        for (std::int64_t x = 0; x < shape[2]; x += kMedianVoxels) {
          rows.find(find_medians, x, medians);
          const std::int64_t count = std::min(kMedianVoxels, shape[2] - x);
          for (std::int64_t i = 0; i < count; ++i) target[line * shape[2] + x + i] = value_of<T>(medians[i]);
        }
      }
    });
  });
}

}  // namespace kiban::image::cpu
#endif
