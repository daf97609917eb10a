// The least or largest of windows along x, kept for the slices that the element reaches, and then of the element's
// rows, tile by tile: a tile is some rows of some slices. Loops without a branch over plain values, which the compiler
// turns into vectors, once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/morphology_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/morphology.hpp"

#ifndef KIBAN_MORPHOLOGY_CPU_ONCE
#define KIBAN_MORPHOLOGY_CPU_ONCE
namespace kiban::image::cpu {

struct ExtremeFunctions {
  /// Of windows of `reach` (above 0) on both sides. `buffer`: columns + 2 reach values, workspace.
  void (*along_row)(const void* row, std::int64_t columns, std::int64_t reach, void* buffer, void* to);
  /// Of rows, value by value.
  void (*of_rows)(const void* const* rows, std::int64_t count, std::int64_t columns, void* to);
};

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {

template <bool largest, class T>
T extreme_of(T a, T b) {
  if constexpr (largest)
    return a > b ? a : b;
  else
    return a < b ? a : b;
}

template <bool largest, class T>
HWY_ATTR void along_row_of(const void* row_memory, std::int64_t columns, std::int64_t reach, void* buffer_memory,
                           void* to_memory) {
  const T* const row = static_cast<const T*>(row_memory);
  T* const to = static_cast<T*>(to_memory);
  T* const buffer = static_cast<T*>(buffer_memory);
  constexpr T kNone = largest ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
  // buffer[i] becomes the extreme of `window` values from i on, `window` doubled as long as it fits. Two to begin with.
  std::fill_n(buffer, reach, kNone);
  buffer[reach - 1] = row[0];
  for (std::int64_t i = 0; i + 1 < columns; ++i) buffer[reach + i] = extreme_of<largest>(row[i], row[i + 1]);
  buffer[reach + columns - 1] = row[columns - 1];
  std::fill_n(buffer + reach + columns, reach, kNone);
  const std::int64_t wanted = 2 * reach + 1;
  std::int64_t window = 2;
  for (; 2 * window <= wanted; window *= 2) {
    const std::int64_t count = columns + 2 * reach - window;
    for (std::int64_t i = 0; i < count; ++i) buffer[i] = extreme_of<largest>(buffer[i], buffer[i + window]);
  }
  const T* const late = buffer + (wanted - window);
  for (std::int64_t i = 0; i < columns; ++i) to[i] = extreme_of<largest>(buffer[i], late[i]);
}

template <bool largest, class T>
HWY_ATTR void of_rows_of(const void* const* rows, std::int64_t count, std::int64_t columns, void* to_memory) {
  T* const to = static_cast<T*>(to_memory);
  const auto row = [&](std::int64_t k) { return static_cast<const T*>(rows[k]); };
  if (count == 1) {
    std::copy_n(row(0), columns, to);
    return;
  }
  std::int64_t k = 0;
  if (count >= 5) {  // what there is most often, in one go: a cross
    const T *const a = row(0), *const b = row(1), *const c = row(2), *const d = row(3), *const e = row(4);
    for (std::int64_t i = 0; i < columns; ++i) {
      const T abc = extreme_of<largest>(extreme_of<largest>(a[i], b[i]), c[i]);
      to[i] = extreme_of<largest>(abc, extreme_of<largest>(d[i], e[i]));
    }
    k = 5;
  } else if (count >= 3) {  // a box of three
    const T *const a = row(0), *const b = row(1), *const c = row(2);
    for (std::int64_t i = 0; i < columns; ++i) to[i] = extreme_of<largest>(extreme_of<largest>(a[i], b[i]), c[i]);
    k = 3;
  } else {
    const T *const a = row(0), *const b = row(1);
    for (std::int64_t i = 0; i < columns; ++i) to[i] = extreme_of<largest>(a[i], b[i]);
    k = 2;
  }
  for (; k + 2 <= count; k += 2) {
    const T *const a = row(k), *const b = row(k + 1);
    for (std::int64_t i = 0; i < columns; ++i) to[i] = extreme_of<largest>(to[i], extreme_of<largest>(a[i], b[i]));
  }
  if (k < count)
    for (std::int64_t i = 0; i < columns; ++i) to[i] = extreme_of<largest>(to[i], row(k)[i]);
}

ExtremeFunctions extreme_functions_of(VoxelType type, bool largest) {
  return with_voxel_type(type, [&]<class T>() {
    return largest ? ExtremeFunctions{&along_row_of<true, T>, &of_rows_of<true, T>}
                   : ExtremeFunctions{&along_row_of<false, T>, &of_rows_of<false, T>};
  });
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(extreme_functions_of);

constexpr std::int64_t kTileRows = 64, kTileSlices = 32;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Rows [begin, end) of consecutive slices of the result.
class ExtremeTile {
 public:
  ExtremeTile(const ConstVoxelSpan& image, const Element& element, const ExtremeFunctions& functions,
              std::int64_t begin, std::int64_t end)
      : image_(image),
        element_(element),
        functions_(functions),
        begin_(begin),
        end_(end),
        bytes_(bytes_of(image.type())),
        row_bytes_(image.extent(2) * bytes_),
        reach_y_(element.reach_y()),
        reach_z_(element.reach_z()),
        first_row_(std::max<std::int64_t>(0, begin - reach_y_)),
        rows_(std::min(image.extent(1), end + reach_y_) - first_row_) {
    for (const Element::Row& row : element.rows) reaches_.push_back(row.reach);
    std::ranges::sort(reaches_);
    reaches_.erase(std::unique(reaches_.begin(), reaches_.end()), reaches_.end());
    for (const Element::Row& row : element.rows)
      which_.push_back(std::ranges::lower_bound(reaches_, row.reach) - reaches_.begin());
    slices_ = 2 * reach_z_ + 1;
    held_.assign(at(slices_), -1);
    // A box keeps rows that are already the extremes along y, and what came before them for the slice in work only.
    const auto kept = static_cast<std::int64_t>(reaches_.size()) * rows_ * row_bytes_;
    ring_ = uninitialized(element.is_box ? slices_ * (end - begin) * row_bytes_ : slices_ * kept);
    windows_ = uninitialized(element.is_box ? kept : 0);
    buffer_ = uninitialized(row_bytes_ + 2 * reaches_.back() * bytes_);
  }

  /// Before the rows of slice z: what its element reaches.
  void enter(std::int64_t z) {
    const std::int64_t last = std::min(image_.extent(0) - 1, z + reach_z_);
    for (std::int64_t slice = std::max<std::int64_t>(0, z - reach_z_); slice <= last; ++slice)
      if (std::int64_t& held = held_[at(slice % slices_)]; held != slice) {
        prepare(slice);
        held = slice;
      }
  }

  void row(std::int64_t z, std::int64_t y, void* to) {
    sources_.clear();
    if (element_.is_box) {
      for (std::int64_t dz = -reach_z_; dz <= reach_z_; ++dz)
        if (z + dz >= 0 && z + dz < image_.extent(0)) sources_.push_back(boxed(z + dz, y));
    } else {
      for (std::size_t k = 0; k < element_.rows.size(); ++k) {
        const std::int64_t slice = z + element_.rows[k].dz, row = y + element_.rows[k].dy;
        if (slice >= 0 && slice < image_.extent(0) && row >= 0 && row < image_.extent(1))
          sources_.push_back(rows_of(slice, which_[k], row));
      }
    }
    functions_.of_rows(sources_.data(), static_cast<std::int64_t>(sources_.size()), image_.extent(2), to);
  }

 private:
  static std::unique_ptr<char[]> uninitialized(std::int64_t bytes) {
    return std::make_unique_for_overwrite<char[]>(at(bytes));
  }

  char* boxed(std::int64_t slice, std::int64_t y) {
    return &ring_[at((slice % slices_ * (end_ - begin_) + y - begin_) * row_bytes_)];
  }
  const char* image_row(std::int64_t slice, std::int64_t y) const {
    return static_cast<const char*>(image_.data()) + (slice * image_.extent(1) + y) * row_bytes_;
  }
  char* window(std::int64_t slice, std::int64_t which, std::int64_t y) {
    const std::int64_t slot = element_.is_box ? 0 : slice % slices_ * static_cast<std::int64_t>(reaches_.size());
    return &(element_.is_box ? windows_ : ring_)[at(((slot + which) * rows_ + y - first_row_) * row_bytes_)];
  }

  /// Windows of one voxel are the image's own rows.
  const char* rows_of(std::int64_t slice, std::int64_t which, std::int64_t y) {
    return reaches_[at(which)] == 0 ? image_row(slice, y) : window(slice, which, y);
  }

  void prepare(std::int64_t slice) {
    for (std::size_t which = reaches_.front() == 0 ? 1 : 0; which < reaches_.size(); ++which)
      for (std::int64_t y = first_row_; y < first_row_ + rows_; ++y)
        functions_.along_row(image_row(slice, y), image_.extent(2), reaches_[which], buffer_.get(),
                             window(slice, static_cast<std::int64_t>(which), y));
    if (!element_.is_box) return;
    for (std::int64_t y = begin_; y < end_; ++y) {
      sources_.clear();
      for (std::int64_t row = std::max(y - reach_y_, first_row_); row <= std::min(y + reach_y_, first_row_ + rows_ - 1);
           ++row)
        sources_.push_back(rows_of(slice, 0, row));
      functions_.of_rows(sources_.data(), static_cast<std::int64_t>(sources_.size()), image_.extent(2),
                         boxed(slice, y));
    }
  }

  const ConstVoxelSpan& image_;
  const Element& element_;
  const ExtremeFunctions& functions_;
  std::int64_t begin_, end_, bytes_, row_bytes_, reach_y_, reach_z_, first_row_, rows_, slices_ = 1;
  std::vector<std::int32_t> reaches_;  ///< those that differ
  std::vector<std::int64_t> which_;    ///< of them each row's
  std::vector<std::int64_t> held_;     ///< which slice each slot of the ring has
  std::unique_ptr<char[]> ring_, windows_, buffer_;
  std::vector<const void*> sources_;
};

}  // namespace

void find_extremes(Stream& stream, const ConstVoxelSpan& image, const Element& element, Extreme which,
                   const VoxelSpan& extremes) {
  const ExtremeFunctions functions =
      HWY_DYNAMIC_DISPATCH(extreme_functions_of)(image.type(), which == Extreme::largest);
  const std::int64_t slices = image.extent(0), rows = image.extent(1), columns = image.extent(2);
  const std::int64_t tiles_y = (rows + kTileRows - 1) / kTileRows, tiles_z = (slices + kTileSlices - 1) / kTileSlices;
  parallel_for(stream, tiles_y * tiles_z, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t first_y = t % tiles_y * kTileRows, first_z = t / tiles_y * kTileSlices;
      const std::int64_t last_y = std::min(first_y + kTileRows, rows), last_z = std::min(first_z + kTileSlices, slices);
      ExtremeTile tile(image, element, functions, first_y, last_y);
      for (std::int64_t z = first_z; z < last_z; ++z) {
        tile.enter(z);
        for (std::int64_t y = first_y; y < last_y; ++y)
          tile.row(z, y, static_cast<char*>(extremes.data()) + (z * rows + y) * columns * bytes_of(extremes.type()));
      }
    }
  });
}

}  // namespace kiban::image::cpu
#endif
