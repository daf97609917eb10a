#include "kernels/ct/backproject_cpu.hpp"

namespace kiban::ct::cpu {

void backproject_block(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                       Interpolation, ScanVolumes volumes) {
  (block.columns_contiguous ? backproject_columns : backproject_general)(stream, block, matrices, volumes);
}

}  // namespace kiban::ct::cpu
