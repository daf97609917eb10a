// fsync and fdatasync count for the shadow and are not passed on: no test loses its power, and a disk shared by many
// would make them slow.
#include <errno.h>
#include <fnmatch.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/faults/shim/control.hpp"

namespace kiban::faults {
namespace {

bool is_mutant(const std::string& path) {
  const std::string& patterns = control().unflushed;
  for (std::size_t begin = 0; begin < patterns.size();) {
    const std::size_t end = std::min(patterns.find(':', begin), patterns.size());
    if (fnmatch(patterns.substr(begin, end - begin).c_str(), path.c_str(), 0) == 0) return true;
    begin = end + 1;
  }
  return false;
}

int flush(int fd, long call) {
  std::string path;
  if (!control().has_root || !control().disk.covers(fd, &path)) return static_cast<int>(syscall(call, fd));
  if (control().switches->read_only || control().switches->flush_fails) return errno = EIO, -1;
  if (control().switches->disk_full) return errno = ENOSPC, -1;
  if (is_mutant(path)) return 0;
  return control().disk.flush(fd) ? 0 : -1;
}

}  // namespace
}  // namespace kiban::faults

extern "C" int fsync(int fd) { return kiban::faults::flush(fd, SYS_fsync); }
extern "C" int fdatasync(int fd) { return kiban::faults::flush(fd, SYS_fdatasync); }
