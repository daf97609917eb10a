#include <fmt/format.h>

#include <optional>

#include "engine/operations/components_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxels_port.hpp"
#include "kernels/image/components.hpp"

namespace kiban::engine {
namespace {

class ComponentsWork : public Work {
 public:
  explicit ComponentsWork(const Request& request)
      : request_(request), connectivity_(connectivity_of(request.parameters)), input_(request, "image") {}

  Plan plan(Device device) const override {
    const auto voxels = static_cast<std::size_t>(input_.voxels());
    Plan plan;
    plan.updates = input_.voxels();
    plan.host_bytes = input_.host_bytes() + (device == Device{} ? 0 : voxels * sizeof(std::uint32_t));
    // The components' numbers, and what finds them.
    plan.device_bytes = input_.device_bytes(device) + 2 * voxels * sizeof(std::uint32_t);
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    output_.emplace(request_, "labels", input_.grid(), VoxelType::uint32, stream);
    progress.enter("read");
    const ConstVoxelSpan labels = input_.all(stream);
    progress.enter("compute");
    const image::Components components(stream, labels, connectivity_);
    count_ = components.count();
    components.number(stream, output_->room(label_type_for(count_)));
    output_->put(progress);
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({output_->finish(progress)});
    output_->hand_over();
  }

  std::vector<Finding> findings() const override { return {{"components", static_cast<double>(count_), ""}}; }

 private:
  Request request_;
  image::Connectivity connectivity_;
  VoxelSource input_;
  std::optional<LabelSink> output_;
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
