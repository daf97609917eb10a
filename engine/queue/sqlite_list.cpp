#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "engine/queue/sqlite_queue.hpp"
#include "engine/queue/sqlite_schema.hpp"

namespace kiban::engine {
namespace {

const std::string& select_job() {
  static const std::string sql =
      "SELECT " + kRowColumns + ", " + kRequestColumns + " FROM job CROSS JOIN request USING (number) WHERE ";
  return sql;
}

std::vector<Job> jobs(Connection& connection, Rows rows) {
  std::vector<Job> found;
  while (rows.next()) found.push_back(read_job(connection, rows));
  return found;
}

/// A text of SQL's. Values of tags are checked, but a filter may hold anything.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : std::string(1, c);
  return result + "'";
}

std::string conditions(const JobFilter& filter) {
  std::string sql = "1";
  if (filter.state) sql += fmt::format(" AND job.state = {}", static_cast<int>(*filter.state));
  if (filter.submitter)
    sql +=
        fmt::format(" AND job.submitter = (SELECT number FROM submitter WHERE name = {})", quoted(*filter.submitter));
  if (filter.operation) sql += fmt::format(" AND request.operation = {}", quoted(*filter.operation));
  for (const auto& [name, value] : filter.tags)
    sql +=
        fmt::format(" AND EXISTS (SELECT 1 FROM json_each(request.submission, '$.tags') WHERE key = {} AND value = {})",
                    quoted(name), quoted(value));
  return sql;
}

void count_classes(Connection& connection, QueueCounts& counts) {
  Rows rows = connection.query("SELECT priority, waiting, queued, running, device_seconds FROM class");
  double all = 0;
  while (rows.next()) {
    ClassCounts& each = counts.classes.at(static_cast<std::size_t>(rows.integer(0)));
    each.waiting = rows.integer(1);
    each.queued = rows.integer(2);
    each.running = rows.integer(3);
    all += each.device_share = std::max(rows.real(4), 0.0);
  }
  for (ClassCounts& each : counts.classes) each.device_share = all > 0 ? each.device_share / all : 0;
}

void find_oldest(Connection& connection, std::int64_t now_us, QueueCounts& counts) {
  for (int i = 0; i < kPriorities; ++i) {
    Rows rows = connection.query(
        "SELECT job.queued_us FROM job WHERE number = (SELECT head FROM lane WHERE priority = ? AND queued > 0 "
        "ORDER BY head LIMIT 1)",
        i);
    if (rows.next())
      counts.classes[static_cast<std::size_t>(i)].oldest_queued_s =
          std::max(0.0, static_cast<double>(now_us - rows.integer(0)) * 1e-6);
  }
}

}  // namespace

Job SqliteQueue::find(const std::string& id) const {
  return look([&](Connection& connection) {
    Rows rows = connection.query(select_job() + "job.number = (SELECT number FROM request WHERE id = ?)", id);
    if (!rows.next()) throw Error(ErrorCode::usage, fmt::format("the queue has no job {}; see kiban status", id));
    return read_job(connection, rows);
  });
}

std::vector<Job> SqliteQueue::list(const JobFilter& filter) const {
  return look([&](Connection& connection) {
    return jobs(connection,
                connection.query_once(select_job() + conditions(filter) + " ORDER BY job.number DESC LIMIT ?",
                                      std::max(filter.most, 0)));
  });
}

std::vector<Job> SqliteQueue::unpublished(int most) const {
  return look([&](Connection& connection) {
    return jobs(connection,
                connection.query(select_job() + "job.state = 3 AND job.published = 0 AND (job.due_us IS NULL OR "
                                                "job.due_boot <> ? OR job.due_us <= ?) ORDER BY job.number LIMIT ?",
                                 boot_number(connection, clock_), clock_.boot_us(), std::max(most, 0)));
  });
}

QueueCounts SqliteQueue::counts() const {
  return look([&](Connection& connection) {
    const Snapshot snapshot(connection);
    QueueCounts counts;
    count_classes(connection, counts);
    find_oldest(connection, clock_.wall_us(), counts);
    {
      Rows rows = connection.query("SELECT succeeded, failed, cancelled, unpublished, paused FROM queue");
      rows.next();
      counts.succeeded = rows.integer(0);
      counts.failed = rows.integer(1);
      counts.cancelled = rows.integer(2);
      counts.unpublished = rows.integer(3);
      counts.paused = rows.integer(4) != 0;
    }
    const std::int64_t minute = clock_.wall_us() / 60'000'000;
    Rows rows = connection.query("SELECT coalesce(sum(jobs), 0) FROM finished WHERE minute BETWEEN ? AND ?", minute - 9,
                                 minute);
    rows.next();
    counts.finished_per_minute = static_cast<double>(rows.integer(0)) / 10;
    return counts;
  });
}

std::int64_t SqliteQueue::change_count() const {
  return look([](Connection& connection) {
    Rows rows = connection.query("PRAGMA data_version");
    rows.next();
    return rows.integer(0);
  });
}

QueueSettings SqliteQueue::settings() const {
  return look([](Connection& connection) {
    Rows rows = connection.query("SELECT settings FROM queue");
    rows.next();
    return settings_from(rows.text(0));
  });
}

bool SqliteQueue::has_work(const ClaimTerms& terms) const {
  return look([&](Connection& connection) {
    Rows rows = connection.query(
        "SELECT 1 FROM queue, class WHERE paused = 0 AND queued > 0 AND (priority = ?1 OR ?1 IS NULL) LIMIT 1",
        terms.only ? std::optional(static_cast<int>(*terms.only)) : std::nullopt);
    return rows.next();
  });
}

bool SqliteQueue::has_due() const {
  return look([&](Connection& connection) {
    const std::int64_t boot = boot_number(connection, clock_), now = clock_.boot_us();
    Rows rows = connection.query(
        "SELECT EXISTS (SELECT 1 FROM job WHERE state = 2 AND (lease_boot <> ?1 OR lease_until <= ?2)) OR "
        "EXISTS (SELECT 1 FROM job WHERE due_us IS NOT NULL AND due_boot < ?1) OR "
        "EXISTS (SELECT 1 FROM job WHERE due_us IS NOT NULL AND due_boot > ?1) OR "
        "EXISTS (SELECT 1 FROM job WHERE due_boot = ?1 AND due_us <= ?2)",
        boot, now);
    return rows.next() && rows.integer(0) != 0;
  });
}

double SqliteQueue::next_due_s() const {
  return look([&](Connection& connection) {
    const std::int64_t boot = boot_number(connection, clock_), now = clock_.boot_us();
    double seconds = std::numeric_limits<double>::infinity();
    for (const char* sql : {"SELECT min(lease_until) FROM job WHERE state = 2 AND lease_boot = ?",
                            "SELECT min(due_us) FROM job WHERE due_us IS NOT NULL AND due_boot = ?"}) {
      Rows rows = connection.query(sql, boot);
      if (rows.next() && !rows.is_null(0))
        seconds = std::min(seconds, std::max(0.0, static_cast<double>(rows.integer(0) - now) * 1e-6));
    }
    return seconds;
  });
}

}  // namespace kiban::engine
