#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/hdf5/hdf5_handle.hpp"

// Included by .cpp files of this folder only, as hdf5_handle.hpp is.
namespace kiban::io {

/// A dataset of numbers whose declared size was weighed against what is stored. Hdf5Calls must be alive.
class Hdf5Dataset {
 public:
  /// Errors: input (it cannot be opened; not numbers; more elements than the file holds; chunks or sources that are
  /// missing, which HDF5 would read as zeros).
  ///   storage   whether numbers may lie in other files, which nobody weighs: of whoever sent this one no good is known
  enum class Storage { anywhere, this_file };
  Hdf5Dataset(const std::filesystem::path& path, hid_t file, const std::string& name,
              Storage storage = Storage::anywhere);

  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t size() const;
  /// Of the numbers as they are stored.
  H5T_class_t kind() const { return kind_; }
  std::size_t bytes_of_number() const { return bytes_of_number_; }
  bool is_signed() const { return is_signed_; }

  /// Elements [begin, end) of the first axis. Errors: input (truncated, broken, a filter that is not installed).
  void read(std::int64_t begin, std::int64_t end, hid_t memory_type, void* to) const;

  /// The text attribute `name`; empty where there is none. Errors: input (not one text).
  std::string attribute(const char* name) const;

 private:
  void check_size(hid_t type, const hsize_t* extents, int rank) const;
  void require_chunks(hid_t creation, const hsize_t* extents, int rank) const;
  void require_sources(hid_t creation) const;

  std::filesystem::path path_;
  std::string name_;
  Hdf5Handle dataset_;
  std::vector<std::int64_t> shape_;
  Storage storage_;
  H5T_class_t kind_ = H5T_NO_CLASS;
  std::size_t bytes_of_number_ = 0;
  bool is_signed_ = false;
};

}  // namespace kiban::io
