// A disk that is full, or can only be read, when the switches say so. What has stdio's own way to the kernel (fwrite)
// is not seen; nobody writes to the watched folder by it.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/faults/shim/control.hpp"

namespace kiban::faults {
namespace {

/// The errno of a change to this file, or 0.
int trouble(bool grows) {
  const Switches& switches = *control().switches;
  if (switches.read_only) return EROFS;
  return switches.disk_full && grows ? ENOSPC : 0;
}

int trouble_at(int fd) {
  const int failure = control().has_root ? trouble(true) : 0;
  return failure && control().disk.covers(fd, nullptr) ? failure : 0;
}

int trouble_at(int folder, const char* path, bool grows) {
  const int failure = control().has_root ? trouble(grows) : 0;
  if (!failure) return 0;
  if (path[0] == '/') return control().disk.covers(path) ? failure : 0;
  if (folder != AT_FDCWD) return control().disk.covers(folder, nullptr) ? failure : 0;
  char* const here = getcwd(nullptr, 0);
  const bool covered = here && control().disk.covers(here);
  std::free(here);
  return covered ? failure : 0;
}

long fail(int failure) {
  errno = failure;
  return -1;
}

/// The same boot until the harness writes another.
const char* redirected(const char* path) {
  static const std::string* const other = new std::string(control().folder + "/boot_id");
  if (std::strcmp(path, "/proc/sys/kernel/random/boot_id") != 0 || control().folder.empty()) return path;
  return syscall(SYS_faccessat, AT_FDCWD, other->c_str(), R_OK) == 0 ? other->c_str() : path;
}

int open_checked(int folder, const char* path, int flags, mode_t mode) {
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0 && control().switches->read_only)
    if (const int failure = trouble_at(folder, path, false)) return static_cast<int>(fail(failure));
  return static_cast<int>(syscall(SYS_openat, folder, redirected(path), flags, mode));
}

template <class Function>
Function* next(Function*, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace
}  // namespace kiban::faults

using kiban::faults::fail;
using kiban::faults::trouble_at;

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  if (const int failure = trouble_at(fd)) return fail(failure);
  return syscall(SYS_write, fd, data, size);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  if (const int failure = trouble_at(fd)) return fail(failure);
  return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  if (const int failure = trouble_at(fd)) return fail(failure);
  return syscall(SYS_pwrite64, fd, data, size, offset);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

int ftruncate64(int fd, off64_t size) noexcept {
  if (const int failure = trouble_at(fd)) return static_cast<int>(fail(failure));
  return static_cast<int>(syscall(SYS_ftruncate, fd, size));
}
int ftruncate(int fd, off_t size) noexcept { return ftruncate64(fd, size); }

int posix_fallocate64(int fd, off64_t offset, off64_t size) {
  if (const int failure = trouble_at(fd)) return failure;
  return syscall(SYS_fallocate, fd, 0, offset, size) == 0 ? 0 : errno;
}
int posix_fallocate(int fd, off_t offset, off_t size) { return posix_fallocate64(fd, offset, size); }

ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags) {
  if (const int failure = trouble_at(to)) return fail(failure);
  return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}

ssize_t sendfile64(int to, int from, off64_t* offset, size_t size) noexcept {
  if (const int failure = trouble_at(to)) return fail(failure);
  return syscall(SYS_sendfile, to, from, offset, size);
}
ssize_t sendfile(int to, int from, off_t* offset, size_t size) noexcept { return sendfile64(to, from, offset, size); }

int mkdir(const char* path, mode_t mode) noexcept {
  if (const int failure = trouble_at(AT_FDCWD, path, true)) return static_cast<int>(fail(failure));
  return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int link(const char* from, const char* to) noexcept {
  if (const int failure = trouble_at(AT_FDCWD, to, true)) return static_cast<int>(fail(failure));
  return static_cast<int>(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int rename(const char* from, const char* to) noexcept {
  if (const int failure = trouble_at(AT_FDCWD, to, false)) return static_cast<int>(fail(failure));
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int unlink(const char* path) noexcept {
  if (const int failure = trouble_at(AT_FDCWD, path, false)) return static_cast<int>(fail(failure));
  return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  if (const int failure = trouble_at(folder, path, false)) return static_cast<int>(fail(failure));
  return static_cast<int>(syscall(SYS_unlinkat, folder, path, flags));
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = kiban::faults::mode_of(flags, arguments);
  va_end(arguments);
  return kiban::faults::open_checked(AT_FDCWD, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = kiban::faults::mode_of(flags, arguments);
  va_end(arguments);
  return kiban::faults::open_checked(AT_FDCWD, path, flags, mode);
}

int openat64(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = kiban::faults::mode_of(flags, arguments);
  va_end(arguments);
  return kiban::faults::open_checked(folder, path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = kiban::faults::mode_of(flags, arguments);
  va_end(arguments);
  return kiban::faults::open_checked(folder, path, flags, mode);
}

FILE* fopen64(const char* path, const char* mode) {
  if (std::strpbrk(mode, "wa+"))
    if (const int failure = trouble_at(AT_FDCWD, path, false)) return fail(failure), nullptr;
  static auto* const real = kiban::faults::next(fopen64, "fopen64");
  return real(kiban::faults::redirected(path), mode);
}

FILE* fopen(const char* path, const char* mode) { return fopen64(path, mode); }
}
