#include "engine/durable_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace kiban::engine {

FileDescriptor::FileDescriptor(const std::filesystem::path& path, int flags, unsigned mode) {
  do {
    number_ = open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (number_ < 0 && errno == EINTR);
  error_number_ = number_ < 0 ? errno : 0;
}

FileDescriptor::~FileDescriptor() {
  if (number_ >= 0) close(number_);
}

int try_read_all(const FileDescriptor& file, const std::function<void(std::string_view block)>& take) {
  if (file.error_number() != 0) return file.error_number();
  thread_local std::vector<char> buffer(256 << 10);
  for (;;) {
    const ssize_t count = read(file.number(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return 0;
    take({buffer.data(), static_cast<std::size_t>(count)});
  }
}

int try_write_all(const FileDescriptor& file, std::string_view bytes) {
  if (file.error_number() != 0) return file.error_number();
  while (!bytes.empty()) {
    const ssize_t written = write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

int try_flush(const FileDescriptor& file) {
  if (file.error_number() != 0) return file.error_number();
  while (fsync(file.number()) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

int try_flush_folder(const std::filesystem::path& path) {
  const FileDescriptor folder(path, O_RDONLY | O_DIRECTORY);
  const int failure = try_flush(folder);
  // Some file systems cannot flush a folder; a folder that may be written to need not be readable.
  return failure == EINVAL || failure == EACCES ? 0 : failure;
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

void write_all(const FileDescriptor& file, std::string_view bytes, const std::filesystem::path& path) {
  if (const int failure = try_write_all(file, bytes)) throw write_failure(path, failure);
}

void flush_file(const std::filesystem::path& path) {
  const FileDescriptor file(path, O_RDONLY);
  if (const int failure = try_flush(file)) throw write_failure(path, failure);
}

void flush_folder(const std::filesystem::path& path) {
  if (const int failure = try_flush_folder(path)) throw write_failure(path / ".", failure);
}

}  // namespace kiban::engine
