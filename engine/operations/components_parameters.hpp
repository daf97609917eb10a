#pragma once
#include "engine/parameters.hpp"
#include "kernels/image/components.hpp"

namespace kiban::engine {

/// `connectivity`, 26 by default; and what it says.
Parameter connectivity_parameter();
image::Connectivity connectivity_of(const Values& values);

}  // namespace kiban::engine
