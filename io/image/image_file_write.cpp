#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "io/hdf5/hdf5_image.hpp"
#include "io/image/gzip.hpp"
#include "io/image/image_file.hpp"
#include "io/image/image_format.hpp"
#include "io/image/image_io.hpp"
#include "io/image/metaimage_file.hpp"
#include "io/image/pixel_conversion.hpp"
#include "io/memory.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

constexpr std::int64_t longest_nifti_axis = 32767, most_tiff_pages = 65535, longest_axis = 2147483647;
constexpr std::int64_t longest_header = 4096, longest_page_header = 512;  // of what is written here, generously

void require_writable(const std::filesystem::path& path, const Grid& grid, VoxelType type) {
  const ImageFormat format = format_by_extension(path);
  if (const std::string extension = path.extension(); extension == ".mhd" || extension == ".nhdr")
    refuse_image(path, fmt::format("a header apart from its pixels cannot appear in one piece; name it {}",
                                   extension == ".mhd" ? ".mha" : ".nrrd"));
  const std::int64_t longest = format == ImageFormat::nifti ? longest_nifti_axis : longest_axis;
  for (const std::int64_t extent : grid.shape) {
    if (extent < 1 || extent > longest)
      refuse_image(path, fmt::format("{} holds axes of 1 to {} pixels and this one has {}; crop it, or write .mha",
                                     name(format), longest, extent));
  }
  if (format == ImageFormat::tiff && (type == VoxelType::uint32 || type == VoxelType::int32))
    refuse_image(path, fmt::format("TIFF with {} is read by few programs; write .nii.gz, .nrrd or .mha", name(type)));
  if (format == ImageFormat::tiff && grid.nz() > most_tiff_pages)
    refuse_image(
        path, fmt::format("a TIFF file holds {} pages and this stack has {}; write .mha", most_tiff_pages, grid.nz()));
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (!std::isfinite(grid.origin[axis]) || !std::isfinite(grid.spacing[axis]) || grid.spacing[axis] <= 0)
      refuse_image(path, "the spacing or origin to be written is not finite, or not above 0; correct it");
  }
}

void write_by_itk(const std::filesystem::path& temporary, const std::filesystem::path& asked_for, const Grid& grid,
                  const ConstVoxelSpan& values) {
  run_itk(asked_for, [&] {
    const itk::ImageIOBase::Pointer io = create_image_io(temporary, itk::IOFileModeEnum::WriteMode);
    io->SetNumberOfDimensions(3);
    for (unsigned axis = 0; axis < 3; ++axis) {
      io->SetDimensions(axis, static_cast<itk::SizeValueType>(grid.shape[2 - axis]));
      io->SetSpacing(axis, grid.spacing[axis]);
      io->SetOrigin(axis, grid.origin[axis]);
      const Vec3 direction = column(grid.direction, static_cast<int>(axis));
      io->SetDirection(axis, std::vector<double>(direction.begin(), direction.end()));
    }
    io->SetPixelType(itk::IOPixelEnum::SCALAR);
    io->SetNumberOfComponents(1);
    io->SetComponentType(component_of(values.type()));
    io->SetUseCompression(false);
    io->SetIORegion(slice_region(grid.shape, 3, 0, grid.nz()));
    io->WriteImageInformation();
    io->Write(values.data());
  });
}

bool is_whole(const std::filesystem::path& path) {
  try {
    if (format_by_extension(path) == ImageFormat::hdf5)
      static_cast<void>(Hdf5Image(path));
    else
      check_image_file(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// A library may end a short file without a word: the header check compares it with what it should hold.
void write_checked(const std::filesystem::path& temporary, const std::filesystem::path& asked_for, const Grid& grid,
                   const ConstVoxelSpan& values) {
  try {
    if (format_by_extension(temporary) != ImageFormat::hdf5)
      write_by_itk(temporary, asked_for, grid, values);
    else if (!write_hdf5_image(temporary, grid, values))
      throw write_error(asked_for, errno_of_growth(temporary));
  } catch (const Error&) {
    if (const int failure = errno_of_growth(temporary)) throw write_error(asked_for, failure);
    throw;
  }
  if (!is_whole(temporary)) throw write_error(asked_for, errno_of_growth(temporary));
}

}  // namespace

struct ImageWriter::State {
  State(const std::filesystem::path& path, const Grid& g, VoxelType t)
      : grid(g), type(t), format(checked_format(path, g, t)), output(path) {
    written.resize(static_cast<std::size_t>(grid.nz()));
    reserve();
  }

  void narrow(VoxelType to) {
    if (bytes_of(to) > bytes_of(type) || std::ranges::count(written, true) != 0)
      throw Error(ErrorCode::internal, fmt::format("{}: its type was to be changed", output.path().string()));
    type = to;
    if (!streamed) return;
    streamed.reset();
    reserve();
  }

  void write(std::int64_t begin, const ConstVoxelSpan& values) {
    const std::int64_t end = begin + values.extent(0);
    for (std::int64_t slice = begin; slice < end; ++slice) {
      if (written[static_cast<std::size_t>(slice)])
        throw Error(ErrorCode::internal, fmt::format("{}: slice {} was written twice", output.path().string(), slice));
      written[static_cast<std::size_t>(slice)] = true;
    }
    if (streamed) {
      streamed->write(begin, end, values.data());
    } else if (end - begin == grid.nz()) {
      write_whole(values);
    } else {
      collect(begin, values);
    }
  }

  void finish(int threads, const std::function<void()>& check_stop) {
    if (finished) return;
    if (const auto missing = std::find(written.begin(), written.end(), false); missing != written.end())
      throw Error(ErrorCode::internal,
                  fmt::format("{}: slice {} was not written", output.path().string(), missing - written.begin()));
    if (collected.size() != 0) write_whole(collected.span());
    if (plain) {
      gzip_file(plain->temporary_path(), output.temporary_path(), output.path(), Stream(Device{}, threads), check_stop);
      plain.reset();
    }
    finished = true;
  }

  const Grid grid;
  VoxelType type;
  const ImageFormat format;
  OutputFile output;

 private:
  static ImageFormat checked_format(const std::filesystem::path& path, const Grid& grid, VoxelType type) {
    require_writable(path, grid, type);
    return format_by_extension(path);
  }

  // Takes the space, so that a disk that is too small is known before the work and not after it. Only what streams
  // keeps it; ITK begins the file anew.
  void reserve() {
    if (format == ImageFormat::metaimage) {
      streamed.emplace(output.temporary_path(), output.path(), grid, type);
      return;
    }
    const std::int64_t pixels = element_count<3>(grid.shape) * bytes_of(type);
    const std::int64_t pages = format == ImageFormat::tiff ? grid.nz() * longest_page_header : 0;
    const int file = open(output.temporary_path().c_str(), O_RDWR | O_CLOEXEC);
    int failure = file < 0 ? errno : EINTR;
    while (failure == EINTR) failure = posix_fallocate(file, 0, pixels + longest_header + pages);
    if (failure == 0 && ftruncate(file, 0) != 0) failure = errno;
    if (file >= 0) close(file);
    if (failure != 0) throw write_error(output.path(), failure);
  }

  void collect(std::int64_t begin, const ConstVoxelSpan& values) {
    if (collected.size() == 0) {
      require_memory(element_count<3>(grid.shape) * bytes_of(type),
                     fmt::format("{}: {} x {} x {} pixels of a format that cannot be written in parts",
                                 output.path().string(), grid.nx(), grid.ny(), grid.nz()));
      collected = VoxelArray(type, grid.shape);
    }
    std::memcpy(collected.span().slice(begin, begin + values.extent(0)).data(), values.data(), values.bytes());
  }

  void write_whole(const ConstVoxelSpan& values) {
    if (!is_gzip_name(output.path())) return write_checked(output.temporary_path(), output.path(), grid, values);
    plain.emplace(std::filesystem::path(output.temporary_path()).replace_extension());
    write_checked(plain->temporary_path(), output.path(), grid, values);
  }

  std::vector<bool> written;
  std::optional<MetaImageFile> streamed;
  bool finished = false;
  std::optional<OutputFile> plain;  // what is to be compressed
  VoxelArray collected;
};

ImageWriter::ImageWriter(const std::filesystem::path& path, const Grid& grid, VoxelType type)
    : state_(std::make_unique<State>(path, grid, type)) {}
ImageWriter::~ImageWriter() = default;
ImageWriter::ImageWriter(ImageWriter&&) noexcept = default;
ImageWriter& ImageWriter::operator=(ImageWriter&&) noexcept = default;

void ImageWriter::narrow(VoxelType type) { state_->narrow(type); }

void ImageWriter::write(std::int64_t begin, const ConstVoxelSpan& slices) {
  const Shape<3>& shape = state_->grid.shape;
  const std::int64_t end = begin + slices.extent(0);
  if (begin < 0 || end > shape[0] || slices.extent(1) != shape[1] || slices.extent(2) != shape[2] ||
      slices.type() != state_->type || slices.device() != Device{})
    throw Error(ErrorCode::internal, fmt::format("{}: slices of another shape, type or device were to be written",
                                                 state_->output.path().string()));
  if (begin < end) state_->write(begin, slices);
}

void ImageWriter::finish(int threads, const std::function<void()>& check_stop) { state_->finish(threads, check_stop); }

OutputFile& ImageWriter::file() { return state_->output; }

void ImageWriter::commit() {
  finish();
  file().commit();
}

void write_image(const std::filesystem::path& path, const Grid& grid, const ConstVoxelSpan& values) {
  ImageWriter writer(path, grid, values.type());
  writer.write(0, values);
  writer.commit();
}

}  // namespace kiban::io
