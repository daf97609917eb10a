#include "tests/faults/shim/shadow.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>

#include "tests/faults/shim/inode.hpp"

namespace kiban::faults {
namespace {

/// Closes what it holds. The calls are the kernel's own: this runs inside of the libc's that are intercepted.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }

 private:
  int fd_;
};

int open_file(const std::string& path, int flags) {
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), flags | O_CLOEXEC, 0666));
}

bool write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const auto written = syscall(SYS_write, fd, data, size);
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) data += written, size -= static_cast<std::size_t>(written);
  }
  return true;
}

/// From the beginning to the end, wherever the descriptor's own position is.
bool copy_content(int from, int to) {
  // A second descriptor only where the first cannot be read: closing one drops all locks that the process has on the
  // file, and SQLite lives by those.
  const bool readable = (fcntl(from, F_GETFL) & O_ACCMODE) != O_WRONLY;
  const Descriptor second(readable ? -1 : open_file("/proc/self/fd/" + std::to_string(from), O_RDONLY));
  const int source = readable ? from : static_cast<int>(second);
  if (source < 0) return false;
  off_t position = 0;
  for (;;) {
    const ssize_t copied = sendfile(to, source, &position, 1 << 24);
    if (copied == 0) return true;
    if (copied < 0 && errno != EINTR) return false;
  }
}

/// Two flushes of one file take their turns: the later one never loses to the earlier.
class Turn {
 public:
  Turn(const std::string& store, const std::string& inode)
      : file_(open_file(store + "/locks/" + inode, O_RDWR | O_CREAT)) {
    while (file_ >= 0 && flock(file_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }

 private:
  Descriptor file_;
};

/// A name in the shadow that nobody else uses; a killed process of this number may have left a file there.
std::string unfinished(const std::string& store) {
  static std::atomic<unsigned> count{0};
  return store + "/unfinished/" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

/// Twice the same, lest a renaming goes on meanwhile: then neither name may be seen.
std::string settled_listing(int folder) {
  std::string last = listing_of(folder);
  for (int tries = 0; tries < 100; ++tries) {
    std::string next = listing_of(folder);
    if (next == last) break;
    last = std::move(next);
  }
  return last;
}

}  // namespace

bool Shadow::covers(int fd, std::string* path) const {
  std::array<char, PATH_MAX> name{};
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name.data(), name.size() - 1);
  if (length <= 0 || !covers(name.data())) return false;
  if (path) *path = name.data() + std::min<std::size_t>(root_.size() + 1, static_cast<std::size_t>(length));
  return true;
}

bool Shadow::covers(const char* path) const {
  return std::strncmp(path, root_.c_str(), root_.size()) == 0 &&
         (path[root_.size()] == '/' || path[root_.size()] == '\0');
}

bool Shadow::flush(int fd) const {
  const Inode inode = inode_of(fd);
  if (inode.kind == Inode::Kind::other) return true;
  const Turn turn(store_, inode.key);
  const std::string made = unfinished(store_);
  {
    const Descriptor file(open_file(made, O_WRONLY | O_CREAT | O_TRUNC));
    if (file < 0) return false;
    if (inode.kind == Inode::Kind::file) {
      if (!copy_content(fd, file)) return false;
    } else {
      const std::string listing = settled_listing(fd);
      if (!write_all(file, listing.data(), listing.size())) return false;
    }
  }
  const char* folder = inode.kind == Inode::Kind::file ? "/files/" : "/folders/";
  return syscall(SYS_rename, made.c_str(), (store_ + folder + inode.key).c_str()) == 0;
}

}  // namespace kiban::faults
