#pragma once
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

}  // namespace kiban::reference
