#pragma once
#include <cstdint>
#include <filesystem>

#include "kernels/core/volume.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::io {

/// A MetaImage that grows slice by slice. ITK's writer opens a file anew for each part, by its name, and only
/// goes on with one that it began itself; this keeps the file that was claimed open.
class MetaImageFile {
 public:
  /// Writes the header, and takes the space for the pixels: a disk that is too small is known before the work.
  ///   file        exists; what is in it is lost
  ///   asked_for   the name for the errors' sentences
  /// Errors: input (the disk is full).
  MetaImageFile(const std::filesystem::path& file, const std::filesystem::path& asked_for, const Grid& grid,
                VoxelType type);
  ~MetaImageFile();
  MetaImageFile(const MetaImageFile&) = delete;
  MetaImageFile& operator=(const MetaImageFile&) = delete;

  /// Slices [begin, end). Errors: input (the disk is full).
  void write(std::int64_t begin, std::int64_t end, const void* values);

 private:
  std::filesystem::path asked_for_;
  int file_;
  std::int64_t header_bytes_ = 0, slice_bytes_;
};

}  // namespace kiban::io
