#include "engine/operations/voxel_work.hpp"

#include <utility>

#include "io/output_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {

VoxelWork::VoxelWork(const Request& request, VoxelUse use, std::string result, std::optional<VoxelType> widest)
    : request_(request),
      input_(request, "image", use),
      result_(std::move(result)),
      widest_(widest.value_or(input_.type())) {}

Plan VoxelWork::plan(Device device) const {
  const std::int64_t voxels = element_count<3>(result_grid().shape);
  const auto result = static_cast<std::size_t>(voxels * bytes_of(widest_));
  Plan plan;
  plan.updates = voxels;
  plan.host_bytes = input_.host_bytes() + (device == Device{} ? 0 : result);
  plan.device_bytes = input_.device_bytes(device) + result + workspace_bytes(device);
  return plan;
}

void VoxelWork::run(Stream& stream, Progress& progress) {
  output_.emplace(request_, result_, result_grid(), widest_, stream);
  progress.enter("read");
  const ConstVoxelSpan image = input_.all(stream);
  progress.enter("compute");
  try {
    compute(stream, image, *output_);
  } catch (const Error& error) {
    throw Error(error.code(), input_.name() + ": " + error.what());
  }
  output_->put(progress);
}

void VoxelWork::store(Progress& progress) {
  progress.enter("write");
  io::commit_together({output_->finish(progress)});
  output_->hand_over();
}

}  // namespace kiban::engine
