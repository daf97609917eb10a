// Run by run of equal labels, in parts of fixed rows, whose sums are added in their order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/label_statistics_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <type_traits>
#include <unordered_map>
#include <variant>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/label_rows_cpu.hpp"
#include "kernels/image/label_statistics.hpp"

#ifndef KIBAN_LABEL_STATISTICS_CPU_ONCE
#define KIBAN_LABEL_STATISTICS_CPU_ONCE
namespace kiban::image::cpu {

/// Values of one label in one part, sums about `shift`, the first of them: small numbers, whose squares lose nothing.
/// Lane by lane from run to run, since runs are short and lanes are added up once.
struct ValueSums {
  static constexpr std::size_t kLanes = 8;
  ValueSums() {
    std::fill_n(least, kLanes, std::numeric_limits<double>::infinity());
    std::fill_n(largest, kLanes, -std::numeric_limits<double>::infinity());
  }
  double shift = 0, sum[kLanes] = {}, squares[kLanes] = {}, least[kLanes], largest[kLanes];
};

/// The same of values of 8 and 16 bits, in whole numbers, which lose nothing: v = 256 high + low, so that products fit
/// 32-bit lanes for `kMostAdds` vectors, after which they are moved to the totals. 16-bit unsigned ones less 2^15.
struct WholeSums {
  static constexpr std::size_t kLanes = 16;
  static constexpr std::int64_t kMostAdds = 1 << 13;
  WholeSums() {
    std::fill_n(least, 2 * kLanes, std::numeric_limits<std::int16_t>::max());
    std::fill_n(largest, 2 * kLanes, std::numeric_limits<std::int16_t>::lowest());
  }
  void move_to_totals() {
    for (std::size_t i = 0; i < kLanes; ++i) {
      sum += values[i];
      squares += std::int64_t{65536} * high[i] + std::int64_t{512} * mixed[i] + low[i];
      values[i] = high[i] = mixed[i] = low[i] = 0;
    }
    adds = 0;
  }
  std::int32_t values[kLanes] = {}, high[kLanes] = {}, mixed[kLanes] = {}, low[kLanes] = {};
  std::int16_t least[2 * kLanes], largest[2 * kLanes];
  std::int64_t adds = 0, sum = 0, squares = 0;
};

using PartValues = std::variant<ValueSums, WholeSums>;

constexpr bool is_whole(VoxelType type) {
  return type != VoxelType::float32 && type != VoxelType::int32 && type != VoxelType::uint32;
}

using AddValues = void (*)(const void* values, std::int64_t count, PartValues& sums);

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
using Doubles = hn::CappedTag<double, 1>;
#else
using Doubles = hn::CappedTag<double, 8>;
#endif

template <class T>
HWY_ATTR HWY_INLINE hn::Vec<Doubles> load_doubles(const T* values) {
  const Doubles d;
  const hn::Rebind<std::int32_t, Doubles> di;
  if constexpr (std::is_same_v<T, float>)
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, Doubles>(), values));
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return hn::PromoteTo(d, hn::LoadU(di, values));
  else
    return hn::PromoteTo(d, hn::PromoteTo(di, hn::LoadU(hn::Rebind<T, Doubles>(), values)));
}

HWY_ATTR inline void add_value(double value, ValueSums& sums) {
  const double off = value - sums.shift;
  sums.sum[0] += off;
  sums.squares[0] += off * off;
  sums.least[0] = std::min(sums.least[0], value);
  sums.largest[0] = std::max(sums.largest[0], value);
}

#if HWY_TARGET == HWY_SCALAR
using Shorts = hn::CappedTag<std::int16_t, 1>;
#else
using Shorts = hn::CappedTag<std::int16_t, 32>;
#endif

template <class T>
HWY_ATTR HWY_INLINE hn::Vec<Shorts> load_shorts(const T* values, hn::Mask<Shorts> used) {
  const Shorts d;
  if constexpr (std::is_same_v<T, std::int16_t>) {
    return hn::MaskedLoad(used, d, values);
  } else if constexpr (std::is_same_v<T, std::uint16_t>) {
    const hn::RebindToUnsigned<Shorts> du;
    const auto loaded = hn::MaskedLoad(hn::RebindMask(du, used), du, values);
    return hn::IfThenElseZero(used, hn::BitCast(d, hn::Xor(loaded, hn::Set(du, 0x8000))));
  } else {
    const hn::Rebind<T, Shorts> narrow;
    const auto count = hn::CountTrue(d, used);
    return hn::PromoteTo(d, hn::MaskedLoad(hn::FirstN(narrow, count), narrow, values));
  }
}

template <class T>
HWY_ATTR void add_whole_values(const T* values, std::int64_t count, WholeSums& sums) {
  const Shorts d;
  const hn::RepartitionToWide<Shorts> wide;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto one = hn::Set(d, 1), byte = hn::Set(d, 255), most = hn::Set(d, 32767), lowest = hn::Set(d, -32768);
  for (std::int64_t at = 0; at < count;) {
    if (sums.adds == WholeSums::kMostAdds) sums.move_to_totals();
    const std::int64_t end = std::min(count, at + (WholeSums::kMostAdds - sums.adds) * lanes);
    sums.adds += (end - at + lanes - 1) / lanes;
    auto sum = hn::LoadU(wide, sums.values), high = hn::LoadU(wide, sums.high), mixed = hn::LoadU(wide, sums.mixed),
         low = hn::LoadU(wide, sums.low);
    auto sum2 = hn::Zero(wide), high2 = sum2, mixed2 = sum2, low2 = sum2;
    auto least = hn::LoadU(d, sums.least), largest = hn::LoadU(d, sums.largest);
    for (; at < end; at += lanes) {
      const auto used = hn::FirstN(d, static_cast<std::size_t>(std::min(lanes, end - at)));
      const auto value = load_shorts(values + at, used);
      const auto upper = hn::ShiftRight<8>(value), lower = hn::And(value, byte);
      sum = hn::ReorderWidenMulAccumulate(wide, value, one, sum, sum2);
      high = hn::ReorderWidenMulAccumulate(wide, upper, upper, high, high2);
      mixed = hn::ReorderWidenMulAccumulate(wide, upper, lower, mixed, mixed2);
      low = hn::ReorderWidenMulAccumulate(wide, lower, lower, low, low2);
      least = hn::Min(least, hn::IfThenElse(used, value, most));
      largest = hn::Max(largest, hn::IfThenElse(used, value, lowest));
    }
    at = end;
    hn::StoreU(hn::Add(sum, sum2), wide, sums.values);
    hn::StoreU(hn::Add(high, high2), wide, sums.high);
    hn::StoreU(hn::Add(mixed, mixed2), wide, sums.mixed);
    hn::StoreU(hn::Add(low, low2), wide, sums.low);
    hn::StoreU(least, d, sums.least);
    hn::StoreU(largest, d, sums.largest);
  }
}

template <class T>
HWY_ATTR void add_values_of(const void* memory, std::int64_t count, PartValues& part) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (is_whole(voxel_type<T>()))
    return add_whole_values(static_cast<const T*>(memory), count, std::get<WholeSums>(part));
#else
  if constexpr (is_whole(voxel_type<T>())) {
    const T* const whole = static_cast<const T*>(memory);
    WholeSums& sums = std::get<WholeSums>(part);
    constexpr int kLess = std::is_same_v<T, std::uint16_t> ? 32768 : 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t value = std::int64_t{whole[i]} - kLess;
      sums.sum += value;
      sums.squares += value * value;
      sums.least[0] = std::min(sums.least[0], static_cast<std::int16_t>(value));
      sums.largest[0] = std::max(sums.largest[0], static_cast<std::int16_t>(value));
    }
    return;
  }
#endif
  ValueSums& sums = std::get<ValueSums>(part);
  const T* const values = static_cast<const T*>(memory);
  std::int64_t at = 0;
  // Wider than an int32 nothing is promoted; and for a few values lanes do not pay.
  if constexpr (!std::is_same_v<T, std::uint32_t>) {
    const Doubles d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    if (count >= lanes) {
      const auto shift = hn::Set(d, sums.shift);
      auto sum = hn::LoadU(d, sums.sum), squares = hn::LoadU(d, sums.squares);
      auto least = hn::LoadU(d, sums.least), largest = hn::LoadU(d, sums.largest);
      auto sum2 = hn::Zero(d), squares2 = sum2;
      // Two sums each: one waits for the other's last addition.
      for (; at + 2 * lanes <= count; at += 2 * lanes) {
        const auto value = load_doubles(values + at), value2 = load_doubles(values + at + lanes);
        const auto off = hn::Sub(value, shift), off2 = hn::Sub(value2, shift);
        sum = hn::Add(sum, off);
        sum2 = hn::Add(sum2, off2);
        squares = hn::MulAdd(off, off, squares);
        squares2 = hn::MulAdd(off2, off2, squares2);
        least = hn::Min(hn::Min(value, value2), least);
        largest = hn::Max(hn::Max(value, value2), largest);
      }
      if (at + lanes <= count) {
        const auto value = load_doubles(values + at), off = hn::Sub(value, shift);
        sum = hn::Add(sum, off);
        squares = hn::MulAdd(off, off, squares);
        least = hn::Min(value, least);
        largest = hn::Max(value, largest);
        at += lanes;
      }
      hn::StoreU(hn::Add(sum, sum2), d, sums.sum);
      hn::StoreU(hn::Add(squares, squares2), d, sums.squares);
      hn::StoreU(least, d, sums.least);
      hn::StoreU(largest, d, sums.largest);
    }
  }
  for (; at < count; ++at) add_value(static_cast<double>(values[at]), sums);
}

AddValues add_values_for(VoxelType type) {
  return with_voxel_type(type, []<class T>() -> AddValues { return &add_values_of<T>; });
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(add_values_for);

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Sums {
  std::int64_t voxels = 0;
  std::array<std::int64_t, 3> index_sum{}, first{INT64_MAX, INT64_MAX, INT64_MAX}, last{-1, -1, -1};
  PartValues values;
};

/// The sums of a part by label: small labels, nearly all that there are, without a search.
class Table {
 public:
  Sums& of(std::uint32_t label) {
    if (label >= kSmall) return large_[label];
    if (label >= place_.size()) place_.resize(label + 1, -1);
    if (place_[label] < 0) {
      place_[label] = static_cast<std::int32_t>(small_.size());
      small_.push_back({label, {}});
    }
    return small_[at(place_[label])].second;
  }
  template <class Body>
  void each(const Body& body) const {
    for (const auto& [label, sums] : small_) body(label, sums);
    for (const auto& [label, sums] : large_) body(label, sums);
  }

 private:
  static constexpr std::uint32_t kSmall = 1 << 16;
  std::vector<std::int32_t> place_;
  std::vector<std::pair<std::uint32_t, Sums>> small_;
  std::unordered_map<std::uint32_t, Sums> large_;
};

double value_at(const ConstVoxelSpan& image, std::int64_t place) {
  return with_voxel_type(image.type(),
                         [&]<class T>() { return static_cast<double>(static_cast<const T*>(image.data())[place]); });
}

class Counting {
 public:
  Counting(const ConstVoxelSpan& labels, const ConstVoxelSpan& image)
      : labels_(labels),
        image_(image),
        find_runs_(row_functions(labels.type()).find_runs),
        add_values_(HWY_DYNAMIC_DISPATCH(add_values_for)(image.type())) {}

  void rows(std::int64_t begin, std::int64_t end, Table& table) const {
    const std::int64_t columns = labels_.extent(2), rows = labels_.extent(1);
    std::vector<Run> runs(at(columns + 1));
    for (std::int64_t row = begin; row < end; ++row) {
      const void* const line = static_cast<const char*>(labels_.data()) + row * columns * bytes_of(labels_.type());
      const std::int64_t count = find_runs_(line, columns, false, runs.data());
      for (std::int64_t r = 0; r < count; ++r) {
        const Run& run = runs[at(r)];
        Sums& sums = table.of(run.label);
        if (image_.data() != nullptr) add_values(row * columns + run.begin, run.end - run.begin, sums);
        add_places(run, row % rows, row / rows, sums);
      }
    }
  }

 private:
  static void add_places(const Run& run, std::int64_t y, std::int64_t z, Sums& sums) {
    const std::int64_t begin = run.begin, last = run.end - 1, count = last - begin + 1;
    sums.voxels += count;
    const std::int64_t first_of[3] = {begin, y, z}, last_of[3] = {last, y, z};
    const std::int64_t sum_of[3] = {(begin + last) * count / 2, y * count, z * count};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      sums.index_sum[axis] += sum_of[axis];
      sums.first[axis] = std::min(sums.first[axis], first_of[axis]);
      sums.last[axis] = std::max(sums.last[axis], last_of[axis]);
    }
  }

  void add_values(std::int64_t place, std::int64_t count, Sums& sums) const {
    if (sums.voxels == 0) {
      if (is_whole(image_.type()))
        sums.values.emplace<WholeSums>();
      else
        std::get<ValueSums>(sums.values).shift = value_at(image_, place);
    }
    add_values_(static_cast<const char*>(image_.data()) + place * bytes_of(image_.type()), count, sums.values);
  }

  ConstVoxelSpan labels_, image_;
  decltype(RowFunctions::find_runs) find_runs_;
  AddValues add_values_;
};

/// Of a label's values in one part; `squares`: from their mean.
struct Moments {
  double mean, squares, least, largest;
};

Moments moments_of(const Sums& part, VoxelType type) {
  const auto count = static_cast<double>(part.voxels);
  if (!is_whole(type)) {
    const auto& values = std::get<ValueSums>(part.values);
    const double sum = std::accumulate(std::begin(values.sum), std::end(values.sum), 0.0);
    return {
        values.shift + sum / count,
        std::max(0.0, std::accumulate(std::begin(values.squares), std::end(values.squares), 0.0) - sum * sum / count),
        std::ranges::min(values.least), std::ranges::max(values.largest)};
  }
  auto values = std::get<WholeSums>(part.values);
  values.move_to_totals();
  const double less = type == VoxelType::uint16 ? 32768 : 0, mean = static_cast<double>(values.sum) / count;
  // About the whole number next to the mean the squares are small and still exact.
  const auto middle = static_cast<std::int64_t>(std::llround(mean));
  const std::int64_t squares = values.squares - 2 * middle * values.sum + part.voxels * middle * middle;
  const double apart = mean - static_cast<double>(middle);
  return {mean + less, std::max(0.0, static_cast<double>(squares) - count * apart * apart),
          std::ranges::min(values.least) + less, std::ranges::max(values.largest) + less};
}

/// Chan, Golub and LeVeque's rule for counts, means and sums of squares about them. `mean` and `deviation` hold the
/// mean and the sum of squares.
void merge(const Sums& part, const ConstVoxelSpan& image, LabelStatistics& total,
           std::array<std::int64_t, 3>& index_sum) {
  const bool is_new = total.voxels == 0;
  if (image.data() != nullptr) {
    const auto count = static_cast<double>(part.voxels), before = static_cast<double>(total.voxels);
    const auto [mean, squares, least, largest] = moments_of(part, image.type());
    const double apart = mean - total.mean, all = before + count;
    total.deviation += squares + (is_new ? 0 : apart * apart * before * count / all);
    total.mean = is_new ? mean : total.mean + apart * count / all;
    total.least = is_new ? least : std::min(total.least, least);
    total.largest = is_new ? largest : std::max(total.largest, largest);
  }
  total.voxels += part.voxels;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    index_sum[axis] += part.index_sum[axis];
    total.first[axis] = is_new ? part.first[axis] : std::min(total.first[axis], part.first[axis]);
    total.last[axis] = is_new ? part.last[axis] : std::max(total.last[axis], part.last[axis]);
  }
}

}  // namespace

void measure_labels(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& image,
                    std::vector<LabelStatistics>& statistics) {
  constexpr std::int64_t kParts = 64;
  const std::int64_t rows = labels.extent(0) * labels.extent(1), of_part = (rows + kParts - 1) / kParts;
  const Counting counting(labels, image);
  std::vector<Table> tables(kParts);
  parallel_for(stream, kParts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part)
      counting.rows(std::min(rows, part * of_part), std::min(rows, (part + 1) * of_part), tables[at(part)]);
  });
  std::map<std::uint32_t, std::pair<LabelStatistics, std::array<std::int64_t, 3>>> all;
  for (const Table& table : tables)
    table.each([&](std::uint32_t label, const Sums& sums) {
      auto& [total, index_sum] = all[label];
      merge(sums, image, total, index_sum);
    });
  for (auto& [label, found] : all) {
    auto& [total, index_sum] = found;
    total.label = label;
    const auto count = static_cast<double>(total.voxels);
    total.deviation = std::sqrt(total.deviation / count);
    for (std::size_t axis = 0; axis < 3; ++axis) total.centroid[axis] = static_cast<double>(index_sum[axis]) / count;
    if (std::isinf(total.least) || std::isinf(total.largest))
      throw Error(ErrorCode::input, "the image holds an infinite value; replace it");
    if (std::isnan(total.mean)) total.least = total.largest = total.deviation = total.mean;
    statistics.push_back(total);
  }
}

}  // namespace kiban::image::cpu
#endif
