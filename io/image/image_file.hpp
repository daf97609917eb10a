#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/output_file.hpp"
#include "kernels/core/volume.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::io {

/// Reads volumes and projection stacks: MetaImage (.mha, .mhd), NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz), HDF5 as ITK
/// writes it (.h5, .hdf5), TIFF (.tif, .tiff: the pages of one file, or one file a slice: a folder, or a pattern as
/// `scan/projection_*.tif`, in natural order), DICOM (a folder of one series' slices, or one of them). A 2-D image is a
/// stack of one. Positions are DICOM's (LPS), whatever the format stores. Not thread-safe.
class ImageReader {
 public:
  enum class Dimensions { volume, volumes };  ///< at most three axes, or a fourth along which volumes follow each other

  /// Reads the header and checks it against the bytes that are there; allocates nothing for pixels.
  /// Errors: input (missing, unreadable, mislabelled or truncated file; not one number a pixel; too many dimensions;
  /// spacing, origin or direction that is not finite, zero, or not orthogonal).
  explicit ImageReader(const std::filesystem::path& path, Dimensions most = Dimensions::volume);
  ~ImageReader();
  ImageReader(ImageReader&&) noexcept;
  ImageReader& operator=(ImageReader&&) noexcept;

  const std::filesystem::path& path() const;
  /// Shape [slice,row,column] and place in mm. For a projection stack: [view, v, u].
  const Grid& grid() const;
  /// Along the fourth axis; their slices are numbered on.
  std::int64_t volumes() const;
  /// As ITK names it: `float`, `unsigned_short`.
  const std::string& pixel_type() const;
  /// The type that holds the file's numbers as they are; float32 where none does.
  VoxelType voxel_type() const;
  /// True where `read` touches only the slices that it is asked for; else the first `read` keeps the whole in memory.
  bool streams() const;

  /// Slices [begin, end), as numbers of the type that `slices` has.
  ///   slices [end-begin, row, column]   host memory
  /// Errors: internal (range, shape or device) · input (the file cannot be read, or memory is short for one that does
  /// not stream; integers are wanted and a pixel is none that the type holds: names it). Exactness: as float32,
  /// integers beyond 2^24 and doubles are rounded to the nearest.
  void read(std::int64_t begin, std::int64_t end, const VoxelSpan& slices);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The whole file, as numbers of `type`, [slices of all volumes, row, column]. Errors: those of ImageReader · input
/// (memory is short).
VoxelVolume read_voxels(ImageReader& reader, VoxelType type);
/// The same as float32.
Volume read_volume(const std::filesystem::path& path);

/// The label type in which a file's label map is read: as wide as the file's integers; uint32 for other numbers, as far
/// as they are whole.
VoxelType label_type(const ImageReader& reader);

/// Writes slices to .mha, .nrrd, .nii, .nii.gz, .h5, .hdf5, .tif or .tiff. An .mha is uncompressed and streamed; other
/// formats are collected in memory. TIFF keeps values only: no spacing between slices, origin or direction. Not
/// thread-safe.
class ImageWriter {
 public:
  ///   type   of the numbers, in the file as in what is written
  /// Errors: input (unknown extension, a folder that cannot be written, a grid or a type that the format cannot hold,
  /// memory is short).
  ImageWriter(const std::filesystem::path& path, const Grid& grid, VoxelType type = VoxelType::float32);
  ~ImageWriter();
  ImageWriter(ImageWriter&&) noexcept;
  ImageWriter& operator=(ImageWriter&&) noexcept;

  /// Before the first slice is written: another type, which takes no more bytes. Space was taken for the larger one.
  /// Errors: internal (a larger type, or something was written).
  void narrow(VoxelType type);

  /// Slices from `begin` on, in any order, each once.
  ///   slices [n, row, column]   host memory, of the writer's type
  /// Errors: internal (range, shape or type) · input (the disk is full).
  void write(std::int64_t begin, const ConstVoxelSpan& slices);

  /// Everything stands in the hidden file, compressed where the name says so (.nii.gz); only the name is missing.
  ///   threads     for the compression; 0: all cores
  ///   check_stop  called now and then; to stop, it throws
  /// Errors: internal (slices are missing) · input (the disk is full) · what `check_stop` throws.
  void finish(int threads = 0, const std::function<void()>& check_stop = {});

  /// After `finish`: to be committed together with other outputs.
  OutputFile& file();

  /// The file appears under its name; `finish` comes first where it was not called. Errors: those of `finish` and of
  /// OutputFile::commit.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All files that hold what ImageReader reads from `path`: the slices of a folder or pattern; a header, and its pixels
/// where they stand apart (.mhd, .nhdr). `path` itself where it cannot be read. Cost: no pixel is read.
std::vector<std::filesystem::path> image_files(const std::filesystem::path& path);

/// A whole volume at once, of the values' type. Errors: those of ImageWriter.
void write_image(const std::filesystem::path& path, const Grid& grid, const ConstVoxelSpan& values);

/// Errors: input (a value is NaN or infinite: names the slice, row and column of the first).
///   values [slice,row,column]   host memory
///   slice_name                  what a slice is: "view", "slice"
///   first_slice                 number of values' first slice in the file
/// Cost: one read of `values`, single-threaded.
void require_finite(Span<const float, 3> values, const std::string& slice_name, const std::filesystem::path& path,
                    std::int64_t first_slice);

}  // namespace kiban::io
