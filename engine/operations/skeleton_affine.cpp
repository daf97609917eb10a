#include <fmt/format.h>

#include <optional>

#include "engine/operations/standard.hpp"
#include "io/image/image_file.hpp"
#include "kernels/skeleton/affine.hpp"

namespace kiban::engine {
namespace {

class AffineWork : public Work {
 public:
  explicit AffineWork(const Request& request)
      : scale_(static_cast<float>(request.parameters.real("scale"))),
        offset_(static_cast<float>(request.parameters.real("offset"))),
        input_(request.path("input")),
        output_path_(request.path("output")) {}

  Plan plan(Device) const override {
    const Shape<3>& shape = input_.grid().shape;
    Plan plan;
    plan.updates = element_count<3>(shape);
    plan.host_bytes = plan.device_bytes = static_cast<std::size_t>(shape[1] * shape[2]) * sizeof(float);
    plan.batch_key = fmt::format("skeleton.affine {}x{}x{} {} {}", shape[0], shape[1], shape[2], scale_, offset_);
    return plan;
  }

  /// Slice by slice: a volume of any size passes through the memory of two slices.
  void run(Stream& stream, Progress& progress) override {
    const Shape<3>& shape = input_.grid().shape;
    const Shape<3> one_slice{1, shape[1], shape[2]};
    output_.emplace(output_path_, input_.grid());
    Array<float, 3> host(one_slice), device(one_slice, stream.device());
    for (std::int64_t z = 0; z < shape[0]; ++z) {
      progress.enter("read");
      input_.read(z, z + 1, host.span());
      progress.enter("compute");
      copy<float, 3>(stream, host.span(), device.span());
      skeleton::affine(stream, scale_, offset_, device.span());
      copy<float, 3>(stream, device.span(), host.span());
      stream.synchronize();
      progress.enter("write");
      output_->write(z, host.span());
      progress.report(static_cast<double>(z + 1) / static_cast<double>(shape[0]));
    }
  }

  void store(Progress& progress) override {
    progress.enter("write");
    output_->commit();
  }

 private:
  float scale_, offset_;
  io::ImageReader input_;
  std::filesystem::path output_path_;
  std::optional<io::ImageWriter> output_;
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
