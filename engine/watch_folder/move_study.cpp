#include "engine/watch_folder/move_study.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "engine/fault_point.hpp"
#include "engine/queue/sha256.hpp"
#include "engine/watch_folder/study.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* what, int error_number) {
  throw Error(ErrorCode::input, fmt::format("a study cannot be moved: {} failed ({}); check permissions and space",
                                            what, std::generic_category().message(error_number)));
}

void flush(const fs::path& path, int flags) {
  const int file = open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) fail("opening", errno);
  const int failure = fsync(file) == 0 ? 0 : errno;
  close(file);
  // Some file systems cannot flush a folder.
  if (failure != 0 && failure != EINVAL) fail("flushing", failure);
}

void flush_folder(const fs::path& folder) { flush(folder, O_RDONLY | O_DIRECTORY); }

void write_all(int file, const char* bytes, std::size_t count) {
  while (count > 0) {
    const ssize_t written = write(file, bytes, count);
    if (written < 0 && errno != EINTR) fail("writing", errno);
    if (written <= 0) continue;
    bytes += written;
    count -= static_cast<std::size_t>(written);
  }
}

/// Closes, also when something throws.
struct File {
  int number;
  File(const fs::path& path, int flags) : number(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (number < 0) fail("opening", errno);
  }
  ~File() { close(number); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
};

void write_reason(const fs::path& path, const std::string& reason) {
  const fs::path hidden = path.parent_path() / ".kiban-reason";
  {
    const File file(hidden, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
    write_all(file.number, reason.data(), reason.size());
    if (fsync(file.number) != 0) fail("flushing", errno);
  }
  if (rename(hidden.c_str(), path.c_str()) != 0) fail("renaming", errno);
  flush_folder(path.parent_path());
}

void copy_one(const fs::path& from, const fs::path& to) {
  constexpr std::size_t block = 1 << 20;
  const auto buffer = std::make_unique<char[]>(block);
  const File source(from, O_RDONLY | O_NOFOLLOW), target(to, O_WRONLY | O_CREAT | O_EXCL);
  for (;;) {
    const ssize_t got = read(source.number, buffer.get(), block);
    if (got == 0) break;
    if (got < 0 && errno != EINTR) fail("reading", errno);
    if (got > 0) write_all(target.number, buffer.get(), static_cast<std::size_t>(got));
  }
  if (fsync(target.number) != 0) fail("flushing", errno);
}

/// Links stay links; what is neither a file nor a folder is left behind, and with it the original.
void copy_tree(const fs::path& from, const fs::path& to) {
  fs::create_directory(to);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const fs::path target = to / entry.path().filename();
    if (entry.is_symlink())
      fs::copy_symlink(entry.path(), target);
    else if (entry.is_directory())
      copy_tree(entry.path(), target);
    else if (entry.is_regular_file())
      copy_one(entry.path(), target);
    else
      fail("copying a special file", EINVAL);
  }
  flush_folder(to);
}

void copy_then_remove(const fs::path& study, const fs::path& target) {
  const fs::path hidden = target.parent_path() / ".kiban-moving";
  fs::remove_all(hidden);  // of one that was interrupted
  const auto before = look_at(study, "");
  try {
    copy_tree(study, hidden);
    const auto after = look_at(study, "");
    if (!before || !after || before->fingerprint != after->fingerprint) fail("copying what changes", EBUSY);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(hidden, ignored);
    throw;
  }
  if (rename(hidden.c_str(), target.c_str()) != 0) fail("renaming", errno);
  flush_folder(target.parent_path());
  fs::remove_all(study);
}

/// False where the name is taken.
bool move_to(const fs::path& study, const fs::path& target) {
  if (renameat2(AT_FDCWD, study.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return false;
    if (errno == EXDEV)
      copy_then_remove(study, target);
    else if (errno != EINVAL || rename(study.c_str(), target.c_str()) != 0)  // a file system without the flag
      fail("renaming", errno);
  }
  flush_folder(target.parent_path());
  flush_folder(study.parent_path());
  return true;
}

}  // namespace

fs::path move_study(const fs::path& study, const fs::path& into, const std::string& reason) {
  constexpr std::size_t longest = 200;  // with a number and ".reason.txt" behind it
  constexpr int most_numbers = 10'000;
  std::string name = study.filename().string();
  if (name.size() > longest) name = name.substr(0, longest - 9) + "-" + sha256(name).substr(0, 8);
  try {
    for (int number = 1; number <= most_numbers; ++number) {
      const std::string numbered = number == 1 ? name : fmt::format("{}-{}", name, number);
      if (fs::exists(fs::symlink_status(into / numbered))) continue;
      if (!reason.empty()) write_reason(into / (numbered + ".reason.txt"), reason);
      fault_point("watch.reason");
      if (!move_to(study, into / numbered)) continue;
      fault_point("watch.move");
      return into / numbered;
    }
  } catch (const fs::filesystem_error& error) {
    fail("copying", error.code().value());
  }
  fail("finding a free name", EEXIST);
}

}  // namespace kiban::engine
