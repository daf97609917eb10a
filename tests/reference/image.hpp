#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/core/array.hpp"
#include "kernels/core/vec.hpp"

/// Volume operations as their definitions have them: naive, in double, by no code of the kernels. Arrays are [z,y,x],
/// flat, x fastest.
namespace kiban::reference {

/// Components of equal labels (not 0), or with `of_background` of label 0, numbered from 1 in the order of their first
/// voxels: flood fill.   connectivity   6, 18 or 26
std::vector<std::uint32_t> components(const std::vector<std::uint32_t>& labels, const Shape<3>& shape, int connectivity,
                                      bool of_background = false);

/// mm from each voxel to the nearest of another kind, as image::distance defines it: every pair of voxels.
///   labels_apart   kinds are labels; else whether a label is 0
///   is_signed      the background has distances too, and objects negative ones
std::vector<double> distances(const std::vector<std::uint32_t>& labels, const Shape<3>& shape, const Vec3& spacing_mm,
                              bool labels_apart, bool is_signed);

/// The least (or largest) value under an element about each voxel: every voxel of it.
///   offsets   dx, dy, dz
std::vector<double> extremes(const std::vector<double>& values, const Shape<3>& shape,
                             const std::vector<std::array<std::int64_t, 3>>& offsets, bool largest);

/// Labels that are the nearest to each voxel, all of those as near to 1e-7, and how far that is: every pair of voxels.
struct NearestLabels {
  std::vector<std::vector<std::uint32_t>> labels;
  std::vector<double> mm;
};
NearestLabels nearest_labels(const std::vector<std::uint32_t>& labels, const Shape<3>& shape, const Vec3& spacing_mm);

/// What touches voxel `at`, as `components` has it.
std::vector<std::size_t> touching(const Shape<3>& shape, int connectivity, std::size_t at);

/// Labels as image::watershed defines them, water rising: levels and steps by going over the volume until nothing
/// changes, then labels in their order.   floods   where water runs
std::vector<std::uint32_t> watershed(const std::vector<double>& image, const std::vector<std::uint32_t>& markers,
                                     const std::vector<bool>& floods, const Shape<3>& shape, int connectivity);

/// Reconstruction by erosion: the marker sinks by its definition until nothing changes.
std::vector<double> reconstructed(const std::vector<double>& image, const std::vector<double>& marker,
                                  const Shape<3>& shape, int connectivity);

/// What one value of a resampled image is asked of.
struct ResampledImage {
  const std::vector<double>& values;
  Shape<3> shape;
  Mat3 matrix;  ///< index on the image = matrix * index of the result + offset, in x, y, z order
  Vec3 offset;
  Vec3 sigma;   ///< of the Gaussian before, in voxels, along x, y, z of the image; 0: none
  bool extend;  ///< beyond the image the nearest edge, else `padding`
  double padding;
};
/// The result's values: `degree` 0 (nearest), 1 (linear) or 3 (cubic B-spline, by solving for its coefficients).
std::vector<double> resampled(const ResampledImage& image, const Shape<3>& result, int degree);

}  // namespace kiban::reference
