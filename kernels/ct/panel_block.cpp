#include "kernels/ct/panel_block.hpp"

namespace kiban::ct {
namespace {

Shape<3> block_shape(std::int64_t scans, std::int64_t lines, std::int64_t line_length) {
  constexpr std::int64_t kLineMultiple = 16;  // lines start on a cache line
  const std::int64_t rounded = (line_length + kLineMultiple - 1) / kLineMultiple * kLineMultiple;
  return {scans * PanelBlock::kViews, lines + 2 * PanelBlock::kSlowMargin, rounded + 2 * PanelBlock::kFastMargin};
}

}  // namespace

PanelBlock PanelBlock::make(Stream& stream, std::int64_t rows, std::int64_t columns, bool columns_contiguous,
                            std::int64_t scans) {
  PanelBlock block{rows, columns, columns_contiguous, {}};
  block.pixels = Array<float, 3>(block_shape(scans, block.lines(), block.line_length()), stream.device());
  zero(stream, block.pixels.span());
  return block;
}

std::size_t PanelBlock::bytes(std::int64_t rows, std::int64_t columns, bool columns_contiguous) {
  const Shape<3> shape = block_shape(1, columns_contiguous ? columns : rows, columns_contiguous ? rows : columns);
  return static_cast<std::size_t>(element_count<3>(shape)) * sizeof(float);
}

}  // namespace kiban::ct
