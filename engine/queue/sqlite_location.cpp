#include "engine/queue/sqlite_location.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

#include "engine/durable_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

struct Magic {
  std::int64_t number;
  std::string_view name;
};
// From linux/magic.h, and for those outside of the kernel from their own sources.
constexpr Magic kNetworkFileSystems[] = {
    {0x6969, "NFS"},          {0x517B, "SMB"},       {0xFF534D42, "CIFS"},
    {0xFE534D42, "SMB"},      {0x01021997, "9P"},    {0x00C36400, "Ceph"},
    {0x0BD00BD0, "Lustre"},   {0x47504653, "GPFS"},  {0x5346414F, "AFS"},
    {0x6B414653, "AFS"},      {0x73757245, "Coda"},  {0x564C, "NCP"},
    {0x7461636F, "OCFS2"},    {0x01161970, "GFS2"},  {0x19830326, "BeeGFS"},
    {0x20030528, "OrangeFS"}, {0xAAD7AAEA, "PanFS"}, {0x786F4256, "VirtualBox"},
    {0xBACBACBC, "VMware"},   {0x65735546, "FUSE"},
};

/// Files that this process has open, and those that it inherited by a fork.
struct Books {
  std::mutex mutex;
  std::map<std::string, int> open;
  std::set<std::string> inherited;
};

Books& books() {
  static Books& made = *new Books;  // outlives every queue
  [[maybe_unused]] static const int watching = pthread_atfork([] { made.mutex.lock(); }, [] { made.mutex.unlock(); },
                                                              [] {
                                                                for (const auto& [name, times] : made.open)
                                                                  made.inherited.insert(name);
                                                                made.open.clear();
                                                                made.mutex.unlock();
                                                              });
  return made;
}

[[noreturn]] void refuse_child() {
  throw Error(
      ErrorCode::usage,
      "this process was forked from one that had the queue open; begin it with a program of its own (in Python: "
      "the start method 'spawn'), or open the queue after the fork");
}

fs::path home() {
  if (const char* set = std::getenv("HOME"); set && *set == '/') return set;
  if (const passwd* entry = getpwuid(getuid()); entry && entry->pw_dir) return entry->pw_dir;
  throw Error(ErrorCode::usage, "no home folder is known; set KIBAN_QUEUE=sqlite:///absolute/path");
}

std::string name_of(const fs::path& file) {
  std::error_code failed;
  const fs::path full = fs::weakly_canonical(file, failed);
  return failed ? file.string() : full.string();
}

/// By another process. Each connection in WAL mode holds a shared lock on these bytes for as long as it lives.
bool is_locked(const fs::path& file) {
  const FileDescriptor opened(file, O_RDONLY);
  if (opened.number() < 0) return false;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 0x40000000;
  lock.l_len = 512;
  return fcntl(opened.number(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

fs::path file_of_url(const std::string& given) {
  std::string url = given;
  if (const char* set = std::getenv("KIBAN_QUEUE"); url.empty() && set) url = set;
  if (url.empty()) return home() / ".local/share/kiban/queue.sqlite";
  constexpr std::string_view scheme = "sqlite://";
  if (!url.starts_with("sqlite:///") || url.ends_with('/') || url.find('\0') != std::string::npos)
    throw Error(ErrorCode::usage,
                fmt::format("'{}' is not the URL of a queue; write sqlite:///absolute/path/queue.sqlite", url));
  return fs::path(url.substr(scheme.size())).lexically_normal();
}

std::string_view network_file_system(std::int64_t magic) {
  for (const Magic& known : kNetworkFileSystems)
    if (known.number == (magic & 0xFFFFFFFF)) return known.name;
  return "";
}

void require_local(const fs::path& folder) {
  struct statfs found {};
  if (statfs(folder.c_str(), &found) != 0)
    throw Error(ErrorCode::input, fmt::format("{}: cannot be looked at ({}); check that it exists and who may read it",
                                              folder.string(), std::generic_category().message(errno)));
  if (const std::string_view name = network_file_system(found.f_type); !name.empty())
    throw Error(ErrorCode::input,
                fmt::format("{}: lies on a network file system ({}), where locks and flushes cannot be relied on; put "
                            "the queue on a local disk with KIBAN_QUEUE=sqlite:///path/on/a/local/disk/queue.sqlite",
                            folder.string(), name));
}

fs::path restore_mark(const fs::path& file) { return file.string() + ".restoring"; }

void require_restored(const fs::path& file) {
  if (fs::exists(restore_mark(file)))
    throw Error(ErrorCode::input, fmt::format("{}: a restore of this queue has not ended; if none is running, do it "
                                              "again with: kiban restore BACKUP",
                                              file.string()));
}

OpenFile::OpenFile(const fs::path& file, const std::function<void(bool elsewhere)>& look)
    : name_(name_of(file)), process_(getpid()) {
  const std::lock_guard lock(books().mutex);
  if (books().inherited.contains(name_)) refuse_child();
  if (!books().open.contains(name_)) {
    was_open_ = is_locked(file);
    look(was_open_);
  }
  ++books().open[name_];
}

OpenFile::~OpenFile() {
  const std::lock_guard lock(books().mutex);
  const auto found = books().open.find(name_);
  if (found != books().open.end() && process_ == getpid() && --found->second == 0) books().open.erase(found);
}

void OpenFile::require_own_process() const {
  if (process_ != getpid()) refuse_child();
}

bool is_open_somewhere(const fs::path& file) {
  const std::lock_guard lock(books().mutex);
  return books().open.contains(name_of(file)) || is_locked(file);
}

}  // namespace kiban::engine
