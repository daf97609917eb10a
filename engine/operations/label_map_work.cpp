#include "engine/operations/label_map_work.hpp"

#include "io/output_file.hpp"

namespace kiban::engine {

LabelMapWork::LabelMapWork(const Request& request, VoxelUse use, std::optional<VoxelType> widest)
    : request_(request), input_(request, "image", use), widest_(widest.value_or(input_.type())) {}

Plan LabelMapWork::plan(Device device) const {
  const auto labels = static_cast<std::size_t>(input_.voxels() * bytes_of(widest_));
  Plan plan;
  plan.updates = input_.voxels();
  plan.host_bytes = input_.host_bytes() + (device == Device{} ? 0 : labels);
  plan.device_bytes = input_.device_bytes(device) + labels + workspace_bytes();
  return plan;
}

void LabelMapWork::run(Stream& stream, Progress& progress) {
  output_.emplace(request_, "labels", input_.grid(), widest_, stream);
  progress.enter("read");
  const ConstVoxelSpan image = input_.all(stream);
  progress.enter("compute");
  compute(stream, image, *output_);
  output_->put(progress);
}

void LabelMapWork::store(Progress& progress) {
  progress.enter("write");
  io::commit_together({output_->finish(progress)});
  output_->hand_over();
}

}  // namespace kiban::engine
