#include "io/hdf5/hdf5_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "io/input_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

constexpr int most_dimensions = 32;  // HDF5's own limit
// Deflate turns at most 1032 bytes into one; filters in front of it may help a little.
constexpr std::int64_t largest_compression_ratio = 2800;
// Scans chunked by sinogram are read view by view: the chunks of a block of views should stay in the cache.
constexpr std::size_t chunk_cache_bytes = 64 << 20;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& sentence) {
  throw input_error(path, sentence);
}

}  // namespace

Hdf5Dataset::Hdf5Dataset(const std::filesystem::path& path, hid_t file, const std::string& name, Storage storage)
    : path_(path), name_(name), storage_(storage) {
  const Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS), &H5Pclose);
  H5Pset_chunk_cache(access.id(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT, chunk_cache_bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
  dataset_ = Hdf5Handle(H5Dopen2(file, name.c_str(), access.id()), &H5Dclose);
  if (!dataset_)
    refuse(path_, fmt::format("{} cannot be opened; it is truncated or no dataset, write it again", name_));
  const Hdf5Handle space(H5Dget_space(dataset_.id()), &H5Sclose), type(H5Dget_type(dataset_.id()), &H5Tclose);
  const H5T_class_t kind = type ? H5Tget_class(type.id()) : H5T_NO_CLASS;
  if (kind != H5T_INTEGER && kind != H5T_FLOAT)
    refuse(path_, fmt::format("{} does not hold integers or floating-point numbers; convert it", name_));
  std::array<hsize_t, most_dimensions> extents{};
  const int rank = space ? H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr) : -1;
  if (rank < 0) refuse(path_, fmt::format("{} has no simple shape; write it as an array", name_));
  check_size(type.id(), extents.data(), rank);
  shape_.assign(extents.begin(), extents.begin() + rank);
  kind_ = kind;
  bytes_of_number_ = H5Tget_size(type.id());
  is_signed_ = kind == H5T_INTEGER && H5Tget_sign(type.id()) != H5T_SGN_NONE;
}

std::int64_t Hdf5Dataset::size() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape_) product *= extent;
  return product;
}

void Hdf5Dataset::read(std::int64_t begin, std::int64_t end, hid_t memory_type, void* to) const {
  std::vector<hsize_t> start(shape_.size(), 0), count(shape_.begin(), shape_.end());
  start[0] = static_cast<hsize_t>(begin);
  count[0] = static_cast<hsize_t>(end - begin);
  const int rank = static_cast<int>(shape_.size());
  const Hdf5Handle file_space(H5Dget_space(dataset_.id()), &H5Sclose);
  const Hdf5Handle memory_space(H5Screate_simple(rank, count.data(), nullptr), &H5Sclose);
  if (H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
      H5Dread(dataset_.id(), memory_type, memory_space.id(), file_space.id(), H5P_DEFAULT, to) < 0)
    refuse(path_,
           fmt::format("{} cannot be read from {} to {}; the file is truncated or broken, or its compression filter "
                       "is not installed",
                       name_, begin, end));
}

std::string Hdf5Dataset::attribute(const char* name) const {
  if (H5Aexists(dataset_.id(), name) <= 0) return "";
  const Hdf5Handle attribute(H5Aopen(dataset_.id(), name, H5P_DEFAULT), &H5Aclose);
  const Hdf5Handle type(attribute ? H5Aget_type(attribute.id()) : -1, &H5Tclose);
  const Hdf5Handle space(attribute ? H5Aget_space(attribute.id()) : -1, &H5Sclose);
  if (!type || !space || H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_npoints(space.id()) != 1)
    refuse(path_, fmt::format("the attribute {} of {} is not one text; correct it", name, name_));
  std::string text;
  if (H5Tis_variable_str(type.id()) > 0) {
    char* content = nullptr;
    if (H5Aread(attribute.id(), type.id(), &content) >= 0 && content) text = content;
    H5free_memory(content);
  } else {
    text.resize(H5Tget_size(type.id()));
    if (H5Aread(attribute.id(), type.id(), text.data()) < 0) text.clear();
    text.resize(std::min(text.find('\0'), text.size()));
    text.erase(text.find_last_not_of(' ') + 1);
  }
  return text;
}

void Hdf5Dataset::check_size(hid_t type, const hsize_t* extents, int rank) const {
  auto bytes = static_cast<std::int64_t>(H5Tget_size(type));
  for (int axis = 0; axis < rank; ++axis) {
    if (extents[axis] < 1 || extents[axis] > (hsize_t{1} << 62) ||
        __builtin_mul_overflow(bytes, static_cast<std::int64_t>(extents[axis]), &bytes))
      refuse(path_, fmt::format("{} has axis {} of {} elements, which cannot be; correct its shape", name_, axis,
                                extents[axis]));
  }
  const Hdf5Handle creation(H5Dget_create_plist(dataset_.id()), &H5Pclose);
  if (storage_ == Storage::this_file &&
      (!creation || H5Pget_layout(creation.id()) == H5D_VIRTUAL || H5Pget_external_count(creation.id()) > 0))
    refuse(path_, fmt::format("{} lies in other files; write it into one", name_));
  if (creation && H5Pget_layout(creation.id()) == H5D_VIRTUAL) return require_sources(creation.id());
  if (!creation || H5Pget_external_count(creation.id()) > 0) return;
  const auto stored =
      static_cast<std::int64_t>(std::min<hsize_t>(H5Dget_storage_size(dataset_.id()), hsize_t{1} << 50));
  const bool filtered = H5Pget_nfilters(creation.id()) > 0;
  if (stored > input_file_size(path_) || bytes > (filtered ? stored * largest_compression_ratio : stored))
    refuse(path_,
           fmt::format("{} declares {} bytes and {} are stored; it is truncated or was never filled, write it again",
                       name_, bytes, stored));
  if (H5Pget_layout(creation.id()) == H5D_CHUNKED) require_chunks(creation.id(), extents, rank);
}

// A chunk that was never written reads as zeros: so ends a scan that was interrupted.
void Hdf5Dataset::require_chunks(hid_t creation, const hsize_t* extents, int rank) const {
  std::array<hsize_t, most_dimensions> chunk{};
  hsize_t expected = 1, written = 0;
  H5Pget_chunk(creation, rank, chunk.data());
  for (int axis = 0; axis < rank; ++axis) {
    const hsize_t length = std::max<hsize_t>(1, chunk[axis]);  // a broken file may say 0
    expected *= (extents[axis] + length - 1) / length;
  }
  const Hdf5Handle all(H5Dget_space(dataset_.id()), &H5Sclose);  // HDF5 1.10 counts none for H5S_ALL
  if (H5Dget_num_chunks(dataset_.id(), all.id(), &written) < 0 || written < expected)
    refuse(path_, fmt::format("{} has {} of its {} chunks, the rest was never written; crop it to what was", name_,
                              written, expected));
}

// So does a virtual dataset where one of its files is missing. Looked for where HDF5 does.
void Hdf5Dataset::require_sources(hid_t creation) const {
  std::size_t count = 0;
  H5Pget_virtual_count(creation, &count);
  for (std::size_t source = 0; source < count; ++source) {
    std::string name(
        static_cast<std::size_t>(std::max<ssize_t>(0, H5Pget_virtual_filename(creation, source, nullptr, 0))), '\0');
    H5Pget_virtual_filename(creation, source, name.data(), name.size() + 1);
    if (name == "." || name.find('%') != std::string::npos) continue;  // this file; a pattern of those that are there
    const std::filesystem::path file(name), folder = path_.parent_path();
    std::error_code ignored;
    if (!exists(file, ignored) && !exists(folder / file, ignored) && !exists(folder / file.filename(), ignored))
      refuse(path_, fmt::format("{} lies in {:.200}, which is missing; put it beside this file", name_, name));
  }
}

}  // namespace kiban::io
