#pragma once
#include <span>

#include "kernels/ct/backproject.hpp"

namespace kiban::ct::cpu {

/// Lines of the block are detector columns, and the matrices have a column axis.
void backproject_columns(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                         ScanVolumes volumes);

/// Lines of the block are detector rows; any matrices.
void backproject_general(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                         ScanVolumes volumes);

}  // namespace kiban::ct::cpu
