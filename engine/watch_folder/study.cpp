#include "engine/watch_folder/study.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/progress.hpp"
#include "engine/watch_folder/streamed_sha256.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

struct Descriptor {
  int number = -1;
  explicit Descriptor(int opened) : number(opened) {}
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

/// An entry as the fingerprint has it.
std::string line_of(const std::string& name, const struct stat& status) {
  return fmt::format("{}\n{} {} {} {}.{} {}.{}\n", name, status.st_mode, status.st_size, status.st_ino,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

class Walk {
 public:
  Walk(Study& study, const std::string& marker) : study_(study), marker_(marker) {}

  /// False where the folder cannot be opened. Closes `folder`.
  bool enter(int folder, const std::string& path, int depth, bool hidden) {
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(folder < 0 ? nullptr : fdopendir(folder), &closedir);
    if (!listing) {
      if (folder >= 0) close(folder);
      return false;
    }
    errno = 0;
    while (const dirent* entry = readdir(listing.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") take(dirfd(listing.get()), path, name, depth, hidden || name[0] == '.');
      if (static_cast<int>(lines_.size()) > kMostStudyEntries) break;
      errno = 0;
    }
    if (errno != 0) refuse("a folder in it cannot be listed");
    return true;
  }

  void finish() {
    std::ranges::sort(lines_);
    std::ranges::sort(study_.files);
    StreamedSha256 sum;
    for (const std::string& line : lines_) sum.add_counted(line);
    study_.fingerprint = sum.hex();
  }

 private:
  void refuse(const std::string& why) {
    if (study_.refusal.empty()) study_.refusal = why;
  }

  void take(int folder, const std::string& above, const std::string& name, int depth, bool hidden) {
    struct stat status {};
    if (fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;  // gone again
    const std::string path = above.empty() ? name : above + "/" + name;
    lines_.push_back(line_of(path, status));
    if (static_cast<int>(lines_.size()) > kMostStudyEntries)
      return refuse(fmt::format("it has more than {} files", kMostStudyEntries));
    if (path == marker_) {
      study_.marked = true;
    } else if (S_ISDIR(status.st_mode)) {
      if (depth == kMostStudyDepth) return refuse(fmt::format("it has more than {} levels of folders", depth));
      const int inner = openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (!enter(inner, path, depth + 1, hidden)) refuse("a folder in it cannot be listed");
    } else if (!hidden) {
      if (!S_ISREG(status.st_mode)) return refuse("it has a link in it, or a file that is not a plain one");
      if (!is_utf8(path)) return refuse("the name of a file is not UTF-8");
      study_.files.push_back(path);
    }
  }

  Study& study_;
  const std::string& marker_;
  std::vector<std::string> lines_;
};

}  // namespace

std::optional<Study> look_at(const fs::path& folder, const std::string& marker) {
  struct stat status {};
  if (lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  Study study{.folder = folder, .files = {}, .fingerprint = {}, .marked = false, .refusal = {}};
  Walk walk(study, marker);
  if (!walk.enter(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "", 0, false)) {
    if (errno == ENOENT) return std::nullopt;
    study.refusal = "it cannot be listed";
  }
  if (!is_utf8(folder.string())) study.refusal = "its name is not UTF-8";
  walk.finish();
  return study;
}

std::string content_key(const Study& study, const std::function<bool()>& stop) {
  constexpr std::size_t block = 1 << 20;
  const auto buffer = std::make_unique<char[]>(block);
  StreamedSha256 sum;
  sum.add("kiban study 1\n");
  for (std::size_t i = 0; i < study.files.size(); ++i) {
    const auto refuse = [&] {
      throw Error(ErrorCode::input, fmt::format("file {} of {}, in the order of their names, cannot be read ({})",
                                                i + 1, study.files.size(), std::generic_category().message(errno)));
    };
    const Descriptor file(
        open((study.folder / study.files[i]).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (file.number < 0 || fstat(file.number, &status) != 0) refuse();
    if (!S_ISREG(status.st_mode)) {
      errno = EINVAL;
      refuse();
    }
    StreamedSha256 content;
    for (;;) {
      if (stop()) throw Cancelled();
      const ssize_t got = read(file.number, buffer.get(), block);
      if (got == 0) break;
      if (got < 0 && errno != EINTR) refuse();
      if (got > 0) content.add(buffer.get(), static_cast<std::size_t>(got));
    }
    sum.add_counted(study.files[i]);
    sum.add(content.hex());
  }
  return sum.hex();
}

}  // namespace kiban::engine
