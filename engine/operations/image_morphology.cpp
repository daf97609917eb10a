#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "engine/operations/element_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/distance.hpp"
#include "kernels/image/morphology.hpp"

namespace kiban::engine {
namespace {

image::MorphologyStep step_named(const std::string& name) {
  if (name == "erode") return image::MorphologyStep::erode;
  if (name == "dilate") return image::MorphologyStep::dilate;
  if (name == "open") return image::MorphologyStep::open;
  if (name == "close") return image::MorphologyStep::close;
  throw Error(ErrorCode::internal, "no step of morphology is called " + name);
}

Parameter step_parameter() {
  return Parameter::choice("step", {"erode", "dilate", "open", "close"},
                           "Shrink, grow, shrink and grow again, or grow and shrink again")
      .must_be_given();
}

class BallWork : public VoxelWork {
 public:
  explicit BallWork(const Request& request)
      : VoxelWork(request, VoxelUse::labels, "labels", std::nullopt),
        step_(step_named(parameters().text("step"))),
        radius_(parameters().has("radius-mm") ? parameters().real("radius-mm")
                                              : std::numeric_limits<double>::infinity()) {
    if (std::isinf(radius_) && step_ != image::MorphologyStep::dilate)
      throw Error(ErrorCode::usage, "radius-mm must be given: how far labels shrink");
  }

 private:
  std::size_t workspace_bytes(Device device) const override {
    // Distances, or squares; and on a GPU the lists of spread_labels, a third more than those of distances.
    const std::size_t lists = device == Device{} ? 0 : image::kDistanceListBytes / 3 * 4;
    return static_cast<std::size_t>(input().voxels()) * sizeof(float) + lists;
  }
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    image::ball_morphology(stream, image, input().grid().spacing, radius_, step_, output.room_of(image.type()));
  }

  image::MorphologyStep step_;
  double radius_;
};

class GreyWork : public VoxelWork {
 public:
  explicit GreyWork(const Request& request)
      : VoxelWork(request, VoxelUse::values, "result", std::nullopt),
        step_(step_named(parameters().text("step"))),
        element_(element_from(parameters(), input().grid().spacing)) {}

 private:
  std::size_t workspace_bytes(Device device) const override {
    const auto bytes = static_cast<std::size_t>(input().voxels() * bytes_of(input().type()));
    const bool two_steps = step_ == image::MorphologyStep::open || step_ == image::MorphologyStep::close;
    return bytes * ((two_steps ? 1 : 0) + (device != Device{} && element_.is_box ? 2 : 0));
  }
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    image::grey_morphology(stream, image, element_, step_, output.room_of(image.type()));
  }

  image::MorphologyStep step_;
  image::Element element_;
};

}  // namespace

Operation image_morphology() {
  Operation operation;
  operation.name = "image.morphology";
  operation.summary = "Shrinks and grows labels by a ball of a radius in mm";
  operation.notes = {
      "erode keeps what is farther than the radius from every voxel of another label or none. dilate grows into the "
      "background only, so that labels do not overlap: a voxel takes the label of the nearest one, of those as near "
      "the smallest; without radius-mm everywhere, the nearest-feature transform. open grows again what was shrunk. "
      "close shrinks again what was grown, and keeps what was there.",
      "By exact Euclidean distances between voxel centres, to a millionth of the radius, in a time that does not "
      "depend on it. Nothing lies outside of the volume: nothing shrinks at its border."};
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::labels, true, "The mask or label map; 0 is the background"},
                     {"labels", PortDirection::out, PortKind::labels, true, "The same, shrunk or grown"}};
  operation.parameters = {
      step_parameter(),
      Parameter::real("radius-mm", "mm", "Of the ball").at_least(0).or_else("dilate without bound"),
  };
  operation.load = [](const Request& request) { return std::make_unique<BallWork>(request); };
  return operation;
}

Operation image_grey() {
  Operation operation;
  operation.name = "image.grey";
  operation.summary = "Grey-scale morphology: the least or largest values under a structuring element";
  operation.notes = {
      "erode is the least value under the element about each voxel, dilate the largest, open the dilation of the "
      "erosion, close the erosion of the dilation; of a mask of 0 and 1 the binary ones. Nothing lies outside of the "
      "volume. Values that are not numbers are refused.",
      "The element is a box of 2 radius + 1 voxels along x, y, z, a cross of a voxel and its six neighbours, or a "
      "ball: "
      "the voxels whose centres are within radius-mm."};
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::image, true, "The volume"},
                     {"result", PortDirection::out, PortKind::image, true, "Of the same type, on the same grid"}};
  operation.parameters = {step_parameter()};
  operation.add(element_parameters());
  operation.load = [](const Request& request) { return std::make_unique<GreyWork>(request); };
  return operation;
}

}  // namespace kiban::engine
