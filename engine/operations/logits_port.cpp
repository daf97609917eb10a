#include "engine/operations/logits_port.hpp"

#include <utility>

#include "kernels/core/error.hpp"

namespace kiban::engine {

LogitsSource::LogitsSource(const Request& request, const std::string& port) : name_(request.described(port)) {
  if (request.in_memory(port)) {
    memory_ = request.object<MemoryVolume>(port);
    require_float32(memory_->values, port);
  } else {
    reader_.emplace(request.path(port), io::ImageReader::Dimensions::volumes);
  }
}

std::size_t LogitsSource::bytes() const {
  return static_cast<std::size_t>(classes() * element_count<3>(grid().shape)) * sizeof(float);
}

std::size_t LogitsSource::device_bytes(Device device) const {
  const Device where = memory_ ? memory_->values.device() : Device{};
  return where == device ? 0 : bytes();
}

Span<const float, 4> LogitsSource::all(Stream& stream) {
  if (!memory_ && read_.size() == 0) read_ = io::read_voxels(*reader_, VoxelType::float32).values;
  ConstVoxelSpan logits = memory_ ? memory_->values : std::as_const(read_).span();
  if (logits.device() != stream.device()) {
    if (there_.size() == 0) there_ = VoxelArray(VoxelType::float32, logits.shape(), stream.device());
    copy(stream, logits, there_.span());
    logits = std::as_const(there_).span();
  }
  const Shape<3>& shape = grid().shape;
  return {static_cast<const float*>(logits.data()), {classes(), shape[0], shape[1], shape[2]}, logits.device()};
}

}  // namespace kiban::engine
