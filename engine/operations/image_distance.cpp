#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/image/distance.hpp"

namespace kiban::engine {
namespace {

class DistanceWork : public VoxelWork {
 public:
  explicit DistanceWork(const Request& request)
      : VoxelWork(request, VoxelUse::labels, "distances", VoxelType::float32),
        rule_{request.parameters.flag("labels-apart"), request.parameters.flag("signed")} {}

 private:
  std::size_t workspace_bytes(Device device) const override {
    return device == Device{} ? 0 : image::kDistanceListBytes;
  }
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    image::distance(stream, image, input().grid().spacing, rule_, output.room_of(VoxelType::float32).as<float>());
  }

  image::DistanceRule rule_;
};

}  // namespace

Operation image_distance() {
  Operation operation;
  operation.name = "image.distance";
  operation.summary = "Exact Euclidean distances in mm within a mask or a label map";
  operation.notes = {
      "A voxel's distance is that from its centre to the nearest centre of a voxel of another kind, with the spacing "
      "of "
      "the volume. Kinds are object and background; with labels-apart each label is a kind. The background is 0, and "
      "with signed its distances are positive and those of objects negative. Nothing lies outside of the volume: where "
      "there is no other kind, the distance is infinite.",
      "Squares are sums of rounded products in single precision: relative 2.4e-7, exact in cubic voxels. After "
      "Felzenszwalb and Huttenlocher (2012)."};
  operation.update = "voxel";
  operation.ports = {
      {"image", PortDirection::in, PortKind::labels, true, "The mask or label map; 0 is the background"},
      {"distances", PortDirection::out, PortKind::volume, true, "Distances in mm, on the same grid"},
  };
  operation.parameters = {
      Parameter::flag("labels-apart", "Each label borders on the others; else all but 0 are one object"),
      Parameter::flag("signed", "Positive distances in the background, negative ones in objects"),
  };
  operation.load = [](const Request& request) { return std::make_unique<DistanceWork>(request); };
  return operation;
}

}  // namespace kiban::engine
