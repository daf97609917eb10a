#include "kernels/ct/backproject_cpu.hpp"

#include <algorithm>

namespace kiban::ct::cpu {

std::vector<ScanInBlock> scans_in(const PanelBlock& block, ScanVolumes volumes) {
  const VolumePointers pointers = pointers_of(volumes, Device{});
  const std::int64_t pixels_of_a_scan = PanelBlock::kViews * block.pixels.shape()[1] * block.pitch();
  std::vector<ScanInBlock> scans;
  for (std::size_t scan = 0; scan < volumes.size(); ++scan)
    if (pointers.of_scan[scan])
      scans.push_back({static_cast<std::int64_t>(scan) * pixels_of_a_scan, pointers.of_scan[scan]});
  return scans;
}

std::int64_t scans_placed_together(std::int64_t scans, std::int64_t that_fit, std::int64_t tiles, int threads) {
  constexpr std::int64_t kTilesOfAThread = 4;
  const std::int64_t that_spread = scans * tiles / (kTilesOfAThread * threads);
  return std::clamp<std::int64_t>(std::min(that_fit, that_spread), 1, scans);
}

void backproject_block(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                       Interpolation, ScanVolumes volumes) {
  (block.columns_contiguous ? backproject_columns : backproject_general)(stream, block, matrices, volumes);
}

}  // namespace kiban::ct::cpu
