#pragma once
#include <filesystem>
#include <functional>
#include <string_view>

#include "kernels/core/error.hpp"

namespace kiban::engine {

/// A descriptor that is closed when it goes.
class FileDescriptor {
 public:
  ///   flags   of open(2); O_CLOEXEC is added
  FileDescriptor(const std::filesystem::path& path, int flags, unsigned mode = 0);
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  /// Below 0 where it could not be opened.
  int number() const { return number_; }
  /// Why it could not be opened, as errno; 0 where it is open.
  int error_number() const { return error_number_; }

 private:
  int number_, error_number_;
};

// Each of these returns 0 or errno, for callers that have sentences of their own; of a file that is not open, why not.

/// All bytes to the end of the file, in blocks; what `take` throws goes through.
[[nodiscard]] int try_read_all(const FileDescriptor& file, const std::function<void(std::string_view block)>& take);
/// All of them.
[[nodiscard]] int try_write_all(const FileDescriptor& file, std::string_view bytes);
/// What was written is on the disk when it returns 0.
[[nodiscard]] int try_flush(const FileDescriptor& file);
/// The names in a folder are on the disk when it returns 0, or the file system has no way to say so.
[[nodiscard]] int try_flush_folder(const std::filesystem::path& path);

/// The sentence for a file that could not be written, with what a retry needs to know.
Error write_failure(const std::filesystem::path& path, int error_number);

/// Errors: input (the disk is full or failed).
///   path   as sentences name it
void write_all(const FileDescriptor& file, std::string_view bytes, const std::filesystem::path& path);
/// Errors: input (the disk is full or failed; no such file).
void flush_file(const std::filesystem::path& path);
/// Errors: input (the disk failed; no such folder).
void flush_folder(const std::filesystem::path& path);

}  // namespace kiban::engine
