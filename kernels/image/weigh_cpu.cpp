// Weighted sums along three axes, x first, tile by tile: a tile is some rows of some slices of the result. Slices of
// the image are weighted along x and y once and wait in a ring until the slices of the result that need them are done.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/weigh_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/resample.hpp"

#ifndef KIBAN_WEIGH_CPU_ONCE
#define KIBAN_WEIGH_CPU_ONCE
namespace kiban::image::cpu {

struct WeighFunctions {
  /// `count` values, `stride` apart, as float.
  void (*load)(const void* values, std::int64_t first, std::int64_t stride, std::int64_t count, float* to);
  /// Outputs [begin, end) of a row.
  void (*along_row)(const Taps& taps, const float* row, float* to);
  /// The sum of rows, each by its weight.
  void (*mix)(const float* const* rows, const float* weights, std::int64_t taps, std::int64_t count, float* to);
  /// Rounded to the type, from its `first` value on.
  void (*store)(const float* values, std::int64_t count, void* to, std::int64_t first);
};

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::RebindToSigned<Floats>;

template <class T>
HWY_ATTR void load_of(const void* values, std::int64_t first, std::int64_t stride, std::int64_t count, float* to) {
  const T* const from = static_cast<const T*>(values) + first;
  if (stride == 1)
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
  else
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i * stride]);
}

HWY_ATTR void along_row_of(const Taps& taps, const float* row, float* to) {
  const Floats d;
  const Ints di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int32_t* const first = taps.first.data();
  const float* const weights = taps.weights.data();
  std::int64_t i = taps.begin;
  for (; i + lanes <= taps.end; i += lanes) {
    const auto at = hn::LoadU(di, first + i);
    auto sum = hn::Mul(hn::LoadU(d, weights + i), hn::GatherIndex(d, row, at));
    for (std::int64_t k = 1; k < taps.count; ++k)
      sum = hn::MulAdd(hn::LoadU(d, weights + k * taps.outputs + i), hn::GatherIndex(d, row + k, at), sum);
    hn::StoreU(sum, d, to + i);
  }
  for (; i < taps.end; ++i) {
    float sum = weights[i] * row[first[i]];
    for (std::int64_t k = 1; k < taps.count; ++k) sum = std::fma(weights[k * taps.outputs + i], row[first[i] + k], sum);
    to[i] = sum;
  }
}

HWY_ATTR void mix_of(const float* const* rows, const float* weights, std::int64_t taps, std::int64_t count, float* to) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    auto one = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, rows[0] + i));
    auto two = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, rows[0] + i + lanes));
    for (std::int64_t k = 1; k < taps; ++k) {
      const auto weight = hn::Set(d, weights[k]);
      one = hn::MulAdd(weight, hn::LoadU(d, rows[k] + i), one);
      two = hn::MulAdd(weight, hn::LoadU(d, rows[k] + i + lanes), two);
    }
    hn::StoreU(one, d, to + i);
    hn::StoreU(two, d, to + i + lanes);
  }
  for (; i < count; ++i) {
    float sum = weights[0] * rows[0][i];
    for (std::int64_t k = 1; k < taps; ++k) sum = std::fma(weights[k], rows[k][i], sum);
    to[i] = sum;
  }
}

/// The number of T nearest to a value; 0 for what is not a number.
template <class T>
T nearest(float value) {
  constexpr auto kLeast = static_cast<double>(std::numeric_limits<T>::lowest());
  constexpr auto kMost = static_cast<double>(std::numeric_limits<T>::max());
  return std::isnan(value) ? T{0}
                           : static_cast<T>(std::clamp(std::nearbyint(static_cast<double>(value)), kLeast, kMost));
}

template <class T>
HWY_ATTR void store_of(const float* values, std::int64_t count, void* memory, std::int64_t first) {
  T* const to = static_cast<T*>(memory) + first;
  if constexpr (std::is_same_v<T, float>) {
    std::copy_n(values, count, to);
  } else {
    std::int64_t i = 0;
    if constexpr (sizeof(T) < 4) {
      const Floats d;
      const hn::Rebind<T, Floats> narrow;
      const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
      // Within the range of T first: what is far outside of int32 has no defined conversion.
      const auto least = hn::Set(d, static_cast<float>(std::numeric_limits<T>::lowest()));
      const auto most = hn::Set(d, static_cast<float>(std::numeric_limits<T>::max()));
      for (; i + lanes <= count; i += lanes) {
        const auto value = hn::LoadU(d, values + i);
        const auto number = hn::IfThenElseZero(hn::Eq(value, value), value);
        hn::StoreU(hn::DemoteTo(narrow, hn::NearestInt(hn::Min(hn::Max(number, least), most))), narrow, to + i);
      }
    }
    for (; i < count; ++i) to[i] = nearest<T>(values[i]);
  }
}

WeighFunctions weigh_functions_of(VoxelType from, VoxelType to) {
  return {with_voxel_type(from, []<class T>() { return &load_of<T>; }), &along_row_of, &mix_of,
          with_voxel_type(to, []<class T>() { return &store_of<T>; })};
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(weigh_functions_of);

constexpr std::int64_t kTileRows = 64, kTileSlices = 64;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Rows [begin, end) of the slices of a result that are made from the same ring.
class Tile {
 public:
  Tile(const AlignedImage& image, const TapsOfAxes& taps, const WeighFunctions& functions, std::int64_t begin,
       std::int64_t end)
      : image_(image), taps_(taps), functions_(functions), begin_(begin), end_(end) {
    first_row_ = image.extent[1];
    std::int64_t last_row = 0;
    for (std::int64_t y = begin; y < end; ++y) {
      const std::int64_t first = taps[1].first[at(y)];
      first_row_ = std::min(first_row_, first);
      last_row = std::max(last_row, first + taps[1].count);
    }
    rows_ = std::max<std::int64_t>(last_row - first_row_, 0);
    row_.resize(at(image.extent[0]));
    along_x_.resize(at(rows_ * taps[0].outputs));
    ring_.resize(at(taps[2].count * (end - begin) * taps[0].outputs));
    held_.assign(at(taps[2].count), -1);
    sources_.resize(at(std::max(taps[1].count, taps[2].count)));
    weights_.resize(sources_.size());
  }

  /// Row y of slice z of the result, as far as taps reach along x.
  void row(std::int64_t z, std::int64_t y, float* to) {
    const std::int64_t width = taps_[0].outputs, count = taps_[2].count, first = taps_[2].first[at(z)];
    for (std::int64_t k = 0; k < count; ++k) {
      sources_[at(k)] = slot(first + k) + (y - begin_) * width + taps_[0].begin;
      weights_[at(k)] = taps_[2].weights[at(k * taps_[2].outputs + z)];
    }
    functions_.mix(sources_.data(), weights_.data(), count, taps_[0].end - taps_[0].begin, to + taps_[0].begin);
  }

  /// Before the rows of slice z.
  void enter(std::int64_t z) {
    const std::int64_t first = taps_[2].first[at(z)];
    for (std::int64_t slice = first; slice < first + taps_[2].count; ++slice)
      if (std::int64_t& held = held_[at(slice % taps_[2].count)]; held != slice) {
        weigh_slice(slice);
        held = slice;
      }
  }

 private:
  float* slot(std::int64_t slice) { return &ring_[at(slice % taps_[2].count * (end_ - begin_) * taps_[0].outputs)]; }

  void weigh_slice(std::int64_t slice) {
    const std::int64_t width = taps_[0].outputs, used = taps_[0].end - taps_[0].begin;
    for (std::int64_t r = 0; r < rows_; ++r) {
      functions_.load(image_.values, slice * image_.stride[2] + (first_row_ + r) * image_.stride[1], image_.stride[0],
                      image_.extent[0], row_.data());
      functions_.along_row(taps_[0], row_.data(), &along_x_[at(r * width)]);
    }
    float* const target = slot(slice) + taps_[0].begin;
    for (std::int64_t y = begin_; y < end_; ++y) {
      for (std::int64_t k = 0; k < taps_[1].count; ++k) {
        sources_[at(k)] = &along_x_[at((taps_[1].first[at(y)] - first_row_ + k) * width + taps_[0].begin)];
        weights_[at(k)] = taps_[1].weights[at(k * taps_[1].outputs + y)];
      }
      functions_.mix(sources_.data(), weights_.data(), taps_[1].count, used, target + (y - begin_) * width);
    }
  }

  const AlignedImage& image_;
  const TapsOfAxes& taps_;
  const WeighFunctions& functions_;
  std::int64_t begin_, end_, first_row_ = 0, rows_ = 0;
  std::vector<float> row_, along_x_, ring_;
  std::vector<std::int64_t> held_;  ///< which slice of the image each slot of the ring has
  std::vector<const float*> sources_;
  std::vector<float> weights_;
};

}  // namespace

void weigh(Stream& stream, const AlignedImage& image, const TapsOfAxes& taps, double padding,
           const VoxelSpan& weighed) {
  const WeighFunctions functions = HWY_DYNAMIC_DISPATCH(weigh_functions_of)(image.type, weighed.type());
  const std::int64_t slices = weighed.extent(0), rows = weighed.extent(1), columns = weighed.extent(2);
  const std::int64_t tiles_y = (rows + kTileRows - 1) / kTileRows, tiles_z = (slices + kTileSlices - 1) / kTileSlices;
  const Taps &x = taps[0], &y = taps[1], &z = taps[2];
  const bool is_empty = x.begin == x.end || y.begin == y.end || z.begin == z.end;
  parallel_for(stream, tiles_y * tiles_z, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> row(at(columns)), outside(at(columns), static_cast<float>(padding));
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t first_y = t % tiles_y * kTileRows, last_y = std::min(first_y + kTileRows, rows);
      const std::int64_t first_z = t / tiles_y * kTileSlices, last_z = std::min(first_z + kTileSlices, slices);
      const std::int64_t used_begin = std::clamp(first_y, y.begin, y.end),
                         used_end = std::clamp(last_y, y.begin, y.end);
      Tile tile(image, taps, functions, used_begin, used_end);
      for (std::int64_t s = first_z; s < last_z; ++s) {
        const bool is_used = !is_empty && used_begin < used_end && s >= z.begin && s < z.end;
        if (is_used) tile.enter(s);
        for (std::int64_t r = first_y; r < last_y; ++r) {
          const std::int64_t target = (s * rows + r) * columns;
          if (!is_used || r < used_begin || r >= used_end) {
            functions.store(outside.data(), columns, weighed.data(), target);
            continue;
          }
          std::copy_n(outside.data(), x.begin, row.data());
          tile.row(s, r, row.data());
          std::copy_n(outside.data(), columns - x.end, row.data() + x.end);
          functions.store(row.data(), columns, weighed.data(), target);
        }
      }
    }
  });
}

}  // namespace kiban::image::cpu
#endif
