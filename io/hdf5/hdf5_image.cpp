#include "io/hdf5/hdf5_image.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "io/hdf5/hdf5_dataset.hpp"
#include "io/input_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

const std::string kImage = "/ITKImage/0/";

hid_t native_type(VoxelType type) {
  switch (type) {
    case VoxelType::uint8:
      return H5T_NATIVE_UINT8;
    case VoxelType::int8:
      return H5T_NATIVE_INT8;
    case VoxelType::uint16:
      return H5T_NATIVE_UINT16;
    case VoxelType::int16:
      return H5T_NATIVE_INT16;
    case VoxelType::uint32:
      return H5T_NATIVE_UINT32;
    case VoxelType::int32:
      return H5T_NATIVE_INT32;
    case VoxelType::float32:
      return H5T_NATIVE_FLOAT;
  }
  throw Error(ErrorCode::internal, "a voxel has no known type");
}

/// As ITK spells it in `VoxelType`.
const char* itk_name(VoxelType type) {
  switch (type) {
    case VoxelType::uint8:
      return "UCHAR";
    case VoxelType::int8:
      return "CHAR";
    case VoxelType::uint16:
      return "USHORT";
    case VoxelType::int16:
      return "SHORT";
    case VoxelType::uint32:
      return "UINT";
    case VoxelType::int32:
      return "INT";
    case VoxelType::float32:
      return "FLOAT";
  }
  return "";
}

VoxelType type_of(const Hdf5Dataset& voxels) {
  if (voxels.kind() != H5T_INTEGER) return VoxelType::float32;
  switch (voxels.bytes_of_number()) {
    case 1:
      return voxels.is_signed() ? VoxelType::int8 : VoxelType::uint8;
    case 2:
      return voxels.is_signed() ? VoxelType::int16 : VoxelType::uint16;
    case 4:
      return voxels.is_signed() ? VoxelType::int32 : VoxelType::uint32;
    default:
      return VoxelType::float32;
  }
}

/// Whether the file has it. Errors: input (it is a link, which may lead to another file).
bool has_part(const std::filesystem::path& path, hid_t file, const std::string& name) {
  H5L_info_t link{};
  if (H5Lexists(file, name.c_str(), H5P_DEFAULT) <= 0 || H5Lget_info(file, name.c_str(), &link, H5P_DEFAULT) < 0)
    return false;
  if (link.type != H5L_TYPE_HARD)
    throw input_error(path, fmt::format("{} is a link to elsewhere; write it into the file", name));
  return true;
}

/// Numbers that ITK keeps beside the voxels: `count` of them.
std::vector<double> numbers_beside(const std::filesystem::path& path, hid_t file, const std::string& name,
                                   std::size_t count) {
  const std::string full_name = kImage + name;
  if (!has_part(path, file, full_name)) throw input_error(path, fmt::format("has no {}; write it again", full_name));
  const Hdf5Dataset dataset(path, file, full_name, Hdf5Dataset::Storage::this_file);
  if (dataset.size() != static_cast<std::int64_t>(count) || dataset.shape().empty())
    throw input_error(
        path, fmt::format("{} has {} numbers, and {} are wanted; correct it", full_name, dataset.size(), count));
  std::vector<double> numbers(count);
  dataset.read(0, dataset.shape()[0], H5T_NATIVE_DOUBLE, numbers.data());
  return numbers;
}

bool write_numbers(hid_t group, const char* name, const std::vector<hsize_t>& shape, hid_t type, const void* values) {
  const Hdf5Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), &H5Sclose);
  Hdf5Handle dataset(H5Dcreate2(group, name, type, space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), &H5Dclose);
  return dataset && H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0 && dataset.close();
}

bool write_text(hid_t group, const char* name, const char* text) {
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), &H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  return write_numbers(group, name, {1}, type.id(), &text);
}

bool write_voxels(hid_t group, const ConstVoxelSpan& values) {
  const hsize_t shape[3] = {static_cast<hsize_t>(values.extent(0)), static_cast<hsize_t>(values.extent(1)),
                            static_cast<hsize_t>(values.extent(2))};
  const hsize_t chunk[3] = {1, shape[1], shape[2]};
  const Hdf5Handle space(H5Screate_simple(3, shape, nullptr), &H5Sclose);
  const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), &H5Pclose);
  // Deflate's level 1, as .nii.gz has it. A chunk must be below 4 GiB.
  if (chunk[1] * chunk[2] * static_cast<hsize_t>(bytes_of(values.type())) < (hsize_t{1} << 32)) {
    H5Pset_chunk(creation.id(), 3, chunk);
    H5Pset_deflate(creation.id(), 1);
  }
  const hid_t type = native_type(values.type());
  Hdf5Handle dataset(H5Dcreate2(group, "VoxelData", type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                     &H5Dclose);
  return dataset && H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0 && dataset.close();
}

}  // namespace

struct Hdf5Image::State {
  explicit State(const std::filesystem::path& name) : path(name) {
    input_file_size(path);
    if (H5Fis_hdf5(path.c_str()) <= 0) throw input_error(path, "is not an HDF5 file; check what it is");
    file = Hdf5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), &H5Fclose);
    if (!file) throw input_error(path, "is HDF5 and cannot be opened; it is truncated or broken, copy it again");
    for (const char* part : {"/ITKImage", "/ITKImage/0", "/ITKImage/0/VoxelData"})
      if (!has_part(path, file.id(), part))
        throw input_error(path, fmt::format("is HDF5 without {}: no volume as ITK and Slicer write it; a raw scan goes "
                                            "to ct.fbp",
                                            part));
    voxels.emplace(path, file.id(), kImage + "VoxelData", Hdf5Dataset::Storage::this_file);
    const std::vector<std::int64_t>& shape = voxels->shape();
    const std::size_t axes = shape.size();
    if (axes < 2 || axes > 3)
      throw input_error(
          path, fmt::format("its VoxelData has {} axes, and 2 or 3 can be read here; extract one volume", axes));
    const std::vector<double> extents = numbers_beside(path, file.id(), "Dimension", axes);
    const std::vector<double> spacing = numbers_beside(path, file.id(), "Spacing", axes);
    const std::vector<double> origin = numbers_beside(path, file.id(), "Origin", axes);
    const std::vector<double> directions = numbers_beside(path, file.id(), "Directions", axes * axes);
    grid.shape = {1, 1, 1};
    for (std::size_t a = 0; a < axes; ++a) {
      grid.shape[2 - a] = shape[axes - 1 - a];
      if (extents[a] != static_cast<double>(grid.shape[2 - a]))
        throw input_error(path, fmt::format("its Dimension says {} along axis {}, and its VoxelData has {}; write it "
                                            "again",
                                            extents[a], a, grid.shape[2 - a]));
      grid.spacing[a] = spacing[a];
      grid.origin[a] = origin[a];
      for (std::size_t row = 0; row < axes; ++row) grid.direction[row][a] = directions[a * axes + row];
    }
    type = type_of(*voxels);
  }

  std::filesystem::path path;
  Hdf5Handle file;
  std::optional<Hdf5Dataset> voxels;
  Grid grid;
  VoxelType type = VoxelType::float32;
};

Hdf5Image::Hdf5Image(const std::filesystem::path& path) {
  const Hdf5Calls calls;
  state_ = std::make_unique<State>(path);
}
Hdf5Image::~Hdf5Image() {
  const Hdf5Calls calls;
  state_.reset();
}
Hdf5Image::Hdf5Image(Hdf5Image&&) noexcept = default;
Hdf5Image& Hdf5Image::operator=(Hdf5Image&& other) noexcept {
  state_.swap(other.state_);
  return *this;
}

const Grid& Hdf5Image::grid() const { return state_->grid; }
VoxelType Hdf5Image::type() const { return state_->type; }

namespace {

/// Rows of a 2-D image count as its slice.
void read_slices(const Hdf5Dataset& voxels, std::int64_t begin, std::int64_t end, hid_t type, void* to) {
  if (voxels.shape().size() == 2) return voxels.read(0, voxels.shape()[0], type, to);
  voxels.read(begin, end, type, to);
}

}  // namespace

void Hdf5Image::read(std::int64_t begin, const VoxelSpan& slices) const {
  const Hdf5Calls calls;
  read_slices(*state_->voxels, begin, begin + slices.extent(0), native_type(slices.type()), slices.data());
}

void Hdf5Image::read(std::int64_t begin, std::int64_t end, double* values) const {
  const Hdf5Calls calls;
  read_slices(*state_->voxels, begin, end, H5T_NATIVE_DOUBLE, values);
}

bool write_hdf5_image(const std::filesystem::path& path, const Grid& grid, const ConstVoxelSpan& values) {
  const Hdf5Calls calls;
  Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), &H5Fclose);
  if (!file) return false;
  Hdf5Handle images(H5Gcreate2(file.id(), "ITKImage", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), &H5Gclose);
  Hdf5Handle image(images ? H5Gcreate2(images.id(), "0", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) : -1, &H5Gclose);
  if (!image) return false;
  Hdf5Handle meta(H5Gcreate2(image.id(), "MetaData", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), &H5Gclose);
  const std::uint64_t extents[3] = {static_cast<std::uint64_t>(grid.nx()), static_cast<std::uint64_t>(grid.ny()),
                                    static_cast<std::uint64_t>(grid.nz())};
  double directions[9];
  for (std::size_t axis = 0; axis < 3; ++axis)
    for (std::size_t row = 0; row < 3; ++row) directions[3 * axis + row] = grid.direction[row][axis];
  return meta && write_text(file.id(), "ITKVersion", "5.3.0") && write_text(file.id(), "HDFVersion", "1.10") &&
         write_text(image.id(), "VoxelType", itk_name(values.type())) &&
         write_numbers(image.id(), "Dimension", {3}, H5T_NATIVE_UINT64, extents) &&
         write_numbers(image.id(), "Spacing", {3}, H5T_NATIVE_DOUBLE, grid.spacing.data()) &&
         write_numbers(image.id(), "Origin", {3}, H5T_NATIVE_DOUBLE, grid.origin.data()) &&
         write_numbers(image.id(), "Directions", {3, 3}, H5T_NATIVE_DOUBLE, directions) &&
         write_voxels(image.id(), values) && meta.close() && image.close() && images.close() && file.close();
}

}  // namespace kiban::io
