#include "kernels/ct/scan_volumes.hpp"

#include <algorithm>

namespace kiban::ct {
namespace {

bool is_there(const Span<float, 3>& volume) { return volume.size() != 0; }

}  // namespace

VolumePointers pointers_of(ScanVolumes volumes, Device device) {
  if (volumes.size() > PanelBlock::kMostScans)
    throw Error(ErrorCode::internal, "more scans are to be worked on together than a block of views holds");
  const Shape<3> shape = shape_of(volumes);
  VolumePointers pointers;
  for (std::size_t scan = 0; scan < volumes.size(); ++scan) {
    if (!is_there(volumes[scan])) continue;
    if (volumes[scan].shape() != shape)
      throw Error(ErrorCode::internal, "volumes of different shapes are to be worked on together");
    pointers.of_scan[scan] = volumes[scan].on(device).data;
  }
  return pointers;
}

Shape<3> shape_of(ScanVolumes volumes) {
  const auto found = std::ranges::find_if(volumes, is_there);
  return found == volumes.end() ? Shape<3>{} : found->shape();
}

std::int64_t count_of(ScanVolumes volumes) { return std::ranges::count_if(volumes, is_there); }

}  // namespace kiban::ct
