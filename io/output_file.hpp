#pragma once
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "kernels/core/error.hpp"

namespace kiban::io {

/// A file that appears whole or not at all: it grows under a hidden name in its own folder, with its own extension, and
/// `commit()` gives it its name. What was not committed is removed.
///
/// A name that is a link stays one: the file that it points to is written, as editors do, and need not be there yet.
/// A file that is replaced passes its permissions on. After fork() the child's copies remove nothing.
class OutputFile {
 public:
  /// Claims the hidden name with an empty file.
  ///   path   the name after `commit()`; an existing file keeps its content until then
  /// Errors: input (no such folder, no permission, the disk is full, `path` is not a plain file).
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// The name that the file will have.
  const std::filesystem::path& path() const { return path_; }
  /// The name under which to write it.
  const std::filesystem::path& temporary_path() const { return temporary_path_; }

  /// Flushes the file to the disk, renames it, flushes the folder, unless the caller does (FlushByCaller). Errors:
  /// input (the disk is full or failed); then the name is as it was before.
  void commit();

 private:
  friend void commit_together(const std::vector<OutputFile*>& files);
  friend void remove_partial_outputs() noexcept;
  bool withdraw();

  std::filesystem::path path_, target_, temporary_path_;
  OutputFile* next_ = nullptr;
};

/// Commits several files, all or none: all are flushed before the first is renamed, and if a later one cannot be
/// renamed, those before it get back what they replaced.
///   files   a null pointer stands for an output that was not asked for
/// Errors: those of OutputFile::commit; names the file that failed.
void commit_together(const std::vector<OutputFile*>& files);

/// While it lives, commits on this thread give names at once and flush nothing: until the caller has flushed the files,
/// and then the folders that hold them, a power cut may leave an empty file of that name, or none. For callers that
/// flush what they wrote all together, and tell nobody of it before. Commits on other threads flush as ever.
class FlushByCaller {
 public:
  FlushByCaller();
  ~FlushByCaller();
  FlushByCaller(const FlushByCaller&) = delete;
  FlushByCaller& operator=(const FlushByCaller&) = delete;

 private:
  bool before_;
};

/// Removes the hidden files of every OutputFile alive in this process. Async-signal-safe, on any thread: waits until a
/// commit in progress has given all its names or none. Only for a handler that then ends the process: from here on no
/// output can be claimed or committed.
void remove_partial_outputs() noexcept;

/// What an ImageIO looks at to pick its format: ".nii.gz", not ".gz".
std::string full_extension(const std::filesystem::path& path);

/// Where a link leads in the end, also where nothing is there yet; any other path is its own target.
///   failure   set where that cannot be told
std::filesystem::path link_target(const std::filesystem::path& path, std::error_code& failure);

/// The sentence for a write that failed.
///   path           the file that the user asked for
///   error_number   errno, or 0 where a library kept it to itself
Error write_error(const std::filesystem::path& path, int error_number);

/// What the system says when `path` grows by one more block, 0 if it does: for libraries that keep errno to themselves.
/// To be called on a file that is given up anyway.
int errno_of_growth(const std::filesystem::path& path);

}  // namespace kiban::io
