#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/core/backends.hpp"
#include "kernels/core/volume.hpp"
#include "kernels/core/voxels.hpp"
#include "kernels/image/taps.hpp"

namespace kiban::image {

/// Where the voxels of one grid lie on another: index there = matrix * index + offset, in x, y, z order.
struct Sampling {
  Mat3 matrix;
  Vec3 offset;
};
/// Of the voxels of `to` on `from`.
Sampling sampling(const Grid& from, const Grid& to);

struct ResampleRule {
  Interpolation interpolation = Interpolation::linear;
  /// Along axes of the image on which the result has f > 1 voxels of it between two of its own, the image is smoothed
  /// before by a Gaussian of (f - 1) / 2 voxels. Not for `nearest`.
  bool antialias = true;
  /// What the result holds more than half a voxel beyond the image's outermost centres; none: what the nearest edge
  /// holds.
  std::optional<double> padding = 0.0;
};

/// The image on another grid.
///   image [z,y,x]       any VoxelType
///   on_image            where the result's voxels lie on it
///   resampled [z,y,x]   any VoxelType, all voxels are written; integers are rounded to the nearest and end where the
///                       type ends; nearest and labels: the image's type
/// Errors: input (cubic: a value is not finite, which would spread over the volume) · internal (types differ) · device.
/// A value that is not a number reaches as far as the weights, where they are 0, too.
/// Cost: along axes that lie on the image's axes, in any order and direction: 2 (linear), 4 (cubic) or with smoothing
/// about 4 (f - 1) taps a voxel and axis. On other grids 8 or 64 taps a voxel; labels then are not smoothed.
/// Workspace: cubic 4 bytes a voxel of the image (CPU; and GPU on other grids); smoothing on other grids the same; some
/// MiB a thread (CPU); 4 bytes a voxel of the image made as long as the result along x, and where y and z have more
/// than 32 taps together also along y (GPU). Synchronous. Exactness: sums in float: relative 1e-6 of the largest value.
/// Independent of threads; labels and nearest the same on every device.
void resample(Stream& stream, const ConstVoxelSpan& image, const Sampling& on_image, const ResampleRule& rule,
              const VoxelSpan& resampled);

/// Memory of the device that `resample` takes besides, up to some MiB a thread.
std::size_t resample_workspace(Device device, const Shape<3>& image, const Sampling& on_image, const ResampleRule& rule,
                               const Shape<3>& result);

/// A grid whose axes lie on the image's: along output axis a (0 = x) runs the image's `axis[a]`, with `map[a]`.
struct AlignedSampling {
  std::array<int, 3> axis;
  std::array<AxisMap, 3> map;
  std::array<double, 3> sigma;  ///< smoothing, by output axis
};
/// None where it is rotated by more than 1e-6 voxels over the result.
std::optional<AlignedSampling> aligned(const Shape<3>& image, const Sampling& on_image, const Shape<3>& result,
                                       const ResampleRule& rule);

/// The image as an aligned grid's axes see it.
struct AlignedImage {
  const void* values;
  VoxelType type;
  std::array<std::int64_t, 3> extent, stride;  ///< by output axis (0 = x), in voxels
};
AlignedImage seen_along(const ConstVoxelSpan& image, const AlignedSampling& sampling);

/// The backends. `weigh`: weighted sums along three axes (taps: x, y, z), `padding` where the taps end. `vote`: the
/// value with the largest weight, exact; with one tap an axis a copy.
using TapsOfAxes = std::array<Taps, 3>;
KIBAN_BACKENDS(weigh, Stream& stream, const AlignedImage& image, const TapsOfAxes& taps, double padding,
               const VoxelSpan& weighed)
KIBAN_BACKENDS(vote, Stream& stream, const AlignedImage& image, const TapsOfAxes& taps, double padding,
               const VoxelSpan& voted)
/// Coefficients of the B-spline through all voxels.
KIBAN_BACKENDS(find_coefficients, Stream& stream, const ConstVoxelSpan& image, Span<float, 3> coefficients)
/// Any grid. `image`: with cubic the coefficients.
KIBAN_BACKENDS(sample, Stream& stream, const ConstVoxelSpan& image, const Sampling& on_image, const ResampleRule& rule,
               const VoxelSpan& sampled)

}  // namespace kiban::image
