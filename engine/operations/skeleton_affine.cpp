#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/operations/standard.hpp"
#include "engine/operations/volume_port.hpp"
#include "kernels/skeleton/affine.hpp"

namespace kiban::engine {
namespace {

class AffineWork : public Work {
 public:
  explicit AffineWork(const Request& request)
      : request_(request),
        scale_(static_cast<float>(request.parameters.real("scale"))),
        offset_(static_cast<float>(request.parameters.real("offset"))),
        input_(request, "input") {}

  Plan plan(Device) const override {
    const Shape<3>& shape = input_.grid().shape;
    Plan plan;
    plan.updates = element_count<3>(shape);
    plan.host_bytes = plan.device_bytes =
        static_cast<std::size_t>(slices_at_a_time(shape) * shape[1] * shape[2]) * sizeof(float);
    plan.batch_key = fmt::format("skeleton.affine {}x{}x{} {} {}", shape[0], shape[1], shape[2], scale_, offset_);
    return plan;
  }

  /// Some slices at a time: a volume of any size passes through little memory.
  void run(Stream& stream, Progress& progress) override {
    const std::int64_t slices = input_.grid().nz();
    const std::int64_t at_a_time = slices_at_a_time(input_.grid().shape);
    output_.emplace(request_, "output", input_.grid(), stream);
    for (std::int64_t z = 0; z < slices; z += at_a_time) {
      const std::int64_t end = std::min(slices, z + at_a_time);
      progress.enter("read");
      const Span<const float, 3> input = input_.slices(z, end);
      progress.enter("compute");
      const Span<float, 3> part = output_->part(z, end);
      copy<float, 3>(stream, input, part);
      skeleton::affine(stream, scale_, offset_, part);
      stream.synchronize();
      progress.enter("write");
      output_->put();
      progress.report(static_cast<double>(end) / static_cast<double>(slices));
    }
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({output_->finish(progress)});
    output_->hand_over();
  }

 private:
  Request request_;
  float scale_, offset_;
  VolumeSource input_;
  std::optional<VolumeSink> output_;
};

}  // namespace

Operation skeleton_affine() {
  Operation operation;
  operation.name = "skeleton.affine";
  operation.summary =
      "Multiplies a volume by a factor and adds an offset: the smallest complete operation, to be copied";
  operation.update = "voxel";
  operation.ports = {
      {"input", PortDirection::in, PortKind::volume, true, "The volume"},
      {"output", PortDirection::out, PortKind::volume, true, "scale x input + offset, on the same grid"},
  };
  operation.parameters = {
      Parameter::real("scale", "", "Factor").by_default(1.0),
      Parameter::real("offset", "", "Added after the factor, in the unit of the volume").by_default(0.0),
  };
  operation.load = [](const Request& request) { return std::make_unique<AffineWork>(request); };
  return operation;
}

}  // namespace kiban::engine
