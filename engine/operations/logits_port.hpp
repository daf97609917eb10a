#pragma once
#include <optional>
#include <string>

#include "engine/operation.hpp"
#include "engine/operations/volume_port.hpp"
#include "io/image/image_file.hpp"
#include "kernels/core/array.hpp"

namespace kiban::engine {

/// Where an operation reads what a network says of each class, float32 [class,z,y,x]: a file with four axes, x, y, z
/// and class, or memory (MemoryVolume).
class LogitsSource {
 public:
  /// Errors: input (see io::ImageReader; an array that is not float32).
  LogitsSource(const Request& request, const std::string& port);

  const Grid& grid() const { return memory_ ? memory_->grid : reader_->grid(); }
  std::int64_t classes() const { return memory_ ? memory_->volumes : reader_->volumes(); }
  const std::string& name() const { return name_; }
  bool placed() const { return !memory_ || memory_->placed; }
  /// What `all` takes of the host's and of a device's memory.
  std::size_t host_bytes() const { return memory_ ? 0 : 2 * bytes(); }
  std::size_t device_bytes(Device device) const;

  /// On the stream's device, where they lie or read into memory that lasts as long as this.
  /// Errors: input (unreadable, memory is short).
  Span<const float, 4> all(Stream& stream);

 private:
  std::size_t bytes() const;

  std::string name_;
  std::optional<MemoryVolume> memory_;
  std::optional<io::ImageReader> reader_;
  VoxelArray read_, there_;  ///< of a file; the same on a device
};

}  // namespace kiban::engine
