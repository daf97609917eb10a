#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/durable_file.hpp"
#include "engine/fault_point.hpp"
#include "engine/queue/sqlite_location.hpp"
#include "engine/queue/sqlite_queue.hpp"
#include "engine/queue/sqlite_schema.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

Error unwritten(const fs::path& file, const std::string& why) {
  return {ErrorCode::input,
          fmt::format("{}: the copy cannot be written ({}); make room, or name another file", file.string(), why)};
}

Error in_use(const fs::path& file) {
  return {ErrorCode::usage,
          fmt::format("{}: somebody has the queue open; stop its workers, then try again", file.string())};
}

/// A new file beside `file` that is removed unless it got its name.
class Draft {
 public:
  explicit Draft(const fs::path& file) : file_(file), path_(file.string() + fmt::format(".part-{}", getpid())) {
    unlink(path_.c_str());
    const int made = open(path_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (made < 0) throw unwritten(file_, std::generic_category().message(errno));
    close(made);
  }
  ~Draft() {
    for (const char* suffix : {"", "-journal", "-wal", "-shm"}) unlink((path_.string() + suffix).c_str());
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const fs::path& path() const { return path_; }
  /// Gives it its name, which must be free, and flushes both.
  void keep() const {
    flush_file(path_);
    if (link(path_.c_str(), file_.c_str()) != 0)
      throw unwritten(file_, errno == EEXIST ? "it exists" : std::generic_category().message(errno));
    flush_folder(file_.parent_path());
  }

 private:
  fs::path file_, path_;
};

void copy_store(sqlite3* from, const Draft& draft, const fs::path& file) {
  Connection to(draft.path(), Connection::Mode::make);
  to.run("PRAGMA synchronous = FULL");
  sqlite3_backup* copying = sqlite3_backup_init(to.handle(), "main", from, "main");
  if (!copying) throw unwritten(file, sqlite3_errmsg(to.handle()));
  sqlite3_backup_step(copying, -1);
  if (const int code = sqlite3_backup_finish(copying); code != SQLITE_OK) throw unwritten(file, sqlite3_errstr(code));
}

fs::path full_path(const fs::path& file) {
  std::error_code failed;
  const fs::path full = fs::absolute(file, failed);
  return failed ? file : full.lexically_normal();
}

/// A queue that is whole, which nobody writes to.
void require_backup(const fs::path& backup) {
  if (const std::string journal = backup.string() + "-wal"; fs::exists(journal) && !fs::is_empty(journal))
    throw Error(
        ErrorCode::input,
        fmt::format("{}: is no backup, for it has a journal; make one with: kiban backup FILE", backup.string()));
  require_store(backup);
  Connection connection(backup, Connection::Mode::immutable);
  require_whole(connection);
  Rows rows = connection.query(
      "SELECT (SELECT count(*) FROM queue) = 1 AND (SELECT count(*) FROM job) = "
      "(SELECT count(*) FROM request)");
  if (!rows.next() || rows.integer(0) != 1) throw damaged(backup, "requests and jobs do not match");
}

void copy_bytes(const fs::path& from, const Draft& draft, const fs::path& file) {
  std::ifstream in(from, std::ios::binary);
  std::ofstream out(draft.path(), std::ios::binary | std::ios::trunc);
  out << in.rdbuf();
  out.close();
  if (!in || !out) throw unwritten(file, "the disk is full or failed");
}

std::string now_text() {
  char text[32];
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

fs::path free_name_for_old(const fs::path& file) {
  fs::path aside;
  for (int i = 0; aside.empty() || fs::exists(aside) || fs::exists(aside.string() + "-wal"); ++i)
    aside = file.string() + ".broken-" + now_text() + (i ? fmt::format("-{}", i) : "");
  return aside;
}

/// While files move, a mark lies beside the queue: between the old store's going and the new one's coming there is
/// none, and whoever opened the queue then would make an empty one. A restore that finds the mark of one that did not
/// end goes on where that stopped, so that a store and its journal come to lie together.
class Swap {
 public:
  /// Errors: input (the mark cannot be written).
  explicit Swap(const fs::path& file) : file_(file), mark_(restore_mark(file)), goes_on_(fs::exists(mark_)) {
    if (goes_on_) std::getline(std::ifstream(mark_), aside_);
    const bool is_for_this =
        aside_.starts_with(file.string() + ".broken-") && !(fs::exists(file) && fs::exists(aside_));
    if (is_for_this) return;
    aside_ = free_name_for_old(file).string();
    write_all(FileDescriptor(mark_, O_CREAT | O_TRUNC | O_WRONLY, 0600), aside_ + '\n', mark_);
    flush_file(mark_);
    flush_folder(file.parent_path());
    fault_point("restore.marked");
  }
  /// Before anything was moved.
  void give_up() const {
    if (!goes_on_) unlink(mark_.c_str());
  }
  /// Where the old store went; empty if there was none. Errors: input (no right to move it).
  fs::path set_aside() const {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      const std::string from = file_.string() + suffix, to = aside_ + suffix;
      if (rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT)
        throw Error(ErrorCode::input, fmt::format("{}: cannot be set aside ({}); give this user the right to write the "
                                                  "folder, then restore again",
                                                  from, std::generic_category().message(errno)));
      fault_point("restore.set_aside");
    }
    flush_folder(file_.parent_path());
    return fs::exists(aside_) ? fs::path(aside_) : fs::path();
  }
  /// The new store has its name.
  void end() const {
    unlink(mark_.c_str());
    flush_folder(file_.parent_path());
  }

 private:
  fs::path file_, mark_;
  bool goes_on_;
  std::string aside_;
};

/// Whether a manifest's result is that of a job which the queue knows to have succeeded under that token.
bool is_known(const Queue& queue, const fs::path& manifest) {
  std::ifstream stream(manifest);
  const nlohmann::json json = nlohmann::json::parse(stream, nullptr, false);
  if (!json.is_object() || !json.contains("job") || !json["job"].is_string()) return false;
  try {
    const Job job = queue.find(json["job"].get<std::string>());
    return job.state == JobState::succeeded && job.token == manifest.parent_path().filename().string();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::usage) return false;
    throw;
  }
}

std::vector<std::string> later_results(const Queue& queue) {
  std::vector<std::string> found;
  std::error_code failed;
  for (fs::directory_iterator job(queue.results(), failed), end; !failed && job != end; job.increment(failed))
    for (fs::directory_iterator attempt(job->path(), failed); !failed && attempt != end; attempt.increment(failed)) {
      const fs::path manifest = attempt->path() / "manifest.json";
      if (fs::is_regular_file(manifest) && !is_known(queue, manifest)) found.push_back(manifest.string());
    }
  std::ranges::sort(found);
  return found;
}

}  // namespace

void SqliteQueue::backup(const fs::path& given) const {
  open_.require_own_process();
  const fs::path file = full_path(given);
  if (fs::exists(file)) throw unwritten(file, "it exists");
  // A connection of its own: a copy of a large queue takes a while, and holds up nobody.
  Connection from(file_, Connection::Mode::write);
  set_up(from);
  const Draft draft(file);
  copy_store(from.handle(), draft, file);
  require_backup(draft.path());
  draft.keep();
}

Restored restore_queue(const std::string& url, const fs::path& given) {
  const fs::path file = file_of_url(url), backup = full_path(given);
  if (fs::exists(file) && fs::exists(backup) && fs::equivalent(file, backup))
    throw Error(ErrorCode::usage, fmt::format("{} is the queue itself; name the backup", backup.string()));
  if (is_open_somewhere(backup))
    throw Error(ErrorCode::usage, fmt::format("{} is a queue in use; make a backup of it", backup.string()));
  require_backup(backup);
  if (is_open_somewhere(file)) throw in_use(file);
  make_folder(file.parent_path());
  require_local(file.parent_path());
  const Draft draft(file);
  copy_bytes(backup, draft, file);
  require_backup(draft.path());
  const Swap swap(file);
  if (is_open_somewhere(file)) {  // again: since the first time the backup was copied, which takes a while
    swap.give_up();
    throw in_use(file);
  }
  Restored restored;
  restored.set_aside = swap.set_aside();
  draft.keep();
  fault_point("restore.named");
  swap.end();
  restored.later_results = later_results(*open_queue("sqlite://" + file.string()));
  return restored;
}

}  // namespace kiban::engine
