#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>

#include "kernels/core/volume.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::io {

/// A volume in ITK's layout of HDF5: `/ITKImage/0/VoxelData` [slice,row,column], and beside it `Dimension`, `Spacing`,
/// `Origin` and `Directions` (a row an axis), x first. Not thread-safe.
class Hdf5Image {
 public:
  /// Reads the geometry. Errors: input (missing, truncated, not HDF5; no ITK image; not one number a pixel; more than
  /// three axes; sizes that contradict each other).
  explicit Hdf5Image(const std::filesystem::path& path);
  ~Hdf5Image();
  Hdf5Image(Hdf5Image&&) noexcept;
  Hdf5Image& operator=(Hdf5Image&&) noexcept;

  /// As the file has it, not yet checked for what a grid must be.
  const Grid& grid() const;
  /// The type that holds the file's numbers as they are; float32 where none does.
  VoxelType type() const;

  /// Slices from `begin` on. Numbers become those of `slices` as HDF5 converts them: integers end where the type ends.
  /// Errors: input (unreadable).
  void read(std::int64_t begin, const VoxelSpan& slices) const;
  /// The same as doubles.
  void read(std::int64_t begin, std::int64_t end, double* values) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes one, deflated slice by slice at level 1. False where the file cannot be written.
///   path   of a file that is there; it is begun anew
///   values [slice,row,column]   host memory
bool write_hdf5_image(const std::filesystem::path& path, const Grid& grid, const ConstVoxelSpan& values);

}  // namespace kiban::io
