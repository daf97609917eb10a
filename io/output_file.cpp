#include "io/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

// Names that a signal handler may read: C strings, published and withdrawn by one atomic each. More outputs at a time
// than slots are still removed by their destructors.
std::array<std::atomic<char*>, 64> partial_outputs{};

int register_partial(const fs::path& path) {
  char* name = strdup(path.c_str());
  for (std::size_t slot = 0; name && slot < partial_outputs.size(); ++slot) {
    char* empty = nullptr;
    if (partial_outputs[slot].compare_exchange_strong(empty, name)) return static_cast<int>(slot);
  }
  free(name);
  return -1;
}

void forget_partial(int slot) {
  if (slot >= 0) free(partial_outputs[static_cast<std::size_t>(slot)].exchange(nullptr));
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// What an ImageIO looks at to pick its format: ".nii.gz", not ".gz".
std::string full_extension(const fs::path& path) {
  const std::string last = path.extension();
  return last == ".gz" ? path.stem().extension().string() + last : last;
}

int flush_to_disk(const fs::path& path, int flags) {
  const int file = open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) return errno;
  const int failure = fsync(file) == 0 ? 0 : errno;
  close(file);
  return failure;
}

}  // namespace

Error write_error(const fs::path& path, int error_number) {
  const std::string folder = folder_of(path).string();
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return {ErrorCode::input,
              fmt::format("{}: cannot be written, the folder {} does not exist; create it", path.string(), folder)};
    case EACCES:
    case EPERM:
    case EROFS:
      return {
          ErrorCode::input,
          fmt::format("{}: cannot be written, no permission to create files in {}; change it, or name another folder",
                      path.string(), folder)};
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {ErrorCode::input,
              fmt::format("{}: cannot be written whole, {}; free space in {}, or name another folder", path.string(),
                          error_number == EFBIG ? "the limit on file sizes is reached" : "the disk is full", folder)};
    case 0:
      return {ErrorCode::input,
              fmt::format("{}: cannot be written whole; check the space that is left in {}", path.string(), folder)};
    default:
      return {ErrorCode::input, fmt::format("{}: cannot be written ({}); name another folder", path.string(),
                                            std::generic_category().message(error_number))};
  }
}

int errno_of_growth(const fs::path& path) {
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return errno;
  const std::array<char, 65536> zeros{};
  const ssize_t written = write(file, zeros.data(), zeros.size());
  const int failure = written < 0 ? errno : written < static_cast<ssize_t>(zeros.size()) ? ENOSPC : 0;
  close(file);
  return failure;
}

OutputFile::OutputFile(const fs::path& path) : path_(path) {
  if (!path.has_filename())
    throw Error(ErrorCode::input, fmt::format("\"{}\" does not name a file; add a file name", path.string()));
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status))
    throw Error(ErrorCode::input, fmt::format("{}: is a folder; name a file in it", path.string()));
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw Error(ErrorCode::input, fmt::format("{}: is not a plain file; name another", path.string()));

  static std::atomic<unsigned> counter{0};
  int file = -1;
  do {  // another process may have left a file of this name
    temporary_path_ = folder_of(path) / fmt::format(".kiban-{}-{}{}", getpid(), counter++, full_extension(path));
    file = open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file < 0 && errno == EEXIST);
  if (file < 0) throw write_error(path, errno);
  close(file);
  slot_ = register_partial(temporary_path_);
}

OutputFile::~OutputFile() {
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
  forget_partial(slot_);
}

void OutputFile::commit() {
  if (temporary_path_.empty()) throw Error(ErrorCode::internal, path_.string() + ": committed twice");
  if (const int failure = flush_to_disk(temporary_path_, O_RDWR)) throw write_error(path_, failure);
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) throw write_error(path_, errno);
  temporary_path_.clear();
  forget_partial(slot_);
  slot_ = -1;
  // Some file systems cannot flush a folder; the file itself is safe by now.
  const int failure = flush_to_disk(folder_of(path_), O_RDONLY | O_DIRECTORY);
  if (failure != 0 && failure != EINVAL && failure != EACCES) throw write_error(path_, failure);
}

void remove_partial_outputs() noexcept {
  for (const std::atomic<char*>& slot : partial_outputs) {
    if (const char* name = slot.load()) unlink(name);
  }
}

}  // namespace kiban::io
