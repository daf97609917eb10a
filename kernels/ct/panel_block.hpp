#pragma once
#include <memory>

#include "kernels/core/array.hpp"

namespace kiban::ct {

/// Filtered views on their way into a volume: each panel inside a margin of zeros, so that the backprojectors need no
/// bounds tests. A panel is zero outside its pixels, and bilinear in between: it fades to zero within one pixel.
/// Scans that are worked on together lie side by side: scan s has the slots [s kViews, (s + 1) kViews).
struct PanelBlock {
  static constexpr std::int64_t kViews = 32;       ///< views of a scan are added in blocks of this many, in order
  static constexpr std::int64_t kMostScans = 16;   ///< that are worked on together
  static constexpr std::int64_t kSlowMargin = 2;   ///< lines of zeros before and after
  static constexpr std::int64_t kFastMargin = 16;  ///< zeros before and at least as many after each line

  std::int64_t rows = 0, columns = 0;  ///< pixels of a panel, without margins
  bool columns_contiguous = false;     ///< a line is a detector column (v runs fastest), else a row (u runs fastest)
  Array<float, 3> pixels;              ///< [view, line, place in line], margins included
  /// A GPU's copy of the pixels for its texture units, made when first asked for.
  mutable std::shared_ptr<void> texture{};

  std::int64_t lines() const { return columns_contiguous ? columns : rows; }
  std::int64_t line_length() const { return columns_contiguous ? rows : columns; }
  /// Elements from one line to the next.
  std::int64_t pitch() const { return pixels.shape()[2]; }
  /// Element of `pixels` that holds pixel (0,0) of slot k.
  std::int64_t first_pixel(std::int64_t k) const {
    return (k * pixels.shape()[1] + kSlowMargin) * pitch() + kFastMargin;
  }

  /// Slots.
  std::int64_t slots() const { return pixels.shape()[0]; }

  /// A block of `kViews` panels a scan, zero everywhere. Errors: input, device (memory).
  static PanelBlock make(Stream& stream, std::int64_t rows, std::int64_t columns, bool columns_contiguous,
                         std::int64_t scans = 1);
  /// What `make` allocates for one scan.
  static std::size_t bytes(std::int64_t rows, std::int64_t columns, bool columns_contiguous);
};

}  // namespace kiban::ct
