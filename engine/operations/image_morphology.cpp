#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "engine/operations/label_map_work.hpp"
#include "engine/operations/standard.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
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

class BallWork : public LabelMapWork {
 public:
  explicit BallWork(const Request& request)
      : LabelMapWork(request, VoxelUse::labels, std::nullopt),
        step_(step_named(parameters().text("step"))),
        radius_(parameters().has("radius-mm") ? parameters().real("radius-mm")
                                              : std::numeric_limits<double>::infinity()) {
    if (std::isinf(radius_) && step_ != image::MorphologyStep::dilate)
      throw Error(ErrorCode::usage, "radius-mm must be given: how far labels shrink");
  }

 private:
  std::size_t workspace_bytes() const override {
    return static_cast<std::size_t>(input().voxels()) * sizeof(float);
  }
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    image::ball_morphology(stream, image, input().grid().spacing, radius_, step_, output.room_of(image.type()));
  }

  image::MorphologyStep step_;
  double radius_;
};

image::Element element_from(const Values& values, const Vec3& spacing) {
  const std::string& shape = values.text("element");
  if (values.has("radius-mm") != (shape == "ball"))
    throw Error(ErrorCode::usage, shape == "ball" ? "a ball needs radius-mm" : "radius-mm is that of a ball; leave it out");
  if (values.given("radius") && shape != "box")
    throw Error(ErrorCode::usage, "radius is that of a box; leave it out");
  if (shape == "cross") return image::cross();
  if (shape == "box") return image::box(values.integers3("radius"));
  const double radius = values.real("radius-mm");
  for (const double step : spacing)
    if (radius / step > 64)
      throw Error(ErrorCode::usage, "radius-mm reaches more than 64 voxels; of a mask image.morphology takes any radius");
  return image::ball(radius, spacing);
}

class GreyWork : public Work {
 public:
  explicit GreyWork(const Request& request)
      : request_(request),
        step_(step_named(request.parameters.text("step"))),
        input_(request, "image", VoxelUse::values),
        element_(element_from(request.parameters, input_.grid().spacing)) {}

  Plan plan(Device device) const override {
    const auto bytes = static_cast<std::size_t>(input_.voxels() * bytes_of(input_.type()));
    const bool two_steps = step_ == image::MorphologyStep::open || step_ == image::MorphologyStep::close;
    Plan plan;
    plan.updates = input_.voxels();
    plan.host_bytes = input_.host_bytes() + (device == Device{} ? 0 : bytes);
    plan.device_bytes = input_.device_bytes(device) + bytes * (two_steps ? 2 : 1);
    if (device != Device{} && element_.is_box) plan.device_bytes += 2 * bytes;
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    output_.emplace(request_, "result", input_.grid(), input_.type(), stream);
    progress.enter("read");
    const ConstVoxelSpan image = input_.all(stream);
    progress.enter("compute");
    try {
      image::grey_morphology(stream, image, element_, step_, output_->room_of(input_.type()));
    } catch (const Error& error) {
      throw Error(error.code(), input_.name() + ": " + error.what());
    }
    output_->put(progress);
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({output_->finish(progress)});
    output_->hand_over();
  }

 private:
  Request request_;
  image::MorphologyStep step_;
  VoxelSource input_;
  image::Element element_;
  std::optional<VoxelSink> output_;
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
      "The element is a box of 2 radius + 1 voxels along x, y, z, a cross of a voxel and its six neighbours, or a ball: "
      "the voxels whose centres are within radius-mm."};
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::image, true, "The volume"},
                     {"result", PortDirection::out, PortKind::image, true, "Of the same type, on the same grid"}};
  operation.parameters = {
      step_parameter(),
      Parameter::choice("element", {"box", "cross", "ball"}, "The structuring element").by_default("box"),
      Parameter::integers3("radius", "", "Voxels of a box on each side of its centre, along x, y, z")
          .by_default(Integers3{1, 1, 1})
          .at_least(0)
          .at_most(1024),
      Parameter::real("radius-mm", "mm", "Of a ball").at_least(0).or_else("no ball"),
  };
  operation.load = [](const Request& request) { return std::make_unique<GreyWork>(request); };
  return operation;
}

}  // namespace kiban::engine
