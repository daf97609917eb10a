// The extremes of the element's rows, value by value, and of what comes of the rows that reach farthest along x,
// windows: those reach the rest of the way together with the rows that reach less far. Whole vectors, once for each
// instruction set, tile by tile: a tile is some rows of some slices.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/morphology_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/morphology.hpp"

#ifndef KIBAN_MORPHOLOGY_CPU_ONCE
#define KIBAN_MORPHOLOGY_CPU_ONCE
namespace kiban::image::cpu {

struct ExtremeFunctions {
  /// Of rows (one or more), value by value. `to` may be the first row, where the others lie behind it.
  /// `ahead`: null, or, where volumes do not fit into caches, a row to fetch meanwhile; then the result goes past them.
  void (*of_rows)(const void* const* rows, std::int64_t count, std::int64_t columns, void* to, const void* ahead);
  /// Values that are the extreme of nothing.
  void (*fill_none)(std::int64_t count, void* to);
};

constexpr std::int64_t kLine = 64;  ///< bytes that come from memory at once

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <bool largest, class T>
HWY_ATTR void of_rows_of(const void* const* rows, std::int64_t count, std::int64_t columns, void* to_memory,
                         const void* ahead) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  T* const to = static_cast<T*>(to_memory);
  const auto row = [&](std::int64_t k) { return static_cast<const T*>(rows[k]); };
  const auto extreme = [](auto a, auto b) HWY_ATTR {
    if constexpr (largest)
      return hn::Max(a, b);
    else
      return hn::Min(a, b);
  };
  const auto vector = [&](auto tag, std::int64_t i) HWY_ATTR {
    auto value = hn::LoadU(tag, row(0) + i);
    for (std::int64_t k = 1; k < count; ++k) value = extreme(value, hn::LoadU(tag, row(k) + i));
    return value;
  };
  std::int64_t done = 0;
  const auto go_to = [&](auto tag, std::int64_t end, auto store) HWY_ATTR {
    const auto width = static_cast<std::int64_t>(hn::Lanes(tag));
    for (; done + width <= end; done += width) store(vector(tag, done), to + done);
  };
  const auto go_few_to = [&](std::int64_t end) HWY_ATTR {
    const hn::CappedTag<T, 16 / sizeof(T)> some;
    const hn::CappedTag<T, 1> one;
    go_to(some, end, [&](auto value, T* at) HWY_ATTR { hn::StoreU(value, some, at); });
    go_to(one, end, [&](auto value, T* at) HWY_ATTR { hn::StoreU(value, one, at); });
  };
  // Four vectors side by side; all are read before the first is written.
  const auto go_far = [&](auto store) HWY_ATTR {
    for (; done + 4 * lanes <= columns; done += 4 * lanes) {
      if (ahead != nullptr)
        for (std::int64_t i = 0; i < 4 * lanes; i += kLine / sizeof(T))
          hwy::Prefetch(static_cast<const T*>(ahead) + done + i);
      const T* from = row(0) + done;
      auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + lanes);
      auto c = hn::LoadU(d, from + 2 * lanes), e = hn::LoadU(d, from + 3 * lanes);
      for (std::int64_t k = 1; k < count; ++k) {
        from = row(k) + done;
        a = extreme(a, hn::LoadU(d, from));
        b = extreme(b, hn::LoadU(d, from + lanes));
        c = extreme(c, hn::LoadU(d, from + 2 * lanes));
        e = extreme(e, hn::LoadU(d, from + 3 * lanes));
      }
      store(a, to + done);
      store(b, to + done + lanes);
      store(c, to + done + 2 * lanes);
      store(e, to + done + 3 * lanes);
    }
    go_to(d, columns, store);
  };
  if (columns >= lanes)  // on to a whole line: two take twice the time, and cannot be streamed
    go_few_to((lanes - static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to) / sizeof(T))) & (lanes - 1));
  if (ahead == nullptr)
    go_far([&](auto value, T* at) HWY_ATTR { hn::StoreU(value, d, at); });
  else
    go_far([&](auto value, T* at) HWY_ATTR { hn::Stream(value, d, at); });
  go_few_to(columns);
}

template <bool largest, class T>
void fill_none_of(std::int64_t count, void* to) {
  std::fill_n(static_cast<T*>(to), count, largest ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max());
}

ExtremeFunctions extreme_functions_of(VoxelType type, bool largest) {
  return with_voxel_type(type, [&]<class T>() {
    return largest ? ExtremeFunctions{&of_rows_of<true, T>, &fill_none_of<true, T>}
                   : ExtremeFunctions{&of_rows_of<false, T>, &fill_none_of<false, T>};
  });
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(extreme_functions_of);

constexpr std::int64_t kTileRows = 64, kTileSlices = 32;
/// Bytes of a volume that stays in caches; and how far ahead rows of larger ones are fetched.
constexpr std::int64_t kCached = std::int64_t{32} << 20, kRowsAhead = 4;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The element's rows that reach equally far along x.
struct Group {
  std::int64_t reach = 0;
  std::vector<Element::Row> rows;
};

/// Those that reach farthest first.
std::vector<Group> groups_of(const Element& element) {
  std::vector<Element::Row> rows = element.rows;
  std::ranges::stable_sort(rows, [](const auto& a, const auto& b) { return a.reach > b.reach; });
  std::vector<Group> groups;
  for (const Element::Row& row : rows) {
    if (groups.empty() || groups.back().reach != row.reach) groups.push_back({row.reach, {}});
    groups.back().rows.push_back(row);
  }
  return groups;
}

/// Memory that begins where a line does, or the result in its own, so that vectors of rows of both are in step.
class InStep {
 public:
  InStep(std::int64_t bytes, const void* result) : memory_(std::make_unique_for_overwrite<char[]>(at(bytes + kLine))) {
    const auto off = reinterpret_cast<std::uintptr_t>(result) - reinterpret_cast<std::uintptr_t>(memory_.get());
    begin_ = memory_.get() + off % kLine;
  }
  char* begin() { return begin_; }

 private:
  std::unique_ptr<char[]> memory_;
  char* begin_;
};

/// Rows [begin, end) of consecutive slices of the result.
class ExtremeTile {
 public:
  ExtremeTile(const ConstVoxelSpan& image, const Element& element, const std::vector<Group>& groups,
              const ExtremeFunctions& functions, const VoxelSpan& result, std::int64_t begin, std::int64_t end)
      : image_(image),
        groups_(groups),
        functions_(functions),
        begin_(begin),
        end_(end),
        columns_(image.extent(2)),
        bytes_(bytes_of(image.type())),
        reach_y_(element.reach_y()),
        reach_z_(element.reach_z()),
        slices_(2 * reach_z_ + 1),
        is_box_(element.is_box),
        is_large_(image.size() * bytes_ > kCached),
        pad_((groups.front().reach * bytes_ + kLine) / kLine * kLine),
        extremes_(columns_ * bytes_ + 2 * pad_, result.data()),
        wider_(columns_ * bytes_ + 2 * pad_, result.data()),
        windows_(columns_ * bytes_ + 2 * pad_, result.data()),
        ring_(is_box_ ? slices_ * (end - begin) * columns_ * bytes_ : 0, result.data()) {
    for (InStep* row : {&extremes_, &wider_}) functions.fill_none(columns_ + 2 * pad_ / bytes_, row->begin());
  }

  /// Before the rows of the slices from z on.
  void begin_at(std::int64_t z) {
    if (!is_box_) return;
    for (std::int64_t slice = std::max<std::int64_t>(0, z - reach_z_); slice < z + reach_z_; ++slice)
      for (std::int64_t y = begin_; y < end_; ++y) go_along_y(slice, y);
  }

  void row(std::int64_t z, std::int64_t y, void* to) {
    // Where rows do not begin with a line, two share one, which does not go past the caches and is waited for.
    if (is_large_) __builtin_prefetch(static_cast<const char*>(to) + kRowsAhead * columns_ * bytes_, 1);
    if (is_box_) go_along_y(z + reach_z_, y);
    sources_.clear();
    std::int64_t reached = 0;
    for (const Group& group : groups_) {
      if (!sources_.empty()) {
        functions_.of_rows(sources_.data(), count_of_sources(), columns_, extremes_.begin() + pad_, nullptr);
        widen(reached - group.reach);
      }
      add_sources(group, z, y);
      reached = group.reach;
    }
    if (reached > 0) {
      functions_.of_rows(sources_.data(), count_of_sources(), columns_, extremes_.begin() + pad_, nullptr);
      widen(reached);
    }
    functions_.of_rows(sources_.data(), count_of_sources(), columns_, to, is_large_ ? row_ahead(z, y) : nullptr);
  }

 private:
  std::int64_t count_of_sources() const { return static_cast<std::int64_t>(sources_.size()); }

  const char* image_row(std::int64_t slice, std::int64_t y) const {
    return static_cast<const char*>(image_.data()) + (slice * image_.extent(1) + y) * columns_ * bytes_;
  }
  char* ring_row(std::int64_t slice, std::int64_t y) {
    return ring_.begin() + (slice % slices_ * (end_ - begin_) + y - begin_) * columns_ * bytes_;
  }

  /// Of a box, the extremes along y of a row wait in the ring for the slices that reach it.
  void go_along_y(std::int64_t slice, std::int64_t y) {
    if (slice >= image_.extent(0)) return;
    sources_.clear();
    const std::int64_t last = std::min(y + reach_y_, image_.extent(1) - 1);
    for (std::int64_t row = std::max<std::int64_t>(y - reach_y_, 0); row <= last; ++row)
      sources_.push_back(image_row(slice, row));
    functions_.of_rows(sources_.data(), count_of_sources(), columns_, ring_row(slice, y), nullptr);
  }

  /// The row of the image that will be new when some more rows are done, or one that is there.
  const char* row_ahead(std::int64_t z, std::int64_t y) const {
    std::int64_t slice = z + reach_z_, row = y + reach_y_ + kRowsAhead;
    if (row >= end_ + reach_y_) {
      ++slice;
      row += begin_ - end_ - 2 * reach_y_;
    }
    const bool is_there = slice < image_.extent(0) && row >= 0 && row < image_.extent(1);
    return is_there ? image_row(slice, row) : image_row(z, y);
  }

  /// What of a group lies in the volume.
  void add_sources(const Group& group, std::int64_t z, std::int64_t y) {
    if (is_box_) {
      const std::int64_t last = std::min(image_.extent(0) - 1, z + reach_z_);
      for (std::int64_t slice = std::max<std::int64_t>(0, z - reach_z_); slice <= last; ++slice)
        sources_.push_back(ring_row(slice, y));
      return;
    }
    for (const Element::Row& of : group.rows) {
      const std::int64_t slice = z + of.dz, row = y + of.dy;
      if (slice >= 0 && slice < image_.extent(0) && row >= 0 && row < image_.extent(1))
        sources_.push_back(image_row(slice, row));
    }
  }

  /// Rows of which the extreme is that of windows of `reach` on both sides in `extremes_`, which stays as it is while
  /// the next is made.
  void widen(std::int64_t reach) {
    std::swap(extremes_, wider_);
    const char* const from = wider_.begin() + pad_;
    if (reach == 1) {
      sources_ = {from - bytes_, from, from + bytes_};
      return;
    }
    // Windows that begin at each place from -reach on, of 2, 4, 8 ... values, as long as they fit; two of them overlap.
    const std::int64_t wanted = 2 * reach + 1, places = columns_ + 2 * reach;
    char* const windows = windows_.begin();
    sources_ = {from - reach * bytes_, from - (reach - 1) * bytes_};
    functions_.of_rows(sources_.data(), 2, places, windows, nullptr);
    std::int64_t window = 2;
    for (; 2 * window <= wanted; window *= 2) {
      sources_ = {windows, windows + window * bytes_};
      functions_.of_rows(sources_.data(), 2, places - window, windows, nullptr);
    }
    sources_ = {windows, windows + (wanted - window) * bytes_};
  }

  const ConstVoxelSpan& image_;
  const std::vector<Group>& groups_;
  const ExtremeFunctions& functions_;
  std::int64_t begin_, end_, columns_, bytes_, reach_y_, reach_z_, slices_;
  bool is_box_, is_large_;
  std::int64_t pad_;  ///< bytes on both sides of rows that are widened
  InStep extremes_, wider_, windows_;
  InStep ring_;  ///< of a box: rows of the slices that it reaches
  std::vector<const void*> sources_;
};

}  // namespace

void find_extremes(Stream& stream, const ConstVoxelSpan& image, const Element& element, Extreme which,
                   const VoxelSpan& extremes) {
  const ExtremeFunctions functions =
      HWY_DYNAMIC_DISPATCH(extreme_functions_of)(image.type(), which == Extreme::largest);
  const std::vector<Group> groups = groups_of(element);
  const std::int64_t slices = image.extent(0), rows = image.extent(1), columns = image.extent(2);
  const std::int64_t row_bytes = columns * bytes_of(extremes.type());
  const std::int64_t tiles_y = (rows + kTileRows - 1) / kTileRows, tiles_z = (slices + kTileSlices - 1) / kTileSlices;
  parallel_for(stream, tiles_y * tiles_z, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t first_y = t % tiles_y * kTileRows, first_z = t / tiles_y * kTileSlices;
      const std::int64_t last_y = std::min(first_y + kTileRows, rows), last_z = std::min(first_z + kTileSlices, slices);
      ExtremeTile tile(image, element, groups, functions, extremes, first_y, last_y);
      tile.begin_at(first_z);
      for (std::int64_t z = first_z; z < last_z; ++z)
        for (std::int64_t y = first_y; y < last_y; ++y)
          tile.row(z, y, static_cast<char*>(extremes.data()) + (z * rows + y) * row_bytes);
    }
    hwy::FlushStream();
  });
}

}  // namespace kiban::image::cpu
#endif
