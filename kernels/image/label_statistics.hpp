#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/core/backends.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::image {

/// What is known of the voxels of one label.
struct LabelStatistics {
  std::uint32_t label = 0;
  std::int64_t voxels = 0;
  std::array<double, 3> centroid{};             ///< x, y, z: mean index
  std::array<std::int64_t, 3> first{}, last{};  ///< x, y, z: least and largest index
  double mean = 0, deviation = 0;  ///< of the image's values; deviation: root of the mean square from the mean
  double least = 0, largest = 0;
};

/// Count, place and values of each label but 0 that there is, in the order of labels.
///   labels [z,y,x]   uint8, uint16 or uint32
///   image [z,y,x]    any VoxelType; of shape [0,0,0]: none, and values are 0
/// A value that is not a number makes its label's mean, deviation, least and largest NaN.
/// Errors: input (labels of another type; an infinite value; on a GPU a label of 2^20 or more) · internal (shapes
/// differ) · device. Cost: one read of labels and image (GPU: two of the image). Workspace: some 500 bytes a label for
/// each of 64 parts (CPU), or 100 once (GPU). Synchronous. Exactness: counts, places, least and largest exact (the last
/// two of integers beyond 2^24 on a GPU: the nearest float); sums in double, in an order that does not depend on
/// threads, of 8- and 16-bit values exact (CPU), or in fixed point of 2^-31 of the image's largest absolute value
/// (GPU): relative to that, 1e-9.
std::vector<LabelStatistics> label_statistics(Stream& stream, const ConstVoxelSpan& labels,
                                              const ConstVoxelSpan& image = {});

KIBAN_BACKENDS(measure_labels, Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& image,
               std::vector<LabelStatistics>& statistics)

}  // namespace kiban::image
