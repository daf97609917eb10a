#include "engine/operations/components_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/image/components.hpp"

namespace kiban::engine {
namespace {

class ComponentsWork : public VoxelWork {
 public:
  explicit ComponentsWork(const Request& request)
      : VoxelWork(request, VoxelUse::labels, "labels", VoxelType::uint32),
        connectivity_(connectivity_of(request.parameters)) {}

  std::vector<Finding> findings() const override { return {{"components", static_cast<double>(count_), ""}}; }

 private:
  std::size_t workspace_bytes(Device) const override {
    return static_cast<std::size_t>(input().voxels()) * sizeof(std::uint32_t);
  }

  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    const image::Components components(stream, image, connectivity_);
    count_ = components.count();
    components.number(stream, output.room(label_type_for(count_)));
  }

  image::Connectivity connectivity_;
  std::uint32_t count_ = 0;
};

}  // namespace

Operation image_components() {
  Operation operation;
  operation.name = "image.components";
  operation.summary = "Numbers the connected components of a mask or a label map";
  operation.notes = {
      "Voxels of the same label, not 0, are one component if a path of touching voxels of that label joins them. "
      "Components are numbered from 1 on in the order of their first voxels, as the file or array has them: the same "
      "on "
      "every device and with any number of threads.",
      "The result is uint8, uint16 or uint32, the smallest that holds the last number. For the largest component, or "
      "without specks: image.clean."};
  operation.update = "voxel";
  operation.ports = {
      {"image", PortDirection::in, PortKind::labels, true, "The mask or label map; 0 is the background"},
      {"labels", PortDirection::out, PortKind::labels, true, "The number of each voxel's component, on the same grid"},
  };
  operation.parameters = {connectivity_parameter()};
  operation.load = [](const Request& request) { return std::make_unique<ComponentsWork>(request); };
  return operation;
}

}  // namespace kiban::engine
