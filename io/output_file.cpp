#include "io/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

// Guards the list of files alive, and what stands on the disk for it. A signal handler takes it as well, so its holder
// blocks signals: a handler then runs on another thread, which may wait, or later.
std::atomic_flag list_is_held = ATOMIC_FLAG_INIT;
OutputFile* first_alive = nullptr;

sigset_t hold_list() noexcept {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (list_is_held.test_and_set(std::memory_order_acquire)) poll(nullptr, 0, 1);
  return before;
}

class ListHold {
 public:
  ListHold() : signals_before_(hold_list()) {
    // The files are the parent's: a child neither removes them nor waits for a thread that it does not have.
    [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] {
      first_alive = nullptr;
      list_is_held.clear();
    });
  }
  ~ListHold() {
    list_is_held.clear(std::memory_order_release);
    pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr);
  }
  ListHold(const ListHold&) = delete;
  ListHold& operator=(const ListHold&) = delete;

 private:
  sigset_t signals_before_;
};

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// What an ImageIO looks at to pick its format: ".nii.gz", not ".gz".
std::string full_extension(const fs::path& path) {
  const std::string last = path.extension();
  return last == ".gz" ? path.stem().extension().string() + last : last;
}

int flush_to_disk(const fs::path& path, int flags) {
  const int file = open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) return errno;
  int failure = 0;
  do {
    failure = fsync(file) == 0 ? 0 : errno;
  } while (failure == EINTR);
  close(file);
  return failure;
}

// A name beside `path` that an earlier call has not given, in this process.
fs::path hidden_name(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  return folder_of(path) / fmt::format(".kiban-{}-{}{}", getpid(), counter++, full_extension(path));
}

fs::path link_target(const fs::path& path) {
  constexpr int most_links = 40;
  fs::path target = path;
  std::error_code failure;
  for (int links = 0; fs::is_symlink(fs::symlink_status(target, failure)); ++links) {
    const fs::path next = fs::read_symlink(target, failure);
    if (failure || links == most_links) throw write_error(path, failure ? failure.value() : ELOOP);
    target = target.parent_path() / next;
  }
  return target;
}

// A name that was given to a new file, and can be taken back.
class Renaming {
 public:
  explicit Renaming(const fs::path& target) : target_(target) {
    do {  // another process may have left a file of this name
      former_ = hidden_name(target);
      had_former_ = link(target.c_str(), former_.c_str()) == 0;
    } while (!had_former_ && errno == EEXIST);
    // Where the file system knows no second names, there is none for a moment.
    std::error_code ignored;
    if (!had_former_ && fs::is_regular_file(target, ignored))
      had_former_ = rename(target.c_str(), former_.c_str()) == 0;
  }

  // 0 or errno.
  int give(const fs::path& from) {
    if (rename(from.c_str(), target_.c_str()) != 0) return errno;
    given_ = true;
    return 0;
  }

  void keep() {
    if (had_former_) unlink(former_.c_str());
  }

  // Empty, or the sentence's end where the former file could not be given its name.
  std::string take_back() {
    if (!had_former_) {
      if (given_) unlink(target_.c_str());
      return "";
    }
    if (rename(former_.c_str(), target_.c_str()) != 0)
      return fmt::format("; {} could not be restored and is now {}", target_.string(), former_.string());
    unlink(former_.c_str());  // rename leaves both names of one file
    return "";
  }

 private:
  fs::path target_, former_;
  bool had_former_ = false, given_ = false;
};

}  // namespace

Error write_error(const fs::path& path, int error_number) {
  const std::string folder = folder_of(path).string();
  const auto error = [&](const std::string& sentence) { return Error(ErrorCode::input, sentence, error_number); };
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return error(
          fmt::format("{}: cannot be written, the folder {} does not exist; create it", path.string(), folder));
    case EACCES:
    case EPERM:
    case EROFS:
      return error(
          fmt::format("{}: cannot be written, no permission to create files in {}; change it, or name another folder",
                      path.string(), folder));
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return error(
          fmt::format("{}: cannot be written whole, {}; free space in {}, or name another folder", path.string(),
                      error_number == EFBIG ? "the limit on file sizes is reached" : "the disk is full", folder));
    case 0:
      return error(
          fmt::format("{}: cannot be written whole; check the space that is left in {}", path.string(), folder));
    default:
      return error(fmt::format("{}: cannot be written ({}); name another folder", path.string(),
                               std::generic_category().message(error_number)));
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
  target_ = link_target(path);
  // Renaming would not ask: the folder's permissions decide.
  if (fs::exists(status) && access(target_.c_str(), W_OK) != 0)
    throw Error(
        ErrorCode::input,
        fmt::format("{}: exists and is write-protected; change its permissions, or name another", path.string()));

  const ListHold hold;  // no handler looks between the creation and the list
  int file = -1;
  do {  // another process may have left a file of this name
    temporary_path_ = hidden_name(target_);
    file = open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file < 0 && (errno == EEXIST || errno == EINTR));
  if (file < 0) throw write_error(path, errno);
  if (fs::exists(status)) fchmod(file, static_cast<mode_t>(status.permissions()) & 0777);
  close(file);
  next_ = std::exchange(first_alive, this);
}

OutputFile::~OutputFile() {
  const ListHold hold;
  if (withdraw()) unlink(temporary_path_.c_str());
}

// False where it is not in the list: committed, or the parent's.
bool OutputFile::withdraw() {
  for (OutputFile** link = &first_alive; *link; link = &(*link)->next_) {
    if (*link != this) continue;
    *link = next_;
    return true;
  }
  return false;
}

void OutputFile::commit() { commit_together({this}); }

void commit_together(const std::vector<OutputFile*>& outputs) {
  std::vector<OutputFile*> files;
  std::copy_if(outputs.begin(), outputs.end(), std::back_inserter(files), [](const OutputFile* file) { return file; });
  for (const OutputFile* file : files) {
    if (file->temporary_path_.empty()) throw Error(ErrorCode::internal, file->path_.string() + ": committed twice");
    if (const int failure = flush_to_disk(file->temporary_path_, O_RDWR)) throw write_error(file->path_, failure);
  }
  const ListHold hold;  // a handler sees all names given, or none
  std::vector<Renaming> renamings;
  renamings.reserve(files.size());
  const auto give_up = [&](const fs::path& path, int failure) {
    std::string sentence = write_error(path, failure).what();
    for (auto renaming = renamings.rbegin(); renaming != renamings.rend(); ++renaming)
      sentence += renaming->take_back();
    throw Error(ErrorCode::input, sentence, failure);
  };
  for (const OutputFile* file : files) {
    if (const int failure = renamings.emplace_back(file->target_).give(file->temporary_path_))
      give_up(file->path_, failure);
  }
  for (const OutputFile* file : files) {
    // Some file systems cannot flush a folder; the file itself is safe by now.
    const int failure = flush_to_disk(folder_of(file->target_), O_RDONLY | O_DIRECTORY);
    if (failure != 0 && failure != EINVAL && failure != EACCES) give_up(file->path_, failure);
  }
  for (Renaming& renaming : renamings) renaming.keep();
  for (OutputFile* file : files) {
    file->withdraw();
    file->temporary_path_.clear();
  }
}

void remove_partial_outputs() noexcept {
  hold_list();
  for (const OutputFile* file = first_alive; file; file = file->next_) unlink(file->temporary_path_.c_str());
}

}  // namespace kiban::io
