#pragma once
#include <span>
#include <vector>

#include "kernels/ct/backproject.hpp"

namespace kiban::ct::cpu {

/// One of the scans that are worked on together.
struct ScanInBlock {
  std::int64_t pixels;  ///< elements of the block from the first scan's panels to its own
  float* volume;
};

/// Those that are not left out.
std::vector<ScanInBlock> scans_in(const PanelBlock& block, ScanVolumes volumes);

/// How many scans to place voxels of at a time, which are then placed once for all of them: as many as fit, if that
/// leaves each thread enough to do.
///   that_fit   their sums, in the caches
///   tiles      of a volume
std::int64_t scans_placed_together(std::int64_t scans, std::int64_t that_fit, std::int64_t tiles, int threads);

/// Lines of the block are detector columns, and the matrices have a column axis.
void backproject_columns(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                         ScanVolumes volumes);

/// Lines of the block are detector rows; any matrices.
void backproject_general(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                         ScanVolumes volumes);

}  // namespace kiban::ct::cpu
