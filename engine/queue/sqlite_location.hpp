#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace kiban::engine {

/// The file of a queue's URL. Errors: usage (see `open_queue`).
std::filesystem::path file_of_url(const std::string& url);

/// Name of a file system that other machines share, by the magic number that statfs gives; "" for a local one. What
/// FUSE serves counts: nothing tells sshfs from the rest.
std::string_view network_file_system(std::int64_t magic);
/// Errors: input (on a network file system; the folder cannot be asked).
void require_local(const std::filesystem::path& folder);

/// Lies beside the queue while a restore moves files, and names where to the old one goes.
std::filesystem::path restore_mark(const std::filesystem::path& file);
/// Errors: input (a restore began and did not end).
void require_restored(const std::filesystem::path& file);

/// While it lives, this process has the file open. SQLite keeps books of its locks for each process. A child that was
/// forked inherits the books without the locks, so it may not open what its parent had open; and whoever opens and
/// closes the file past SQLite takes its locks away, so that may be done only while nobody here has it open.
class OpenFile {
 public:
  ///   look   is called before, where nobody in this process has it open, and told whether anybody else has
  /// Errors: usage (the process that this one was forked from had it open) · those of `look`.
  OpenFile(const std::filesystem::path& file, const std::function<void(bool elsewhere)>& look);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  /// Whether anybody on this machine had it open before.
  bool was_open() const { return was_open_; }
  /// Errors: usage (in a child that was forked).
  void require_own_process() const;

 private:
  std::string name_;
  int process_;
  bool was_open_ = true;
};

/// Whether this process, or another on this machine, has the queue's file open.
bool is_open_somewhere(const std::filesystem::path& file);

}  // namespace kiban::engine
