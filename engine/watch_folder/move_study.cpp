#include "engine/watch_folder/move_study.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>

#include <cerrno>
#include <system_error>

#include "engine/durable_file.hpp"
#include "engine/fault_point.hpp"
#include "engine/sha256.hpp"
#include "engine/watch_folder/study.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* what, int error_number) {
  throw Error(ErrorCode::input, fmt::format("a study cannot be moved: {} failed ({}); check permissions and space",
                                            what, std::generic_category().message(error_number)));
}

void require(int failure, const char* what) {
  if (failure != 0) fail(what, failure);
}

void flush_names(const fs::path& folder) { require(try_flush_folder(folder), "flushing"); }

void write_reason(const fs::path& path, const std::string& reason) {
  const fs::path hidden = path.parent_path() / ".kiban-reason";
  {
    const FileDescriptor file(hidden, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666);
    require(file.error_number(), "opening");
    require(try_write_all(file, reason), "writing");
    require(try_flush(file), "flushing");
  }
  if (rename(hidden.c_str(), path.c_str()) != 0) fail("renaming", errno);
  flush_names(path.parent_path());
}

void copy_one(const fs::path& from, const fs::path& to) {
  const FileDescriptor source(from, O_RDONLY | O_NOFOLLOW), target(to, O_WRONLY | O_CREAT | O_EXCL, 0666);
  for (const FileDescriptor* file : {&source, &target}) require(file->error_number(), "opening");
  const int failure =
      try_read_all(source, [&target](std::string_view block) { require(try_write_all(target, block), "writing"); });
  require(failure, "reading");
  require(try_flush(target), "flushing");
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
  flush_names(to);
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
  flush_names(target.parent_path());
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
  flush_names(target.parent_path());
  flush_names(study.parent_path());
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
