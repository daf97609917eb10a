#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "kernels/core/voxels.hpp"
#include "kernels/image/components.hpp"

namespace kiban::image {

/// A voxel, x, y, z.
using VoxelIndex = std::array<std::int64_t, 3>;

/// Values that belong to a region, the ends included.
struct GrowRange {
  double low, high;
};

/// The region of values in a range that touching voxels of such values connect to a seed. A seed whose own value lies
/// outside of the range grows nothing.
///   image [z,y,x]    any VoxelType
///   region [z,y,x]   1 in the region, else 0
/// Errors: input (no seed, one outside of the volume) · internal (shapes) · device. Cost: a threshold and the
/// components of what it marks. Workspace: a byte a voxel, and that of Components. Synchronous. Exact. Source:
/// connected threshold, as ITK calls it.
void grow(Stream& stream, const ConstVoxelSpan& image, std::span<const VoxelIndex> seeds, const GrowRange& range,
          Connectivity connectivity, Span<std::uint8_t, 3> region);

struct ConfidenceRule {
  double multiplier = 2.5;  ///< how many standard deviations from the mean belong to the region
  int iterations = 4;       ///< how often the range is found anew from the region
  std::int64_t radius = 1;  ///< the first range is that of boxes about the seeds
};

/// The same with a range that follows from the region itself: mean +- multiplier standard deviations of the boxes about
/// the seeds, then of the region, again and again; widened to the values of the seeds. Returns the last range.
/// Errors: input (as above; an infinite value). Cost: the above and statistics, 1 + iterations times.
/// Source: confidence connected, as ITK calls it.
GrowRange grow_by_confidence(Stream& stream, const ConstVoxelSpan& image, std::span<const VoxelIndex> seeds,
                             const ConfidenceRule& rule, Connectivity connectivity, Span<std::uint8_t, 3> region);

}  // namespace kiban::image
