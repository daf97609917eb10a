#include <fmt/format.h>

#include <optional>
#include <string>

#include "engine/operations/grid_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/resample.hpp"

namespace kiban::engine {
namespace {

image::Interpolation interpolation_named(const std::string& name) {
  if (name == "nearest") return image::Interpolation::nearest;
  if (name == "linear") return image::Interpolation::linear;
  if (name == "cubic") return image::Interpolation::cubic;
  if (name == "labels") return image::Interpolation::labels;
  throw Error(ErrorCode::internal, "no interpolation is called " + name);
}

image::ResampleRule rule_from(const Values& values) {
  if (values.flag("extend") && values.given("padding"))
    throw Error(ErrorCode::usage, "padding and extend contradict each other; give one of them");
  image::ResampleRule rule;
  rule.interpolation = interpolation_named(values.text("interpolation"));
  rule.antialias = !values.flag("no-antialias");
  rule.padding = values.flag("extend") ? std::nullopt : std::optional(values.real("padding"));
  return rule;
}

bool is_of_labels(const Request& request) { return request.parameters.text("interpolation") == "labels"; }

class ResampleWork : public VoxelWork {
 public:
  explicit ResampleWork(const Request& request)
      : VoxelWork(request, is_of_labels(request) ? VoxelUse::labels : VoxelUse::values, "resampled",
                  request.parameters.text("type") == "float32" ? std::optional(VoxelType::float32) : std::nullopt),
        rule_(rule_from(request.parameters)),
        grid_(requested_grid(request, input().grid(), input().placed())) {
    on_image_ = image::sampling(input().grid(), grid_);
    const std::string& interpolation = request.parameters.text("interpolation");
    const bool chooses = interpolation == "labels" || interpolation == "nearest";
    if (chooses && type() != input().type())
      throw Error(ErrorCode::usage, fmt::format("{} interpolation keeps {} as it is; leave type out", interpolation,
                                                name(input().type())));
  }

 private:
  VoxelType type() const { return parameters().text("type") == "float32" ? VoxelType::float32 : input().type(); }
  const Grid& result_grid() const override { return grid_; }
  std::size_t workspace_bytes(Device device) const override {
    return image::resample_workspace(device, input().grid().shape, on_image_, rule_, grid_.shape);
  }
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    image::resample(stream, image, on_image_, rule_, output.room_of(type()));
  }

  image::ResampleRule rule_;
  Grid grid_;
  image::Sampling on_image_;
};

}  // namespace

Operation image_resample() {
  Operation operation;
  operation.name = "image.resample";
  operation.summary =
      "Brings a volume to another grid: like another volume, to a spacing, size or orientation, cut or padded";
  operation.notes = {
      "Without like and start the result shows the same box: its centre stays, a spacing alone gives as many voxels as "
      "cover the volume, rounded, and a size alone the spacing that fits. start cuts and pads by whole voxels.",
      "nearest takes the nearest voxel, of two as near that of the larger index. linear weights eight. cubic is the "
      "cubic B-spline through all voxels, mirrored at the first and the last (Unser 1993). labels takes the label with "
      "the largest linear weight, of equal ones the smallest.",
      "Along axes on which the result has f > 1 voxels of the volume between two of its own, linear, cubic and labels "
      "smooth by a Gaussian of (f - 1) / 2 voxels before, as scikit-image does; labels only where the axes of both "
      "grids are parallel.",
      "Inside is what lies up to half a voxel beyond the outermost centres. The type stays; integers are rounded to "
      "the nearest."};
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::image, true, "The volume"}};
  operation.add(grid_ports());
  operation.add(std::vector<Port>{
      {"resampled", PortDirection::out, PortKind::image, true, "The volume on the other grid, of the same type"}});
  operation.parameters = {
      Parameter::choice("interpolation", {"nearest", "linear", "cubic", "labels"},
                        "How values between voxels are found")
          .by_default("linear"),
  };
  operation.add(grid_parameters());
  operation.add(std::vector<Parameter>{
      Parameter::real("padding", "", "The value beyond the volume; of a CT in HU -1024 is air").by_default(0.0),
      Parameter::flag("extend", "Beyond the volume stands what stands at its edge"),
      Parameter::flag("no-antialias", "Do not smooth before shrinking"),
      Parameter::choice("type", {"same", "float32"}, "Of the result: that of the volume, or float32")
          .by_default("same"),
  });
  operation.load = [](const Request& request) { return std::make_unique<ResampleWork>(request); };
  return operation;
}

}  // namespace kiban::engine
