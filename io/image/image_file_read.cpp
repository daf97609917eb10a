#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "io/image/gzip.hpp"
#include "io/image/image_file.hpp"
#include "io/image/image_format.hpp"
#include "io/image/image_io.hpp"
#include "io/image/tiff_series.hpp"
#include "io/memory.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

using Component = itk::IOComponentEnum;

// Values are converted through a buffer of about this size where a file streams.
constexpr std::int64_t conversion_bytes = 16 << 20;
constexpr double direction_tolerance = 1e-3;

template <class T>
void convert(const void* from, std::int64_t count, float* to) {
  const T* values = static_cast<const T*>(from);
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(values[i]);
}

void convert_to_float(Component component, const void* from, std::int64_t count, float* to) {
  switch (component) {
    case Component::UCHAR:
      return convert<unsigned char>(from, count, to);
    case Component::CHAR:
      return convert<signed char>(from, count, to);
    case Component::USHORT:
      return convert<unsigned short>(from, count, to);
    case Component::SHORT:
      return convert<short>(from, count, to);
    case Component::UINT:
      return convert<unsigned int>(from, count, to);
    case Component::INT:
      return convert<int>(from, count, to);
    case Component::ULONG:
      return convert<unsigned long>(from, count, to);
    case Component::LONG:
      return convert<long>(from, count, to);
    case Component::ULONGLONG:
      return convert<unsigned long long>(from, count, to);
    case Component::LONGLONG:
      return convert<long long>(from, count, to);
    case Component::FLOAT:
      return convert<float>(from, count, to);
    case Component::DOUBLE:
      return convert<double>(from, count, to);
    default:
      throw Error(ErrorCode::internal, "a pixel type passed the header's check and cannot be converted");
  }
}

Grid grid_of(const std::filesystem::path& path, const itk::ImageIOBase& io) {
  const unsigned dimensions = io.GetNumberOfDimensions();
  Grid grid;
  grid.shape = {1, 1, 1};
  for (unsigned axis = 0; axis < dimensions; ++axis) {
    grid.shape[2 - axis] = static_cast<std::int64_t>(io.GetDimensions(axis));
    grid.spacing[axis] = io.GetSpacing(axis);
    grid.origin[axis] = io.GetOrigin(axis);
    const std::vector<double> direction = io.GetDirection(axis);
    for (unsigned row = 0; row < dimensions; ++row) grid.direction[row][axis] = direction[row];
  }
  for (int axis = 0; axis < 3; ++axis) {
    const double spacing = grid.spacing[static_cast<std::size_t>(axis)];
    if (!(spacing > 0) || !std::isfinite(spacing))
      refuse_image(
          path, fmt::format("its spacing along axis {} is {} mm; write one that is finite and above 0", axis, spacing));
    if (!std::isfinite(grid.origin[static_cast<std::size_t>(axis)]))
      refuse_image(path, fmt::format("its origin along axis {} is not finite; correct it", axis));
    for (int other = 0; other <= axis; ++other) {
      const double product = dot(column(grid.direction, axis), column(grid.direction, other));
      if (!(std::abs(product - (axis == other)) <= direction_tolerance))
        refuse_image(
            path,
            "the axes in its direction matrix are not at right angles and of length 1; resample it to such a grid");
    }
  }
  return grid;
}

void require_one_value_a_pixel(const std::filesystem::path& path, const itk::ImageIOBase& io) {
  if (io.GetNumberOfComponents() != 1 || io.GetPixelType() != itk::IOPixelEnum::SCALAR)
    refuse_image(path,
                 fmt::format("holds {} pixels of {} numbers each; extract one channel",
                             itk::ImageIOBase::GetPixelTypeAsString(io.GetPixelType()), io.GetNumberOfComponents()));
  if (io.GetNumberOfDimensions() < 2 || io.GetNumberOfDimensions() > 3)
    refuse_image(
        path, fmt::format("has {} dimensions, and 2 or 3 can be read; extract one volume", io.GetNumberOfDimensions()));
}

// One file that was checked, and its ImageIO with the header read.
struct OpenFile {
  explicit OpenFile(const std::filesystem::path& file) : path(file), declared(check_image_file(file)) {
    run_itk(path, [&] {
      io = create_image_io(path, itk::IOFileModeEnum::ReadMode);
      io->ReadImageInformation();
    });
    require_one_value_a_pixel(path, *io);
    grid = grid_of(path, *io);
    std::int64_t declared_values = 1;
    for (const std::int64_t extent : declared.extents) declared_values *= extent;
    // The buffers below follow ITK's reading of the header, the check ours: they must be one. ITK turns integers that
    // are to be rescaled into floats.
    const bool same_type = declared.bytes_per_value == static_cast<std::int64_t>(io->GetComponentSize()) ||
                           (declared.rescaled && io->GetComponentType() == Component::FLOAT);
    if (declared_values != element_count<3>(grid.shape) || !same_type)
      refuse_image(path, "its header can be read in two ways; write the file again");
  }

  // MetaIO seeks to a region; the other formats are read whole, as is what is compressed.
  bool streams() const { return format_by_extension(path) == ImageFormat::metaimage && !declared.compressed; }

  // Straight into `to` where the pixels are floats, else through a buffer.
  void read(std::int64_t begin, std::int64_t end, float* to) const {
    const std::int64_t slice = grid.shape[1] * grid.shape[2];
    if (declared.compressed && format_by_extension(path) != ImageFormat::tiff) verify_compressed();
    run_itk(path, [&] {
      if (io->GetComponentType() == Component::FLOAT) return read_raw(begin, end, to);
      std::int64_t step = end - begin;
      if (streams()) step = std::clamp<std::int64_t>(conversion_bytes / (slice * declared.bytes_per_value), 1, step);
      const auto buffer =
          std::make_unique_for_overwrite<char[]>(static_cast<std::size_t>(step * slice * declared.bytes_per_value));
      for (std::int64_t at = begin; at < end; at += step) {
        const std::int64_t stop = std::min(at + step, end);
        read_raw(at, stop, buffer.get());
        convert_to_float(io->GetComponentType(), buffer.get(), (stop - at) * slice, to + (at - begin) * slice);
      }
    });
  }

  std::string pixel_type() const { return itk::ImageIOBase::GetComponentTypeAsString(io->GetComponentType()); }

  std::filesystem::path path;
  DeclaredImage declared;
  itk::ImageIOBase::Pointer io;
  Grid grid;

 private:
  void verify_compressed() const {
    const std::int64_t bytes = element_count<3>(grid.shape) * declared.bytes_per_value;
    const bool header_too = format_by_extension(path) == ImageFormat::nifti;  // a .nii.gz is compressed as a whole
    verify_deflated(declared.data_path, header_too ? 0 : declared.data_offset,
                    header_too ? bytes + declared.data_offset : bytes);
  }

  void read_raw(std::int64_t begin, std::int64_t end, void* to) const {
    io->SetIORegion(slice_region(grid.shape, io->GetNumberOfDimensions(), begin, end));
    io->Read(to);
  }
};

}  // namespace

struct ImageReader::State {
  explicit State(const std::filesystem::path& name) : path(name) {
    if (names_tiff_series(name)) {
      series = tiff_series(name);
      check_series();
    } else {
      file = std::make_unique<OpenFile>(name);
      grid = file->grid;
      pixel_type = file->pixel_type();
    }
  }

  bool streams() const { return !file || file->streams(); }

  void read(std::int64_t begin, std::int64_t end, float* to) {
    const std::int64_t slice = grid.shape[1] * grid.shape[2];
    if (!file) {
      for (std::int64_t at = begin; at < end; ++at)
        slice_file(static_cast<std::size_t>(at)).read(0, 1, to + (at - begin) * slice);
    } else if (streams() || (whole.size() == 0 && end - begin == grid.shape[0])) {
      file->read(begin, end, to);
    } else {
      if (whole.size() == 0) keep_whole();
      const float* from = whole.host().data;
      std::copy(from + begin * slice, from + end * slice, to);
    }
  }

  std::filesystem::path path;
  Grid grid;
  std::string pixel_type;
  std::unique_ptr<OpenFile> file;  // none for a series: a process may not hold a thousand files open
  std::vector<std::filesystem::path> series;

 private:
  void check_series() {
    for (std::size_t slice = 0; slice < series.size(); ++slice) {
      const OpenFile open(series[slice]);
      if (slice == 0) {
        grid = open.grid;
        pixel_type = open.pixel_type();
        grid.shape[0] = static_cast<std::int64_t>(series.size());
      }
      require_same_slice(open);
    }
  }

  OpenFile slice_file(std::size_t slice) const {
    OpenFile open(series[slice]);
    require_same_slice(open);
    return open;
  }

  void require_same_slice(const OpenFile& open) const {
    const Shape<3>& shape = open.grid.shape;
    if (shape != Shape<3>{1, grid.shape[1], grid.shape[2]})
      refuse_image(open.path,
                   fmt::format("has {} x {} x {} pixels, and a slice of its stack has {} x {}; name a pattern "
                               "that leaves it out",
                               shape[2], shape[1], shape[0], grid.shape[2], grid.shape[1]));
  }

  void keep_whole() {
    const std::int64_t values = element_count<3>(grid.shape);
    const std::int64_t raw = file->io->GetComponentType() == Component::FLOAT ? 0 : file->declared.bytes_per_value;
    require_memory(values * (static_cast<std::int64_t>(sizeof(float)) + raw),
                   fmt::format("{}: {} x {} x {} pixels of a format that cannot be read in parts", path.string(),
                               grid.shape[2], grid.shape[1], grid.shape[0]));
    Array<float, 3> array(grid.shape);
    file->read(0, grid.shape[0], array.host().data);
    whole = std::move(array);
  }

  Array<float, 3> whole;
};

ImageReader::ImageReader(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
ImageReader::~ImageReader() = default;
ImageReader::ImageReader(ImageReader&&) noexcept = default;
ImageReader& ImageReader::operator=(ImageReader&&) noexcept = default;

const std::filesystem::path& ImageReader::path() const { return state_->path; }
const Grid& ImageReader::grid() const { return state_->grid; }
const std::string& ImageReader::pixel_type() const { return state_->pixel_type; }
bool ImageReader::streams() const { return state_->streams(); }

void ImageReader::read(std::int64_t begin, std::int64_t end, Span<float, 3> slices) {
  const Shape<3>& shape = state_->grid.shape;
  if (begin < 0 || end < begin || end > shape[0] || slices.shape() != Shape<3>{end - begin, shape[1], shape[2]})
    throw Error(ErrorCode::internal, fmt::format("{}: slices {} to {} were asked for into an array of another shape",
                                                 state_->path.string(), begin, end));
  if (begin < end) state_->read(begin, end, slices.host().data);
}

Volume read_volume(const std::filesystem::path& path) {
  ImageReader reader(path);
  const Grid& grid = reader.grid();
  // Twice, for the conversion of formats that are read whole.
  require_memory(element_count<3>(grid.shape) * static_cast<std::int64_t>(sizeof(float)) * (reader.streams() ? 1 : 2),
                 fmt::format("{}: {} x {} x {} pixels", path.string(), grid.nx(), grid.ny(), grid.nz()));
  Volume volume{Array<float, 3>(grid.shape), grid};
  reader.read(0, grid.nz(), volume.values.span());
  return volume;
}

}  // namespace kiban::io
