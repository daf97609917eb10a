#pragma once
#include <cstdint>
#include <string>

/// What a power failure would leave of a folder: the content that each file had when it was last flushed, and the names
/// that each folder had when *it* was. All else, as far as POSIX promises anything, is gone.
///
/// The shadow lies in a folder outside of the one that it follows: `files/<inode>` are contents, `folders/<inode>`
/// listings, and an inode is its number and the time of its birth, for numbers are used again. Several processes may
/// write to it at once, and be killed at any moment.
namespace kiban::faults {

class Shadow {
 public:
  /// Both are absolute, without links on the way.
  Shadow(std::string root, std::string store) : root_(std::move(root)), store_(std::move(store)) {}

  /// Whether the file behind this descriptor lies in the folder; `path` then is its name below the root, "" the root's.
  bool covers(int fd, std::string* path) const;
  bool covers(const char* path) const;

  /// The file or folder counts as flushed. False, with errno, where the shadow could not be written.
  bool flush(int fd) const;

  /// Everything counts as flushed: the beginning, or a restart. Forgets what was before.
  void flush_everything() const;

  /// How a power failure treats what was not flushed. Disks and file systems do all of these.
  enum class Unflushed {
    dropped,  ///< nothing of it is there
    mixed,    ///< of each file and each folder nothing, everything or, of a file, some blocks: as the seed says
  };
  /// The folder is as a power failure leaves it. No process may have it open.
  void fail_power(Unflushed unflushed, std::uint64_t seed) const;

 private:
  std::string root_, store_;
};

}  // namespace kiban::faults
