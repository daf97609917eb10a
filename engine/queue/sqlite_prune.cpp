#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/queue/sqlite_location.hpp"
#include "engine/queue/sqlite_queue.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

constexpr int kAtOnce = 500;  ///< so that others get their turn between two transactions

/// Bytes of a folder and when somebody last wrote to it.
struct Folder {
  std::uintmax_t bytes = 0;
  fs::file_time_type written;
};

Folder look_at(const fs::path& path) {
  std::error_code failed;
  Folder folder{0, fs::last_write_time(path, failed)};
  for (fs::recursive_directory_iterator each(path, failed), end; !failed && each != end; each.increment(failed)) {
    std::error_code unknown;
    if (each->is_regular_file(unknown)) folder.bytes += each->file_size(unknown);
    if (const auto time = each->last_write_time(unknown); !unknown) folder.written = std::max(folder.written, time);
  }
  return folder;
}

/// A line for each job that is removed, on the disk before it is.
void record(const fs::path& file, const std::string& lines) {
  const int opened = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  int failure = opened < 0 ? errno : 0;
  std::string_view rest = lines;
  while (!failure && !rest.empty()) {
    const ssize_t written = write(opened, rest.data(), rest.size());
    if (written > 0)
      rest.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      failure = errno ? errno : EIO;
  }
  if (!failure && fsync(opened) != 0) failure = errno;
  if (opened >= 0) close(opened);
  if (failure)
    throw Error(ErrorCode::input, fmt::format("{}: what is to be pruned cannot be recorded ({}), nothing more was "
                                              "removed; make room",
                                              file.string(), std::generic_category().message(failure)));
}

bool is_token(const std::string& name) {
  return name.size() == 32 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

struct Removable {
  Row row;
  std::string id, operation, state;
};

/// Final long enough, with a result that has its name, and nobody left who waits for it, or might after a retry.
std::vector<Removable> removable(Change& change, std::int64_t before_us) {
  static const std::string sql =
      "SELECT " + kRowColumns +
      ", request.id, request.operation FROM job JOIN request USING (number) "
      "WHERE job.state >= 3 AND job.finished_us < ? AND (job.state <> 3 OR job.published) AND NOT EXISTS (SELECT 1 "
      "FROM "
      "edge JOIN job AS child ON child.number = edge.child WHERE edge.parent = job.number AND (child.state < 3 OR "
      "job.state <> 3)) ORDER BY job.finished_us LIMIT ?";
  Rows rows = change.connection().query(sql, before_us, kAtOnce);
  std::vector<Removable> found;
  while (rows.next()) {
    const Row row = read_row(rows);
    found.push_back({row, rows.text(32), rows.text(33), to_string(row.state)});
  }
  return found;
}

std::string lines_of(const std::vector<Removable>& jobs, std::int64_t now_us) {
  std::string lines;
  for (const Removable& each : jobs)
    lines += nlohmann::json{{"job", each.id},
                            {"operation", each.operation},
                            {"state", each.state},
                            {"finished_us", each.row.finished_us},
                            {"pruned_us", now_us}}
                 .dump() +
             "\n";
  return lines;
}

void remove_folder(const fs::path& path, Queue::Pruned& pruned) {
  const Folder folder = look_at(path);
  std::error_code failed;
  fs::remove_all(path, failed);
  if (failed) return;  // the next one tries again
  ++pruned.folders;
  pruned.bytes += folder.bytes;
}

}  // namespace

std::vector<std::string> SqliteQueue::prune_rows(std::int64_t before_us) {
  std::vector<std::string> ids;
  change([&](Change& change) {
    const std::vector<Removable> jobs = removable(change, before_us);
    if (jobs.empty()) return;
    record(file_.parent_path() / "pruned.jsonl", lines_of(jobs, change.wall_us()));
    for (const Removable& job : jobs) {
      change.remove(job.row);
      ids.push_back(job.id);
    }
  });
  return ids;
}

/// Folders of attempts that no row names, once they are so old that their holders have stopped.
std::vector<fs::path> SqliteQueue::abandoned_folders(double older_than_s) const {
  const auto oldest = fs::file_time_type::clock::now() -
                      std::chrono::duration_cast<fs::file_time_type::duration>(
                          std::chrono::duration<double>(std::min(std::max(older_than_s, 2 * settings().lease_s), 1e9)));
  std::vector<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator job(results(), failed), end; !failed && job != end; job.increment(failed))
    for (fs::directory_iterator attempt(job->path(), failed); !failed && attempt != end; attempt.increment(failed)) {
      const std::string token = attempt->path().filename().string();
      if (is_token(token) && look_at(attempt->path()).written < oldest &&
          !is_named(job->path().filename().string(), token))
        found.push_back(attempt->path());
    }
  return found;
}

bool SqliteQueue::is_named(const std::string& id, const std::string& token) const {
  return look([&](Connection& connection) {
    Rows rows = connection.query(
        "SELECT 1 FROM job JOIN request USING (number) WHERE request.id = ?1 AND (job.lease_token IS ?2 OR "
        "job.result = ?1 || '/' || ?2)",
        id, token);
    return rows.next();
  });
}

Queue::Pruned SqliteQueue::prune(double older_than_s) {
  if (!(older_than_s >= 0))
    throw Error(ErrorCode::usage, fmt::format("{} s is no age; give one from 0 on", older_than_s));
  const std::int64_t before = clock_.wall_us() - static_cast<std::int64_t>(std::min(older_than_s, 1e12) * 1e6);
  Pruned pruned;
  for (std::vector<std::string> ids = prune_rows(before); !ids.empty(); ids = prune_rows(before)) {
    pruned.jobs += static_cast<std::int64_t>(ids.size());
    for (const std::string& id : ids)
      if (fs::exists(results() / id)) remove_folder(results() / id, pruned);
  }
  for (const fs::path& folder : abandoned_folders(older_than_s)) {
    remove_folder(folder, pruned);
    rmdir(folder.parent_path().c_str());  // where it was the last
  }
  return pruned;
}

}  // namespace kiban::engine
