#include "engine/operations/components_parameters.hpp"

#include <string>

namespace kiban::engine {

Parameter connectivity_parameter() {
  return Parameter::choice("connectivity", {"6", "18", "26"},
                           "Voxels touch across faces (6), edges too (18), or corners too (26)")
      .by_default("26");
}

image::Connectivity connectivity_of(const Values& values) {
  return static_cast<image::Connectivity>(std::stoi(values.text("connectivity")));
}

}  // namespace kiban::engine
