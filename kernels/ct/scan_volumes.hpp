#pragma once
#include <span>

#include "kernels/core/array.hpp"
#include "kernels/ct/panel_block.hpp"

namespace kiban::ct {

/// Volumes of one shape that are worked on together, one a scan; one without elements is left out.
using ScanVolumes = std::span<const Span<float, 3>>;

/// The same as kernels take them, by value: null where a scan is left out.
struct VolumePointers {
  float* of_scan[PanelBlock::kMostScans] = {};
};

/// Errors: internal (too many, or of different shapes) · device (memory elsewhere).
VolumePointers pointers_of(ScanVolumes volumes, Device device);

/// Of the volumes that are there; of no elements if none is.
Shape<3> shape_of(ScanVolumes volumes);

/// Scans whose volumes are there.
std::int64_t count_of(ScanVolumes volumes);

}  // namespace kiban::ct
