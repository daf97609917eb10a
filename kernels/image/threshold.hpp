#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/core/backends.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::image {

/// The class of each voxel:  classes[z,y,x] = how many of the thresholds are not above the voxel's value
///   image [z,y,x]     any VoxelType; what is not a number is of class 0
///   thresholds        in ascending order, at most 255; a value equal to a threshold is of the class above it
///   classes [z,y,x]   all voxels are written
///   only_odd          1 for an odd class and 0 for an even one: with two thresholds, the values between them
/// Errors: internal (shapes differ, thresholds too many or not in order) · device.
/// Cost: one read and one write of a voxel. Workspace: the thresholds. Synchronous. Exact.
void classify(Stream& stream, const ConstVoxelSpan& image, std::span<const double> thresholds,
              Span<std::uint8_t, 3> classes, bool only_odd = false);

/// How many voxels have values in each of equal bins.
struct Histogram {
  double least = 0, largest = 0;     ///< of the finite values; 0 where there are none
  double first_edge = 0, width = 0;  ///< of the first bin, of each
  std::vector<std::int64_t> counts;

  /// Between bins `bin - 1` and `bin`.
  double edge(std::size_t bin) const { return first_edge + static_cast<double>(bin) * width; }
};

/// The histogram of an image's finite values. Integers whose range is below 65,536 have a bin for each number, centred
/// on it; other values `bins` from the least to the largest, which belongs to the last.
///   image [z,y,x]   any VoxelType
/// Errors: device. Cost: two reads of the image. Workspace: 8 bytes a bin for each of 64 parts (CPU), once (GPU).
/// Synchronous. Exact: the same on every device.
Histogram histogram(Stream& stream, const ConstVoxelSpan& image, int bins);

/// Thresholds that part a histogram into `classes` whose variances, weighted by their voxels, sum to the least: edges
/// between bins, for `classify`. Of equally good ones the lowest.
/// Errors: input (fewer values that differ than classes).
/// Cost: classes x bins x log(bins). Source: Otsu, "A threshold selection method from gray-level histograms", IEEE
/// Trans. SMC 9 (1979); found as Liao, Chen and Chung (2001) define it for several, by divide and conquer over bins.
std::vector<double> otsu_thresholds(const Histogram& histogram, int classes);

/// The backends. Of classes those bits are kept that `bits` has. Of `histogram` there are two steps: the range of
/// finite values (largest < least where there are none), and the counts of values v in bin min(floor((v - first_edge) /
/// width), bins - 1).
struct ValueRange {
  double least, largest;
};
KIBAN_BACKENDS(classify_voxels, Stream& stream, const ConstVoxelSpan& image, std::span<const double> thresholds,
               Span<std::uint8_t, 3> classes, std::uint8_t bits)
KIBAN_BACKENDS(find_value_range, Stream& stream, const ConstVoxelSpan& image, ValueRange& range)
KIBAN_BACKENDS(count_values, Stream& stream, const ConstVoxelSpan& image, Histogram& histogram)

}  // namespace kiban::image
