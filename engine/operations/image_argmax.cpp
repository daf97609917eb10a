#include <fmt/format.h>

#include <optional>

#include "engine/operations/grid_parameters.hpp"
#include "engine/operations/logits_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxels_port.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/argmax.hpp"

namespace kiban::engine {
namespace {

/// Of a grid that shows the same box in other voxels.
image::Sampling same_box(const Shape<3>& from, const Shape<3>& to) {
  image::Sampling on{};
  for (std::size_t a = 0; a < 3; ++a) {
    on.matrix[a][a] = static_cast<double>(from[2 - a]) / static_cast<double>(to[2 - a]);
    on.offset[a] = (on.matrix[a][a] - 1) / 2;
  }
  return on;
}

class ArgmaxWork : public Work {
 public:
  explicit ArgmaxWork(const Request& request) : request_(request), logits_(request, "logits") {
    // Logits of an array have no place: they fill the box of the volume that they are of.
    const bool takes_its_box = !logits_.placed() && request.uses("like");
    grid_ = requested_grid(request, logits_.grid(), takes_its_box ? std::nullopt : std::optional(logits_.placed()));
    on_logits_ = takes_its_box ? same_box(logits_.grid().shape, grid_.shape) : image::sampling(logits_.grid(), grid_);
    type_ = label_type_for(static_cast<std::uint64_t>(std::max<std::int64_t>(logits_.classes() - 1, 0)));
  }

  Plan plan(Device device) const override {
    const std::int64_t voxels = element_count<3>(grid_.shape);
    const auto result = static_cast<std::size_t>(voxels * bytes_of(type_));
    Plan plan;
    plan.updates = voxels * logits_.classes();
    plan.host_bytes = logits_.host_bytes() + (device == Device{} ? 0 : result);
    plan.device_bytes = logits_.device_bytes(device) + result;
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    output_.emplace(request_, "labels", grid_, type_, stream);
    progress.enter("read");
    const Span<const float, 4> logits = logits_.all(stream);
    progress.enter("compute");
    try {
      image::argmax_resample(stream, logits, on_logits_, 0, output_->room(type_));
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}", logits_.name(), error.what()));
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
  LogitsSource logits_;
  Grid grid_;
  image::Sampling on_logits_;
  VoxelType type_ = VoxelType::uint8;
  std::optional<VoxelSink> output_;
};

}  // namespace

Operation image_argmax() {
  Operation operation;
  operation.name = "image.argmax";
  operation.summary = "Makes a label map of a network's logits, on another grid than theirs";
  operation.notes = {
      "Each class's logits are interpolated linearly, beyond the last centre as there, and the class with the largest "
      "is the label, of equal ones the smaller; they are never stored on the result's grid. No smoothing before, no "
      "softmax, which changes no order. What is not a number wins against nothing. 0 beyond the logits.",
      "It is nnU-Net's export, the resampling of logits with order 1 and then the argmax. A file has four axes, x, y, "
      "z "
      "and class. An array has no place, and fills the box of the volume like."};
  operation.update = "voxel x class";
  operation.ports = {{"logits", PortDirection::in, PortKind::logits, true, "What the network says of each class"}};
  operation.add(grid_ports());
  operation.add(std::vector<Port>{{"labels", PortDirection::out, PortKind::labels, true,
                                   "The label map; uint8, or uint16 for more than 256 classes"}});
  operation.parameters = grid_parameters();
  operation.load = [](const Request& request) { return std::make_unique<ArgmaxWork>(request); };
  return operation;
}

}  // namespace kiban::engine
