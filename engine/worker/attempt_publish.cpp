#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <system_error>

#include "engine/durable_file.hpp"
#include "engine/fault_point.hpp"
#include "engine/files.hpp"
#include "engine/worker/attempt.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

fs::path target_of(const fs::path& path) {
  std::error_code failure;
  fs::path target = link_target(path, failure);
  if (failure) throw write_failure(path, failure.value());
  return target;
}

/// One output on its way from the attempt's folder to the name that was asked for.
class Publication {
 public:
  /// Errors: input (the file is gone; the target cannot be replaced).
  Publication(const fs::path& folder, const std::string& file, const fs::path& asked_for)
      : source_(folder / file),
        asked_for_(asked_for),
        target_(target_of(asked_for)),
        hidden_(target_.parent_path() /
                fmt::format(".kiban-{}-{}", folder.filename().string(), source_.filename().string())) {
    const std::optional<struct stat> from = status(source_), at = status(target_);
    if (!from || !S_ISREG(from->st_mode))
      throw Error(ErrorCode::input, fmt::format("{}: the result is gone; run the job again", source_.string()));
    if (at && S_ISDIR(at->st_mode))
      throw Error(ErrorCode::input, fmt::format("{}: is a folder; move it away", asked_for_.string()));
    if (at && !S_ISREG(at->st_mode))
      throw Error(ErrorCode::input, fmt::format("{}: is not a plain file; move it away", asked_for_.string()));
    done_ = at && at->st_dev == from->st_dev && at->st_ino == from->st_ino;
    // Renaming would not ask: the folder's permissions decide.
    if (at && !done_ && access(target_.c_str(), W_OK) != 0)
      throw Error(ErrorCode::input, fmt::format("{}: exists and is write-protected; change its permissions, or move "
                                                "it away",
                                                asked_for_.string()));
    if (at && !done_) mode_ = at->st_mode & 0777;
  }

  /// Under the hidden name, flushed where it is a copy. What an earlier call left there is removed.
  void link() {
    if (unlink(hidden_.c_str()) != 0 && errno != ENOENT) throw write_failure(asked_for_, errno);
    if (done_) return;
    if (::link(source_.c_str(), hidden_.c_str()) != 0) {
      if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EROFS || errno == ENOSPC ||
          errno == EDQUOT)
        throw write_failure(asked_for_, errno);
      copy();  // another file system, or one without hard links
    }
    if (mode_ && chmod(hidden_.c_str(), *mode_) != 0) throw write_failure(asked_for_, errno);
    fault_point("publish.linked");
  }

  void rename() {
    if (done_) return;
    if (std::rename(hidden_.c_str(), target_.c_str()) != 0) throw write_failure(asked_for_, errno);
    done_ = true;
    fault_point("publish.renamed");
  }

  void withdraw() const {
    if (!done_) unlink(hidden_.c_str());
  }

  fs::path folder() const { return target_.parent_path(); }

 private:
  static std::optional<struct stat> status(const fs::path& path) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) return std::nullopt;
    return found;
  }

  void copy() const {
    const FileDescriptor from(source_, O_RDONLY);
    if (from.error_number() != 0) throw write_failure(source_, from.error_number());
    const FileDescriptor to(hidden_, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (to.error_number() != 0) throw write_failure(asked_for_, to.error_number());
    const int failure = try_read_all(from, [&](std::string_view block) { write_all(to, block, asked_for_); });
    if (failure != 0) throw write_failure(source_, failure);
    if (const int unflushed = try_flush(to)) throw write_failure(asked_for_, unflushed);
  }

  fs::path source_, asked_for_, target_, hidden_;
  std::optional<mode_t> mode_;  ///< of what is replaced
  bool done_ = false;
};

}  // namespace

std::shared_ptr<FileDescriptor> lock_result(const fs::path& folder) {
  auto result = std::make_shared<FileDescriptor>(folder, O_RDONLY | O_DIRECTORY);
  if (result->number() < 0)
    throw Error(ErrorCode::input, fmt::format("{}: the result is gone; run the job again", folder.string()));
  while (flock(result->number(), LOCK_EX | LOCK_NB) != 0)
    if (errno != EINTR) return nullptr;
  return result;
}

void publish(const fs::path& folder, const Submission& submission) {
  if (submission.outputs.empty()) return;
  std::vector<Publication> publications;
  publications.reserve(submission.outputs.size());
  for (const auto& [port, path] : submission.outputs) {
    const std::string file = file_in_attempt(port, path);
    publications.emplace_back(folder, file, path);
    for (const std::string& more : names_beside(folder, file))
      publications.emplace_back(folder, file + more, path + more);
  }
  try {
    for (Publication& publication : publications) publication.link();
    for (Publication& publication : publications) publication.rename();
  } catch (...) {
    for (const Publication& publication : publications) publication.withdraw();
    throw;
  }
  std::set<fs::path> folders;
  for (const Publication& publication : publications) folders.insert(publication.folder());
  for (const fs::path& each : folders) flush_folder(each);
}

}  // namespace kiban::engine
