#pragma once
#include <cstddef>

#include "kernels/core/backends.hpp"
#include "kernels/core/vec.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::image {

/// What a voxel's distance is to.
struct DistanceRule {
  bool labels_apart = false;  ///< true: labels border on each other; false: all but 0 are one object
  bool is_signed = false;     ///< true: background has distances too, and objects negative ones; false: background is 0
};

/// Exact Euclidean distance in mm from each voxel's centre to the nearest centre of a voxel of another kind:
///   distance(p) = min over q with kind(q) != kind(p) of |spacing (p - q)|
///   labels [z,y,x]      uint8, uint16 or uint32; kind: the label, or whether it is 0
///   spacing_mm          between centres along x, y, z; above 0
///   distances [z,y,x]   mm; infinite (signed: with its sign) where there is no other kind; nothing lies outside of the
///                       volume
/// Errors: input (another type, a spacing that is not positive and finite) · internal (another shape) · device.
/// Cost: linear; three reads of labels, three writes and two reads of distances (GPU: five reads
/// of labels). Workspace: of a thread 20 bytes for each voxel of 16 columns (CPU); 12 bytes for each voxel of some
/// columns, 192 MiB or one column (GPU). Synchronous.
/// Exactness: squares are sums of at most three rounded products, in float: relative 2^-22, exact where spacing is the
/// same along x, y and z and squared distances stay below 2^24 voxels. Independent of threads.
/// Source: Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8 (2012);
/// walls between labels after Saito and Toriwaki, Pattern Recognition 27 (1994).
void distance(Stream& stream, const ConstVoxelSpan& labels, const Vec3& spacing_mm, const DistanceRule& rule,
              Span<float, 3> distances);

/// The most that a GPU's lists take, but for volumes with a longer column.
constexpr std::size_t kDistanceListBytes = std::size_t{192} << 20;

/// What the backends are given: steps in units of `unit_mm`, the largest of them.
struct DistanceProblem {
  ConstVoxelSpan labels;
  DistanceRule rule;
  float step[3];  ///< along x, y, z
  float unit_mm;
};
KIBAN_BACKENDS(find_distances, Stream& stream, const DistanceProblem& problem, Span<float, 3> distances)

}  // namespace kiban::image
