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

}  // namespace kiban::reference
