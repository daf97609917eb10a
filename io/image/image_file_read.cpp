#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/dicom_reader.hpp"
#include "io/hdf5/hdf5_image.hpp"
#include "io/image/gzip.hpp"
#include "io/image/image_file.hpp"
#include "io/image/image_format.hpp"
#include "io/image/image_io.hpp"
#include "io/image/pixel_conversion.hpp"
#include "io/image/tiff_series.hpp"
#include "io/input_file.hpp"
#include "io/memory.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

using Component = itk::IOComponentEnum;

// Values are converted through a buffer of about this size where a file streams.
constexpr std::int64_t conversion_bytes = 16 << 20;
constexpr double direction_tolerance = 1e-3;

void require_orthogonal_grid(const std::filesystem::path& path, const Grid& grid) {
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
}

Grid grid_of(const std::filesystem::path& path, const itk::ImageIOBase& io) {
  const unsigned dimensions = std::min(io.GetNumberOfDimensions(), 3U);
  Grid grid;
  grid.shape = {1, 1, 1};
  for (unsigned axis = 0; axis < dimensions; ++axis) {
    grid.shape[2 - axis] = static_cast<std::int64_t>(io.GetDimensions(axis));
    grid.spacing[axis] = io.GetSpacing(axis);
    grid.origin[axis] = io.GetOrigin(axis);
    const std::vector<double> direction = io.GetDirection(axis);
    for (unsigned row = 0; row < dimensions; ++row) grid.direction[row][axis] = direction[row];
  }
  require_orthogonal_grid(path, grid);
  return grid;
}

void require_one_value_a_pixel(const std::filesystem::path& path, const itk::ImageIOBase& io, unsigned most) {
  if (io.GetNumberOfComponents() != 1 || io.GetPixelType() != itk::IOPixelEnum::SCALAR)
    refuse_image(path,
                 fmt::format("holds {} pixels of {} numbers each; extract one channel",
                             itk::ImageIOBase::GetPixelTypeAsString(io.GetPixelType()), io.GetNumberOfComponents()));
  if (io.GetNumberOfDimensions() < 2 || io.GetNumberOfDimensions() > most)
    refuse_image(path, fmt::format("has {} dimensions, and 2 to {} can be read here; extract one volume",
                                   io.GetNumberOfDimensions(), most));
}

std::string range_of(VoxelType type) {
  return with_voxel_type(type, []<class T>() {
    return fmt::format("{:.0f} to {:.0f}", double{std::numeric_limits<T>::lowest()},
                       double{std::numeric_limits<T>::max()});
  });
}

// Pixels of a file become voxels of `to`, whose first slice is its slice `begin`.
void convert_slice(const std::filesystem::path& path, std::int64_t begin, Component component, const void* pixels,
                   const VoxelSpan& to) {
  const std::int64_t bad = convert_pixels(component, pixels, to.size(), to.type(), to.data());
  if (bad < 0) return;
  const std::int64_t columns = to.extent(2), slice = to.extent(1) * columns;
  throw input_error(path, fmt::format("slice {}, row {}, column {} (counting from 0) holds {}, and whole numbers from "
                                      "{} are wanted; correct the file, or name another",
                                      begin + bad / slice, bad % slice / columns, bad % columns,
                                      pixel_text(component, pixels, bad), range_of(to.type())));
}

// One file that was checked, and its ImageIO with the header read.
struct OpenFile {
  explicit OpenFile(const std::filesystem::path& file, unsigned most_dimensions = 3)
      : path(file), declared(check_image_file(file)) {
    run_itk(path, [&] {
      io = create_image_io(path, itk::IOFileModeEnum::ReadMode);
      io->ReadImageInformation();
    });
    require_one_value_a_pixel(path, *io, most_dimensions);
    grid = grid_of(path, *io);
    if (io->GetNumberOfDimensions() == 4) volumes = static_cast<std::int64_t>(io->GetDimensions(3));
    std::int64_t declared_values = 1;
    for (const std::int64_t extent : declared.extents) declared_values *= extent;
    // The buffers below follow ITK's reading of the header, the check ours: they must be one. ITK turns integers that
    // are to be rescaled into floats.
    const bool same_type = declared.bytes_per_value == static_cast<std::int64_t>(io->GetComponentSize()) ||
                           (declared.rescaled && io->GetComponentType() == Component::FLOAT);
    if (declared_values != element_count<3>(shape()) || !same_type)
      refuse_image(path, "its header can be read in two ways; write the file again");
  }

  // MetaIO seeks to a region; the other formats are read whole, as is what is compressed.
  bool streams() const {
    return format_by_extension(path) == ImageFormat::metaimage && !declared.compressed && volumes == 1;
  }

  // All slices, of all volumes.
  Shape<3> shape() const { return {grid.shape[0] * volumes, grid.shape[1], grid.shape[2]}; }

  // Slices from `begin` on, straight into `to` where its type is the pixels', else through a buffer.
  void read(std::int64_t begin, const VoxelSpan& to) const {
    const std::int64_t slice = grid.shape[1] * grid.shape[2], end = begin + to.extent(0);
    if (declared.compressed && format_by_extension(path) != ImageFormat::tiff) verify_compressed();
    run_itk(path, [&] {
      if (io->GetComponentType() == component_of(to.type())) return read_raw(begin, end, to.data());
      const auto pixel_bytes = static_cast<std::int64_t>(io->GetComponentSize());
      std::int64_t step = end - begin;
      if (streams()) step = std::clamp<std::int64_t>(conversion_bytes / (slice * pixel_bytes), 1, step);
      const auto buffer = std::make_unique_for_overwrite<char[]>(static_cast<std::size_t>(step * slice * pixel_bytes));
      for (std::int64_t at = begin; at < end; at += step) {
        const VoxelSpan part = to.slice(at - begin, std::min(at + step, end) - begin);
        read_raw(at, at + part.extent(0), buffer.get());
        convert_slice(path, at, io->GetComponentType(), buffer.get(), part);
      }
    });
  }

  VoxelType voxel_type() const { return voxel_type_of(io->GetComponentType()); }

  std::string pixel_type() const { return itk::ImageIOBase::GetComponentTypeAsString(io->GetComponentType()); }

  std::filesystem::path path;
  DeclaredImage declared;
  itk::ImageIOBase::Pointer io;
  Grid grid;
  std::int64_t volumes = 1;

 private:
  void verify_compressed() const {
    const std::int64_t bytes = element_count<3>(shape()) * declared.bytes_per_value;
    const bool header_too = format_by_extension(path) == ImageFormat::nifti;  // a .nii.gz is compressed as a whole
    verify_deflated(declared.data_path, header_too ? 0 : declared.data_offset,
                    header_too ? bytes + declared.data_offset : bytes);
  }

  void read_raw(std::int64_t begin, std::int64_t end, void* to) const {
    if (volumes != 1) end = grid.shape[0];  // read whole
    io->SetIORegion(slice_region(grid.shape, io->GetNumberOfDimensions(), begin, end, volumes));
    io->Read(to);
  }
};

}  // namespace

struct ImageReader::State {
  State(const std::filesystem::path& name, unsigned most_dimensions) : path(name) {
    if (const std::vector<std::filesystem::path> images = dicom_slices(name); !images.empty()) {
      dicom = dicom_reader().series(name, images);
      require_orthogonal_grid(name, dicom->grid);
      grid = dicom->grid;
      set_type(dicom->type);
    } else if (!names_tiff_series(name) && is_hdf5_name(name)) {
      require_matching_content(name, ImageFormat::hdf5);
      hdf5.emplace(name);
      require_orthogonal_grid(name, hdf5->grid());
      grid = hdf5->grid();
      set_type(hdf5->type());
    } else if (names_tiff_series(name)) {
      series = tiff_series(name);
      check_series();
    } else {
      file = std::make_unique<OpenFile>(name, most_dimensions);
      grid = file->grid;
      pixel_type = file->pixel_type();
      voxel_type = file->voxel_type();
    }
  }

  bool streams() const { return !file || file->streams(); }

  Shape<3> shape() const { return file ? file->shape() : grid.shape; }

  void read(std::int64_t begin, const VoxelSpan& to) {
    if (dicom) {
      read_dicom(begin, to);
    } else if (hdf5) {
      read_hdf5(begin, to);
    } else if (!file) {
      for (std::int64_t at = 0; at < to.extent(0); ++at)
        slice_file(static_cast<std::size_t>(begin + at)).read(0, to.slice(at, at + 1));
    } else if (streams() || (whole.size() == 0 && to.extent(0) == shape()[0])) {
      file->read(begin, to);
    } else {
      if (whole.size() == 0 || whole.type() != to.type()) keep_whole(to.type());
      const VoxelSpan kept = whole.span().slice(begin, begin + to.extent(0));
      std::memcpy(to.data(), kept.data(), kept.bytes());
    }
  }

  std::filesystem::path path;
  Grid grid;
  std::string pixel_type;
  VoxelType voxel_type = VoxelType::float32;
  std::unique_ptr<OpenFile> file;  // none for a series: a process may not hold a thousand files open
  std::optional<DicomSeries> dicom;
  std::optional<Hdf5Image> hdf5;
  std::vector<std::filesystem::path> series;

 private:
  void set_type(VoxelType type) {
    pixel_type = itk::ImageIOBase::GetComponentTypeAsString(component_of(type));
    voxel_type = type;
  }

  // A slice at a time where the type is another: integers are checked as those of other formats.
  void read_hdf5(std::int64_t begin, const VoxelSpan& to) const {
    if (to.type() == hdf5->type() || to.type() == VoxelType::float32) return hdf5->read(begin, to);
    std::vector<double> slice(static_cast<std::size_t>(grid.shape[1] * grid.shape[2]));
    for (std::int64_t at = 0; at < to.extent(0); ++at) {
      hdf5->read(begin + at, begin + at + 1, slice.data());
      convert_slice(path, begin + at, Component::DOUBLE, slice.data(), to.slice(at, at + 1));
    }
  }

  void read_dicom(std::int64_t begin, const VoxelSpan& to) const {
    if (to.type() == dicom->type) return dicom_reader().read(*dicom, begin, to);
    VoxelArray slice(dicom->type, {1, grid.shape[1], grid.shape[2]});
    for (std::int64_t at = 0; at < to.extent(0); ++at) {
      dicom_reader().read(*dicom, begin + at, slice.span());
      convert_slice(dicom->slices[static_cast<std::size_t>(begin + at)].file, 0, component_of(dicom->type),
                    slice.span().data(), to.slice(at, at + 1));
    }
  }

  void check_series() {
    for (std::size_t slice = 0; slice < series.size(); ++slice) {
      const OpenFile open(series[slice]);
      if (slice == 0) {
        grid = open.grid;
        pixel_type = open.pixel_type();
        voxel_type = open.voxel_type();
        grid.shape[0] = static_cast<std::int64_t>(series.size());
      }
      require_same_slice(open);
      if (open.voxel_type() != voxel_type) voxel_type = VoxelType::float32;
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

  void keep_whole(VoxelType type) {
    whole = {};  // before the new is taken: never both
    const std::int64_t values = element_count<3>(shape());
    const bool as_it_is = file->io->GetComponentType() == component_of(type);
    const std::int64_t raw = as_it_is ? 0 : static_cast<std::int64_t>(file->io->GetComponentSize());
    require_memory(values * (bytes_of(type) + raw),
                   fmt::format("{}: {} x {} x {} pixels of a format that cannot be read in parts", path.string(),
                               grid.shape[2], grid.shape[1], shape()[0]));
    VoxelArray array(type, shape());
    file->read(0, array.span());
    whole = std::move(array);
  }

  VoxelArray whole;
};

ImageReader::ImageReader(const std::filesystem::path& path, Dimensions most)
    : state_(std::make_unique<State>(path, most == Dimensions::volumes ? 4 : 3)) {}
ImageReader::~ImageReader() = default;
ImageReader::ImageReader(ImageReader&&) noexcept = default;
ImageReader& ImageReader::operator=(ImageReader&&) noexcept = default;

const std::filesystem::path& ImageReader::path() const { return state_->path; }
const Grid& ImageReader::grid() const { return state_->grid; }
std::int64_t ImageReader::volumes() const { return state_->file ? state_->file->volumes : 1; }
const std::string& ImageReader::pixel_type() const { return state_->pixel_type; }
VoxelType ImageReader::voxel_type() const { return state_->voxel_type; }
bool ImageReader::streams() const { return state_->streams(); }

void ImageReader::read(std::int64_t begin, std::int64_t end, const VoxelSpan& slices) {
  const Shape<3> shape = state_->shape();
  if (begin < 0 || end < begin || end > shape[0] || slices.shape() != Shape<3>{end - begin, shape[1], shape[2]})
    throw Error(ErrorCode::internal, fmt::format("{}: slices {} to {} were asked for into an array of another shape",
                                                 state_->path.string(), begin, end));
  if (slices.device() != Device{}) throw Error(ErrorCode::internal, "a file was to be read into a device's memory");
  if (begin < end) state_->read(begin, slices);
}

namespace {

void read_whole(ImageReader& reader, const VoxelSpan& voxels) { reader.read(0, voxels.extent(0), voxels); }

/// Twice, for the conversion of formats that are read whole.
void require_memory_for(const ImageReader& reader, VoxelType type) {
  const Grid& grid = reader.grid();
  const std::int64_t slices = grid.nz() * reader.volumes();
  require_memory(element_count<3>({slices, grid.ny(), grid.nx()}) * bytes_of(type) * (reader.streams() ? 1 : 2),
                 fmt::format("{}: {} x {} x {} pixels", reader.path().string(), grid.nx(), grid.ny(), slices));
}

}  // namespace

VoxelVolume read_voxels(ImageReader& reader, VoxelType type) {
  require_memory_for(reader, type);
  const Shape<3>& shape = reader.grid().shape;
  VoxelVolume volume{VoxelArray(type, {shape[0] * reader.volumes(), shape[1], shape[2]}), reader.grid()};
  read_whole(reader, volume.values.span());
  return volume;
}

Volume read_volume(const std::filesystem::path& path) {
  ImageReader reader(path);
  require_memory_for(reader, VoxelType::float32);
  Volume volume{Array<float, 3>(reader.grid().shape), reader.grid()};
  read_whole(reader, volume.values.span());
  return volume;
}

VoxelType label_type(const ImageReader& reader) {
  const VoxelType type = reader.voxel_type();
  const std::int64_t bytes = bytes_of(type);
  return type == VoxelType::float32 || bytes == 4 ? VoxelType::uint32
         : bytes == 2                             ? VoxelType::uint16
                                                  : VoxelType::uint8;
}

}  // namespace kiban::io
