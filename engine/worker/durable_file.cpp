#include "engine/worker/durable_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kiban::engine {
namespace {

int sync(const FileDescriptor& file) {
  if (file.number() < 0) return errno;
  while (fsync(file.number()) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

}  // namespace

FileDescriptor::FileDescriptor(const std::filesystem::path& path, int flags, unsigned mode) {
  do {
    number_ = open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (number_ < 0 && errno == EINTR);
}

FileDescriptor::~FileDescriptor() {
  if (number_ >= 0) close(number_);
}

Error write_failure(const std::filesystem::path& path, int error_number) {
  const std::string folder = path.parent_path().string();
  const std::string reason = std::generic_category().message(error_number);
  const char* remedy = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG  ? "free space in"
                       : error_number == EACCES || error_number == EPERM || error_number == EROFS ? "permit writing to"
                       : error_number == ENOENT || error_number == ENOTDIR                        ? "create the folder"
                                                                                                  : "check the disk of";
  return {ErrorCode::input, fmt::format("{}: cannot be written ({}); {} {}", path.string(), reason, remedy, folder),
          error_number};
}

void write_all(const FileDescriptor& file, const char* bytes, std::size_t count, const std::filesystem::path& path) {
  while (count > 0) {
    const ssize_t written = write(file.number(), bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw write_failure(path, errno);
    if (written == 0) throw write_failure(path, ENOSPC);
    bytes += written;
    count -= static_cast<std::size_t>(written);
  }
}

void flush_file(const std::filesystem::path& path) {
  const FileDescriptor file(path, O_RDONLY);
  if (const int failure = sync(file)) throw write_failure(path, failure);
}

void flush_folder(const std::filesystem::path& path) {
  const FileDescriptor folder(path, O_RDONLY | O_DIRECTORY);
  const int failure = sync(folder);
  // Some file systems cannot flush a folder; a folder that may be written to need not be readable.
  if (failure != 0 && failure != EINVAL && failure != EACCES) throw write_failure(path / ".", failure);
}

}  // namespace kiban::engine
