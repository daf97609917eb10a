#include <optional>
#include <string>

#include "engine/operations/element_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/smooth.hpp"

namespace kiban::engine {
namespace {

class GaussianWork : public VoxelWork {
 public:
  explicit GaussianWork(const Request& request) : VoxelWork(request, VoxelUse::values, "smoothed", std::nullopt) {}

 private:
  std::size_t workspace_bytes(Device device) const override {
    return device == Device{} ? 0 : 2 * sizeof(float) * static_cast<std::size_t>(input().voxels());
  }
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    Vec3 sigma = parameters().reals3("sigma-mm");
    for (std::size_t a = 0; a < 3; ++a) sigma[a] /= input().grid().spacing[a];
    image::gaussian(stream, image, sigma, output.room_of(image.type()));
  }
};

class MedianWork : public VoxelWork {
 public:
  explicit MedianWork(const Request& request)
      : VoxelWork(request, VoxelUse::values, "smoothed", std::nullopt),
        element_(element_from(parameters(), input().grid().spacing)) {}

 private:
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    image::median(stream, image, element_, output.room_of(image.type()));
  }

  image::Element element_;
};

std::vector<Port> ports() {
  return {{"image", PortDirection::in, PortKind::image, true, "The volume"},
          {"smoothed", PortDirection::out, PortKind::image, true, "Of the same type, on the same grid"}};
}

}  // namespace

Operation image_gaussian() {
  Operation operation;
  operation.name = "image.gaussian";
  operation.summary = "Smooths a volume by a Gaussian";
  operation.notes = {
      "The Gaussian is cut at 4 sigma and the volume mirrored at its first and last voxels, as scipy.ndimage's mode "
      "mirror. Integers are rounded to the nearest."};
  operation.update = "voxel";
  operation.ports = ports();
  operation.parameters = {Parameter::reals3("sigma-mm", "mm", "Of the Gaussian along x, y, z; 0: not along it")
                              .must_be_given()
                              .at_least(0)};
  operation.load = [](const Request& request) { return std::make_unique<GaussianWork>(request); };
  return operation;
}

Operation image_median() {
  Operation operation;
  operation.name = "image.median";
  operation.summary = "The median of the values about each voxel";
  operation.notes = {
      "Nothing lies outside of the volume. Of an even number of values, as there may be at its border, the lower of "
      "the "
      "two in the middle. Values that are not numbers are refused."};
  operation.update = "voxel";
  operation.ports = ports();
  operation.parameters = element_parameters();
  operation.load = [](const Request& request) { return std::make_unique<MedianWork>(request); };
  return operation;
}

}  // namespace kiban::engine
