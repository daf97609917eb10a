#include "engine/operations/voxels_port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

VoxelType unsigned_of(VoxelType type) {
  switch (type) {
    case VoxelType::int8:
      return VoxelType::uint8;
    case VoxelType::int16:
      return VoxelType::uint16;
    case VoxelType::int32:
      return VoxelType::uint32;
    default:
      return type;
  }
}

void require_no_negative(const ConstVoxelSpan& labels, const std::string& name) {
  if (labels.device() != Device{})
    throw Error(ErrorCode::input, fmt::format("{} is {} on a device; give uint8, uint16 or uint32 there", name,
                                              kiban::name(labels.type())));
  with_voxel_type(labels.type(), [&]<class T>() {
    const auto view = labels.as<T>().host();
    T least = 0;
    for (std::int64_t i = 0; i < view.size(); ++i) least = std::min(least, view.data[i]);
    if (least < 0)
      throw Error(ErrorCode::input, fmt::format("{} holds {}, and labels are whole numbers from 0 on; replace the "
                                                "negative ones",
                                                name, least));
  });
}

/// The same memory as a label type.
ConstVoxelSpan as_labels(const ConstVoxelSpan& given, const std::string& name) {
  if (is_label_type(given.type())) return given;
  if (given.type() == VoxelType::float32)
    throw Error(ErrorCode::input,
                fmt::format("{} is float32, and labels are integers; give array.astype(numpy.uint16)", name));
  require_no_negative(given, name);
  return {given.data(), unsigned_of(given.type()), given.shape(), given.device()};
}

}  // namespace

VoxelSource::VoxelSource(const Request& request, const std::string& port, VoxelUse use)
    : name_(request.described(port)) {
  if (request.in_memory(port)) {
    memory_ = request.object<MemoryVolume>(port);
    if (use == VoxelUse::labels) memory_->values = as_labels(memory_->values, port);
    type_ = memory_->values.type();
  } else {
    reader_.emplace(request.path(port));
    type_ = use == VoxelUse::labels ? io::label_type(*reader_) : reader_->voxel_type();
  }
}

std::size_t VoxelSource::host_bytes() const { return memory_ ? 0 : bytes() * (reader_->streams() ? 1 : 2); }

std::size_t VoxelSource::device_bytes(Device device) const {
  const Device where = memory_ ? memory_->values.device() : Device{};
  return where == device ? 0 : bytes();
}

ConstVoxelSpan VoxelSource::all(Stream& stream) {
  if (!memory_ && read_.size() == 0) read_ = io::read_voxels(*reader_, type_).values;
  const ConstVoxelSpan labels = memory_ ? memory_->values : std::as_const(read_).span();
  if (labels.device() == stream.device()) return labels;
  if (there_.size() == 0) there_ = VoxelArray(type_, grid().shape, stream.device());
  copy(stream, labels, there_.span());
  return std::as_const(there_).span();
}

void require_same_grid(const VoxelSource& one, const VoxelSource& other) {
  const Grid &grid = one.grid(), &other_grid = other.grid();
  if (grid.shape != other_grid.shape)
    throw Error(
        ErrorCode::input,
        fmt::format("{} has {} x {} x {} voxels and {} has {} x {} x {}; resample one of them", one.name(), grid.nx(),
                    grid.ny(), grid.nz(), other.name(), other_grid.nx(), other_grid.ny(), other_grid.nz()));
  if (!one.placed() || !other.placed()) return;
  const double tolerance = 1e-3 * std::ranges::min(grid.spacing);
  for (const double x : {0.0, static_cast<double>(grid.nx() - 1)})
    for (const double y : {0.0, static_cast<double>(grid.ny() - 1)})
      for (const double z : {0.0, static_cast<double>(grid.nz() - 1)}) {
        const Vec3 apart = grid.world({x, y, z}) - other_grid.world({x, y, z});
        if (!(dot(apart, apart) <= tolerance * tolerance))
          throw Error(ErrorCode::input,
                      fmt::format("{} and {} have as many voxels, which lie elsewhere; resample one of "
                                  "them, or correct its origin, spacing or direction",
                                  one.name(), other.name()));
      }
}

VoxelSink::VoxelSink(const Request& request, const std::string& port, const Grid& grid, VoxelType largest,
                     const Stream& stream)
    : port_(port), grid_(grid), stream_(stream) {
  if (!request.in_memory(port)) {
    writer_.emplace(request.path(port), grid, largest);
    return;
  }
  memory_ = request.object<std::shared_ptr<MemoryResult>>(port);
  const VoxelSpan& given = memory_->given;
  if (given.size() == 0) return;
  require_shape(given, grid.shape, port);
  if (is_label_type(largest) && !is_label_type(given.type()))
    throw Error(ErrorCode::input, fmt::format("{} is {}, and labels are written as uint8, uint16 or uint32; give an "
                                              "array of one of them",
                                              port, name(given.type())));
}

VoxelSpan VoxelSink::room(VoxelType needed) {
  const bool is_given = memory_ && memory_->given.size() != 0;
  if (is_given && memory_->given.device() == stream_.device()) return computed_ = memory_->given;
  if (writer_) writer_->narrow(needed);
  voxels_ = VoxelArray(is_given ? memory_->given.type() : needed, grid_.shape, stream_.device());
  return computed_ = voxels_.span();
}

VoxelSpan VoxelSink::room_of(VoxelType type) {
  const VoxelSpan voxels = room(type);
  if (voxels.type() != type)
    throw Error(ErrorCode::input,
                fmt::format("the array {} is {}; give one of {}", port_, name(voxels.type()), name(type)));
  return voxels;
}

void VoxelSink::put(Progress& progress) {
  if (memory_ && memory_->given.size() == 0 && memory_->device == stream_.device()) return stream_.synchronize();
  progress.enter("write");
  VoxelArray moved;  // to where a file is written from, or the caller wants it
  const bool is_given = memory_ && memory_->given.size() != 0;
  const Device where = memory_ ? memory_->device : Device{};
  VoxelSpan target = is_given ? memory_->given : computed_;
  if (!is_given && computed_.device() != where) {
    moved = VoxelArray(computed_.type(), computed_.shape(), where);
    target = moved.span();
  }
  if (target.data() != computed_.data()) copy(stream_, computed_, target);
  stream_.synchronize();
  if (writer_)
    writer_->write(0, target);
  else if (moved.size() != 0)
    voxels_ = std::move(moved);
}

io::OutputFile* VoxelSink::finish(Progress& progress) {
  if (!writer_) return nullptr;
  writer_->finish(stream_.threads(), [&progress] { progress.enter("write"); });
  return &writer_->file();
}

void VoxelSink::hand_over() {
  if (!memory_) return;
  memory_->volume = {memory_->given.size() == 0 ? std::move(voxels_) : VoxelArray(), grid_};
}

}  // namespace kiban::engine
