#include "engine/operations/volume_port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/finite.hpp"

namespace kiban::engine {
namespace {

/// Room for `slices`, of the memory that is there already if it suffices.
Span<float, 3> grown(Array<float, 3>& array, const Shape<3>& slices, Device device) {
  const bool fits = array.shape()[0] >= slices[0] && array.shape()[1] == slices[1] && array.shape()[2] == slices[2];
  if (!fits) {
    array = {};  // before the new is taken: never both
    array = Array<float, 3>(slices, device);
  }
  return array.span().slice(0, slices[0]);
}

std::string shape_text(const Shape<3>& shape) { return fmt::format("[{}, {}, {}]", shape[0], shape[1], shape[2]); }

}  // namespace

void require_float32(const ConstVoxelSpan& values, const std::string& name) {
  if (values.type() != VoxelType::float32)
    throw Error(ErrorCode::input, fmt::format("{} is not float32; give array.astype(numpy.float32)", name));
}

void require_shape(const ConstVoxelSpan& given, const Shape<3>& shape, const std::string& port) {
  if (given.shape() != shape)
    throw Error(ErrorCode::input, fmt::format("the array {} has shape {} and the result has {}; give one of that shape",
                                              port, shape_text(given.shape()), shape_text(shape)));
}

std::int64_t slices_at_a_time(const Shape<3>& shape) {
  constexpr std::int64_t kBytes = 8 << 20;
  const std::int64_t slice_bytes = shape[1] * shape[2] * static_cast<std::int64_t>(sizeof(float));
  return std::clamp<std::int64_t>(kBytes / std::max<std::int64_t>(slice_bytes, 1), 1, 32);
}

VolumeSource::VolumeSource(const Request& request, const std::string& port) : name_(request.described(port)) {
  if (request.in_memory(port)) {
    memory_ = request.object<MemoryVolume>(port);
    require_float32(memory_->values, port);
    values_ = memory_->values.as<float>();
  } else {
    reader_.emplace(request.path(port));
  }
}

Span<const float, 3> VolumeSource::slices(std::int64_t begin, std::int64_t end) {
  if (memory_) return values_.slice(begin, end);
  if (prefetched_.size() != 0) return prefetched_.span().slice(begin, end);
  const Span<float, 3> part = grown(buffer_, {end - begin, grid().ny(), grid().nx()}, Device{});
  reader_->read(begin, end, part);
  return part;
}

Span<const float, 3> VolumeSource::finite_slices(Stream& stream, std::int64_t begin, std::int64_t end,
                                                 const std::string& slice_name) {
  const Span<const float, 3> part = slices(begin, end);
  if (prefetched_.size() != 0) return part;
  if (part.device() == Device{}) {
    io::require_finite(part, slice_name, name_, begin);
  } else if (!all_finite(stream, part)) {
    throw Error(ErrorCode::input, fmt::format("{}: a value of {}s {} to {} is NaN or infinite; mend the data", name_,
                                              slice_name, begin, end - 1));
  }
  return part;
}

void VolumeSource::prefetch_finite(Progress& progress, const std::string& slice_name) {
  if (memory_ || prefetched_.size() != 0) return;
  progress.enter("read");
  Array<float, 3> all(grid().shape);
  const std::int64_t at_a_time = slices_at_a_time(grid().shape);
  for (std::int64_t begin = 0; begin < grid().nz(); begin += at_a_time) {
    progress.check();
    const std::int64_t end = std::min(begin + at_a_time, grid().nz());
    const Span<float, 3> part = all.span().slice(begin, end);
    reader_->read(begin, end, part);
    io::require_finite(part, slice_name, name_, begin);
  }
  prefetched_ = std::move(all);
  progress.finish();
}

VolumeSink::VolumeSink(const Request& request, const std::string& port, const Grid& grid, const Stream& stream)
    : grid_(grid), stream_(stream) {
  if (!request.in_memory(port)) {
    writer_.emplace(request.path(port), grid);
    return;
  }
  memory_ = request.object<std::shared_ptr<MemoryResult>>(port);
  if (memory_->given.size() == 0) taken_ = VoxelArray(VoxelType::float32, grid.shape, memory_->device);
  const VoxelSpan place = taken_.size() ? taken_.span() : memory_->given;
  require_shape(place, grid.shape, port);
  require_float32(place, port);
  result_ = place.as<float>();
}

Span<float, 3> VolumeSink::target(std::int64_t begin, std::int64_t end) { return result_.slice(begin, end); }

Span<float, 3> VolumeSink::part(std::int64_t begin, std::int64_t end) {
  begin_ = begin;
  end_ = end;
  if (memory_ && target(begin, end).device() == stream_.device()) return target(begin, end);
  return grown(work_, {end - begin, grid_.ny(), grid_.nx()}, stream_.device());
}

void VolumeSink::put() {
  if (!memory_) {
    writer_->write(begin_, on_host());
    return;
  }
  const Span<float, 3> place = target(begin_, end_);
  if (place.device() != stream_.device()) copy<float, 3>(stream_, work_.span().slice(0, end_ - begin_), place);
  stream_.synchronize();
}

Span<const float, 3> VolumeSink::on_host() {
  const Span<float, 3> computed = part(begin_, end_);
  if (computed.device() == Device{}) return computed;
  if (memory_ && target(begin_, end_).device() == Device{}) return target(begin_, end_);
  const Span<float, 3> there = grown(host_, computed.shape(), Device{});
  copy<float, 3>(stream_, computed, there);
  stream_.synchronize();
  return there;
}

io::OutputFile* VolumeSink::finish(Progress& progress) {
  if (!writer_) return nullptr;
  writer_->finish(stream_.threads(), [&progress] { progress.enter("write"); });
  return &writer_->file();
}

void VolumeSink::hand_over() {
  if (memory_) memory_->volume = {std::move(taken_), grid_};
}

void require_finite_result(Stream& stream, Span<const float, 3> values, const std::string& input) {
  if (!all_finite(stream, values))
    throw Error(ErrorCode::input,
                fmt::format("{}: its values are finite, but so large that the result is not; scale them, or look for "
                            "what is wrong with them",
                            input));
}

}  // namespace kiban::engine
