#pragma once
#include <filesystem>

#include "kernels/core/error.hpp"

namespace kiban::engine {

/// A descriptor that is closed when it goes.
class FileDescriptor {
 public:
  /// `number` is below 0 where that failed; errno says why.
  FileDescriptor(const std::filesystem::path& path, int flags, unsigned mode = 0);
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

/// The sentence for a file that could not be written, with what a retry needs to know.
Error write_failure(const std::filesystem::path& path, int error_number);

/// All of them. Errors: input (the disk is full or failed).
///   path   as sentences name it
void write_all(const FileDescriptor& file, const char* bytes, std::size_t count, const std::filesystem::path& path);

/// What was written is on the disk when it returns. Errors: input (the disk is full or failed).
void flush_file(const std::filesystem::path& path);
/// The names in a folder are on the disk when it returns. Errors: input (the disk failed).
void flush_folder(const std::filesystem::path& path);

}  // namespace kiban::engine
