#include "kernels/ct/panel_block.hpp"

namespace kiban::ct {

PanelBlock PanelBlock::make(Stream& stream, std::int64_t rows, std::int64_t columns, bool columns_contiguous) {
  PanelBlock block{rows, columns, columns_contiguous, {}};
  constexpr std::int64_t kLineMultiple = 16;  // lines start on a cache line
  const std::int64_t pitch =
      (block.line_length() + kLineMultiple - 1) / kLineMultiple * kLineMultiple + 2 * kFastMargin;
  block.pixels = Array<float, 3>({kViews, block.lines() + 2 * kSlowMargin, pitch}, stream.device());
  zero(stream, block.pixels.span());
  return block;
}

}  // namespace kiban::ct
