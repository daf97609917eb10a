#include "engine/operations/element_parameters.hpp"

#include <string>

#include "kernels/core/error.hpp"

namespace kiban::engine {

std::vector<Parameter> element_parameters() {
  return {
      Parameter::choice("element", {"box", "cross", "ball"}, "The structuring element").by_default("box"),
      Parameter::integers3("radius", "", "Voxels of a box on each side of its centre, along x, y, z")
          .by_default(Integers3{1, 1, 1})
          .at_least(0)
          .at_most(1024),
      Parameter::real("radius-mm", "mm", "Of a ball").at_least(0).or_else("no ball"),
  };
}

image::Element element_from(const Values& values, const Vec3& spacing_mm) {
  const std::string& shape = values.text("element");
  if (values.has("radius-mm") != (shape == "ball"))
    throw Error(ErrorCode::usage,
                shape == "ball" ? "a ball needs radius-mm" : "radius-mm is that of a ball; leave it out");
  if (values.given("radius") && shape != "box") throw Error(ErrorCode::usage, "radius is that of a box; leave it out");
  if (shape == "cross") return image::cross();
  if (shape == "box") return image::box(values.integers3("radius"));
  const double radius = values.real("radius-mm");
  for (const double step : spacing_mm)
    if (radius / step > 64)
      throw Error(ErrorCode::usage,
                  "radius-mm reaches more than 64 voxels; of a mask image.morphology takes any radius");
  return image::ball(radius, spacing_mm);
}

}  // namespace kiban::engine
