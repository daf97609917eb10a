#include "kernels/ct/backproject_cpu.hpp"

namespace kiban::ct::cpu {

void backproject_block(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                       Interpolation, Span<float, 3> volume) {
  (block.columns_contiguous ? backproject_columns : backproject_general)(stream, block, matrices, volume);
}

}  // namespace kiban::ct::cpu
