#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/operation.hpp"
#include "engine/operations/volume_port.hpp"
#include "io/image/image_file.hpp"
#include "io/output_file.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::engine {

/// What an operation makes of a file's or an array's numbers.
enum class VoxelUse {
  labels,  ///< whole numbers from 0 on, of a label type as wide as the file's or the array's integers
  values,  ///< of the type that they have; 64-bit ones of a file become float32
};

/// Where an operation reads a whole volume of any VoxelType: an image file, or memory (MemoryVolume).
class VoxelSource {
 public:
  /// Errors: input (see io::ImageReader; as labels, an array that is not of integers, or of signed ones with a
  /// negative, or of signed ones on a device).
  VoxelSource(const Request& request, const std::string& port, VoxelUse use = VoxelUse::labels);

  const Grid& grid() const { return memory_ ? memory_->grid : reader_->grid(); }
  /// As sentences name it.
  const std::string& name() const { return name_; }
  /// False for an array without a place in space.
  bool placed() const { return !memory_ || memory_->placed; }
  VoxelType type() const { return type_; }
  std::int64_t voxels() const { return element_count<3>(grid().shape); }
  /// What `all` takes of the host's and of a device's memory.
  std::size_t host_bytes() const;
  std::size_t device_bytes(Device device) const;

  /// The whole volume on the stream's device, where it lies or read into memory that lasts as long as this.
  /// Errors: input (unreadable, memory is short, a value that is no label).
  ConstVoxelSpan all(Stream& stream);

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(voxels() * bytes_of(type_)); }

  std::string name_;
  std::optional<MemoryVolume> memory_;
  std::optional<io::ImageReader> reader_;
  VoxelType type_ = VoxelType::uint8;
  VoxelArray read_, there_;  ///< of a file; the same on a device
};

/// Errors: input (two volumes do not lie on one grid: another shape, or places that differ by more than 1e-3 of a
/// voxel; names both). An array without a place lies where the other does.
void require_same_grid(const VoxelSource& one, const VoxelSource& other);

/// Where an operation leaves a whole volume of any VoxelType: an image file, or memory. Used in this order: `room` or
/// `room_of`, compute into it, `put`, `finish`, and once all outputs have their names `hand_over`.
class VoxelSink {
 public:
  /// Claims the output.
  ///   largest   the type of the voxels; of labels the widest that they may need
  ///   stream    on whose device they are computed
  /// Errors: input (the file cannot be written; memory given for the result has another shape, or for labels no label
  /// type).
  VoxelSink(const Request& request, const std::string& port, const Grid& grid, VoxelType largest, const Stream& stream);

  /// Memory of the stream's device for all voxels, uninitialised: of `needed`, or of the type of the array that was
  /// given for them.
  VoxelSpan room(VoxelType needed);
  /// The same of `type` only. Errors: input (an array of another type was given for them).
  VoxelSpan room_of(VoxelType type);
  /// The voxels are computed: brings them to the file, or to memory. Waits for the stream. Errors: input (the disk is
  /// full).
  void put(Progress& progress);
  /// What `io::commit_together` gives its name; null in memory. Errors: input (the disk is full) · Cancelled.
  io::OutputFile* finish(Progress& progress);
  void hand_over();

 private:
  std::string port_;
  Grid grid_;
  Stream stream_;
  std::shared_ptr<MemoryResult> memory_;
  std::optional<io::ImageWriter> writer_;
  VoxelArray voxels_;   ///< on the stream's device, unless the array that was given lies there
  VoxelSpan computed_;  ///< `voxels_`, or the array that was given
};

}  // namespace kiban::engine
