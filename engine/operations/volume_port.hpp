#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/operation.hpp"
#include "io/image/image_file.hpp"
#include "io/output_file.hpp"
#include "kernels/core/volume.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::engine {

/// What an input port of kind volume, projections, image, labels or logits takes in memory. The values outlive the run
/// and are not changed.
struct MemoryVolume {
  ConstVoxelSpan values;     ///< [slice,row,column], of any device; float32, of labels an integer type
  Grid grid;                 ///< of the same shape
  bool placed = true;        ///< false: nobody said where the voxels lie, `grid` says it of voxels of 1 mm
  std::int64_t volumes = 1;  ///< of logits: the classes, whose slices follow each other in `values`; `grid` is of one
};

/// What an output port of these kinds fills in memory, as std::shared_ptr.
struct MemoryResult {
  VoxelSpan given;     ///< where the values are to go; with no elements, new memory is taken
  Device device{};     ///< of the new memory
  VoxelVolume volume;  ///< the result once the run is over: its grid, and its values where memory was taken
};

/// Errors: input (an array of another type than float32; says how to convert it).
void require_float32(const ConstVoxelSpan& values, const std::string& name);
/// Errors: input (memory given for the result of `port` has another shape than it).
void require_shape(const ConstVoxelSpan& given, const Shape<3>& shape, const std::string& port);

/// Slices [row,column] of `shape` that pass between a file and a device at a time: some MiB, so that memory does not
/// grow with their number.
std::int64_t slices_at_a_time(const Shape<3>& shape);

/// Where an operation reads a volume or a stack of views: an image file, or memory.
class VolumeSource {
 public:
  /// Errors: input (the file is not what it should be, see io::ImageReader; an array is not float32).
  VolumeSource(const Request& request, const std::string& port);

  const Grid& grid() const { return memory_ ? memory_->grid : reader_->grid(); }
  /// As sentences name it.
  const std::string& name() const { return name_; }
  /// False for an array without a place in space.
  bool placed() const { return !memory_ || memory_->placed; }
  bool in_memory() const { return memory_.has_value(); }
  /// Of all values.
  std::size_t bytes() const { return static_cast<std::size_t>(element_count<3>(grid().shape)) * sizeof(float); }

  /// Slices [begin, end): where they lie in memory, or read from the file into host memory that lasts until the next
  /// call. Errors: input (unreadable, memory is short).
  Span<const float, 3> slices(std::int64_t begin, std::int64_t end);
  /// The same. Errors: input (a value that is not finite: names slice, row and column).
  ///   slice_name   what a slice is: "view", "slice"
  Span<const float, 3> finite_slices(Stream& stream, std::int64_t begin, std::int64_t end,
                                     const std::string& slice_name);
  /// Reads all slices of a file into memory, where the two above find them from then on; what is in memory stays where
  /// it is, unread. Enters the stage "read", and stops the clock. Errors: those of finite_slices · Cancelled.
  void prefetch_finite(Progress& progress, const std::string& slice_name);

 private:
  std::string name_;
  std::optional<MemoryVolume> memory_;
  Span<const float, 3> values_;  ///< of `memory_`
  std::optional<io::ImageReader> reader_;
  Array<float, 3> buffer_;      ///< of a file
  Array<float, 3> prefetched_;  ///< all of a file, known to be finite
};

/// Where an operation leaves a volume or a stack of views: an image file, or memory. Used in this order: any number of
/// times `part`, compute into it, `put`; then `commit`.
class VolumeSink {
 public:
  /// Claims the output.
  ///   stream   on whose device parts are computed
  /// Errors: input (the file cannot be written; memory given for the result has another shape or type).
  VolumeSink(const Request& request, const std::string& port, const Grid& grid, const Stream& stream);

  /// Memory of the stream's device for slices [begin, end), uninitialised: the result's own where it can be.
  Span<float, 3> part(std::int64_t begin, std::int64_t end);
  /// The part that was asked for last is computed, or about to be on the stream: brings it to its place. Waits for the
  /// stream. Errors: input (the disk is full).
  void put();
  /// The part that was put last, in host memory.
  Span<const float, 3> on_host();
  /// What `io::commit_together` gives its name; null in memory. Errors: input (the disk is full) · Cancelled.
  io::OutputFile* finish(Progress& progress);
  /// The result is whole: hands memory over.
  void hand_over();

 private:
  Span<float, 3> target(std::int64_t begin, std::int64_t end);

  Grid grid_;
  Stream stream_;
  std::shared_ptr<MemoryResult> memory_;
  VoxelArray taken_;       ///< the result's memory, where none was given
  Span<float, 3> result_;  ///< the result's memory
  std::optional<io::ImageWriter> writer_;
  Array<float, 3> work_, host_;  ///< a part on the device; the same on the host
  std::int64_t begin_ = 0, end_ = 0;
};

/// Errors: input (a value of the result is not finite: the input's values are too large to be computed with).
void require_finite_result(Stream& stream, Span<const float, 3> values, const std::string& input);

}  // namespace kiban::engine
