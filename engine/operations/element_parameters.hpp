#pragma once
#include <vector>

#include "engine/parameters.hpp"
#include "kernels/image/element.hpp"

namespace kiban::engine {

/// The structuring element about each voxel, of operations that have one.
std::vector<Parameter> element_parameters();
/// Errors: usage (parameters of another element, a ball of more than 64 voxels' radius).
image::Element element_from(const Values& values, const Vec3& spacing_mm);

}  // namespace kiban::engine
