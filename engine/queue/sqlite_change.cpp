#include "engine/queue/sqlite_change.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "engine/queue/identifier.hpp"
#include "engine/queue/sqlite_schema.hpp"

namespace kiban::engine {

Change::Change(Connection& connection, const Clock& clock)
    : connection_(connection), clock_(clock), boot_us_(clock.boot_us()), wall_us_(clock.wall_us()) {
  {
    Rows rows = connection_.query(
        "SELECT settings, paused, last_number, last_id, virtual_time, succeeded, failed, cancelled, unpublished "
        "FROM queue");
    rows.next();
    settings_ = settings_from(rows.text(0));
    counts_.paused = rows.integer(1) != 0;
    counts_.last_number = rows.integer(2);
    counts_.last_id = rows.text(3);
    counts_.virtual_time = rows.real(4);
    for (std::size_t i = 0; i < 3; ++i) counts_.finals[i] = rows.integer(5 + static_cast<int>(i));
    counts_.unpublished = rows.integer(8);
  }
  Rows rows = connection_.query("SELECT priority, waiting, queued, running, virtual_finish, device_seconds FROM class");
  while (rows.next())
    of(static_cast<Priority>(rows.integer(0))) = {rows.integer(1), rows.integer(2), rows.integer(3), rows.real(4),
                                                  rows.real(5)};
  counts_before_ = counts_;
}

void Change::flush() {
  if (counts_ == counts_before_) return;
  connection_.change(
      "UPDATE queue SET paused = ?, last_number = ?, last_id = ?, virtual_time = ?, succeeded = ?, "
      "failed = ?, cancelled = ?, unpublished = ?",
      counts_.paused, counts_.last_number, counts_.last_id, counts_.virtual_time, counts_.finals[0], counts_.finals[1],
      counts_.finals[2], counts_.unpublished);
  for (int i = 0; i < kPriorities; ++i) {
    const Class& each = counts_.classes[static_cast<std::size_t>(i)];
    connection_.change(
        "UPDATE class SET waiting = ?, queued = ?, running = ?, virtual_finish = ?, device_seconds = ? "
        "WHERE priority = ?",
        each.waiting, each.queued, each.running, each.virtual_finish, each.device_seconds, i);
  }
}

std::int64_t Change::boot() {
  if (!boot_) {
    connection_.change("INSERT OR IGNORE INTO boot(id) VALUES (?)", clock_.boot_id());
    boot_ = boot_number(connection_, clock_);
  }
  return *boot_;
}

std::int64_t Change::next_number() { return ++counts_.last_number; }
std::string Change::next_id() { return counts_.last_id = next_ulid(counts_.last_id, wall_us_); }

std::int64_t Change::unfinished() const {
  return std::accumulate(
      counts_.classes.begin(), counts_.classes.end(), std::int64_t{0},
      [](std::int64_t sum, const Class& each) { return sum + each.waiting + each.queued + each.running; });
}

std::int64_t Change::submitter(const std::string& name) {
  connection_.change("INSERT OR IGNORE INTO submitter(name, running) VALUES (?, 0)", name);
  Rows rows = connection_.query("SELECT number FROM submitter WHERE name = ?", name);
  rows.next();
  return rows.integer(0);
}

std::optional<std::int64_t> Change::number_of(const std::string& id) {
  Rows rows = connection_.query("SELECT number FROM request WHERE id = ?", id);
  return rows.next() ? std::optional(rows.integer(0)) : std::nullopt;
}

std::string Change::id_of(std::int64_t number) {
  Rows rows = connection_.query("SELECT id FROM request WHERE number = ?", number);
  return rows.next() ? rows.text(0) : "";
}

Row Change::row(std::int64_t number) {
  static const std::string sql = "SELECT " + kRowColumns + " FROM job WHERE number = ?";
  Rows rows = connection_.query(sql, number);
  if (!rows.next()) {
    connection_.condemn("a job has lost its row");
    connection_.require_sound();
  }
  return read_row(rows);
}

void Change::insert(const Row& row) {
  connection_.change(
      "INSERT INTO job(number, submitter, priority, state, attempts, lost_leases, backoffs, blockers, outputs, worker, "
      "stage, fraction, cancel_asked, cancel_why, submitted_us, queued_us, started_us, finished_us, device_seconds, "
      "charged, charged_class, error, fault_of, result, published, publish_error) "
      "VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?, '', '', 0, 0, '', ?, ?, 0, ?, 0, 0, 0, ?, ?, '', 0, '')",
      row.number, row.submitter, static_cast<int>(row.priority), static_cast<int>(row.state), row.blockers, row.outputs,
      row.submitted_us, row.queued_us, row.finished_us, row.error, row.fault_of);
  count(row, 1);
}

bool Change::save(const Row& before, const Row& after, const std::optional<std::string>& holder) {
  // The token is named by the text `lease_token = ` and nowhere else: a test that takes it out must see things go
  // wrong.
  static const std::string set =
      "UPDATE job SET priority=?2, state=?3, attempts=?4, lost_leases=?5, backoffs=?6, blockers=?7, due_boot=?8, "
      "due_us=?9, lease_token=?10, lease_boot=?11, lease_until=?12, worker=?13, stage=?14, fraction=?15, "
      "cancel_asked=?16, cancel_why=?17, queued_us=?18, started_us=?19, finished_us=?20, device_seconds=?21, "
      "charged=?22, charged_class=?23, error_code=?24, error=?25, fault_of=?26, result=?27, published=?28, "
      "publish_error=?29 WHERE number = ?1";
  static const std::string set_by_holder = set + " AND state = 2 AND lease_token = ?30";
  const auto run = [&](const std::string& sql, const auto&... more) {
    return connection_.change(sql, after.number, static_cast<int>(after.priority), static_cast<int>(after.state),
                              after.attempts, after.lost_leases, after.backoffs, after.blockers, after.due_boot,
                              after.due_us, after.token, after.lease_boot, after.lease_until, after.worker, after.stage,
                              after.fraction, after.cancel_asked, after.cancel_why, after.queued_us, after.started_us,
                              after.finished_us, after.device_seconds, after.charged,
                              static_cast<int>(after.charged_class), after.error_code, after.error, after.fault_of,
                              after.result, after.published, after.publish_error, more...);
  };
  if ((holder ? run(set_by_holder, *holder) : run(set)) == 0) return false;
  count(before, -1);
  count(after, 1);
  return true;
}

void Change::remove(const Row& row) {
  for (const char* sql : {"DELETE FROM job WHERE number = ?", "DELETE FROM request WHERE number = ?",
                          "DELETE FROM edge WHERE child = ?", "DELETE FROM edge WHERE parent = ?"})
    connection_.change(sql, row.number);
  count(row, -1);
}

void Change::count(const Row& row, int sign) {
  switch (row.state) {
    case JobState::waiting:
      of(row.priority).waiting += sign;
      break;
    case JobState::queued:
      of(row.priority).queued += sign;
      count_lane(row, sign);
      break;
    case JobState::running:
      of(row.priority).running += sign;
      connection_.change("UPDATE submitter SET running = running + ? WHERE number = ?", sign, row.submitter);
      break;
    default:
      counts_.finals[static_cast<std::size_t>(row.state) - static_cast<std::size_t>(JobState::succeeded)] += sign;
      if (row.state == JobState::succeeded && !row.published) counts_.unpublished += sign;
  }
}

void Change::count_lane(const Row& row, int sign) {
  const int priority = static_cast<int>(row.priority);
  if (sign > 0) {
    connection_.change(
        "INSERT INTO lane VALUES (?1, ?2, 1, ?3) ON CONFLICT (priority, submitter) DO UPDATE SET "
        "head = iif(queued = 0, ?3, min(head, ?3)), queued = queued + 1",
        priority, row.submitter, row.number);
    return;
  }
  connection_.change(
      "UPDATE lane SET queued = queued - 1, head = iif(head <> ?3, head, coalesce((SELECT min(number) FROM job "
      "WHERE state = 1 AND priority = ?1 AND submitter = ?2), 0)) WHERE priority = ?1 AND submitter = ?2",
      priority, row.submitter, row.number);
}

void Change::let_go(Row& row) {
  row.due_boot.reset();
  row.due_us.reset();
  row.state = row.blockers > 0 ? JobState::waiting : JobState::queued;
  row.queued_us = wall_us_;
}

void Change::back_off(Row& row) {
  const double doubled = settings_.first_backoff_s * std::exp2(std::min(row.backoffs++, 60));
  const double seconds = std::min(doubled, settings_.most_backoff_s) * (0.75 + 0.5 * random_fraction());
  row.due_boot = boot();
  row.due_us = boot_us_ + static_cast<std::int64_t>(seconds * 1e6);
}

double Change::start(Priority priority) const {
  return std::max(counts_.virtual_time, counts_.classes[static_cast<std::size_t>(priority)].virtual_finish);
}

std::vector<Priority> Change::turns() const {
  std::vector<Priority> order;
  for (int i = 0; i < kPriorities; ++i)
    if (counts_.classes[static_cast<std::size_t>(i)].queued > 0) order.push_back(static_cast<Priority>(i));
  std::ranges::stable_sort(order, {}, [this](Priority each) { return start(each); });
  return order;
}

std::optional<std::int64_t> Change::head(Priority priority) {
  Rows rows = settings_.most_running_of_submitter == 0
                  ? connection_.query("SELECT head FROM lane WHERE priority = ? AND queued > 0 ORDER BY head LIMIT 1",
                                      static_cast<int>(priority))
                  : connection_.query(
                        "SELECT lane.head FROM lane CROSS JOIN submitter ON submitter.number = lane.submitter "
                        "WHERE lane.priority = ? AND lane.queued > 0 AND submitter.running < ? "
                        "ORDER BY lane.head LIMIT 1",
                        static_cast<int>(priority), settings_.most_running_of_submitter);
  return rows.next() ? std::optional(rows.integer(0)) : std::nullopt;
}

// Start-time fair queueing (Goyal, Vin and Cheng 1996): a class begins at the later of the virtual time and its own
// last finish, so that idleness earns no credit. Virtual time is where the class begins whose turn it is.
void Change::charge(Row& row, double seconds, bool in_turn) {
  const std::vector<Priority> order = turns();
  if (in_turn || order.empty())
    counts_.virtual_time = start(row.priority);
  else
    counts_.virtual_time = std::min(start(row.priority), start(order.front()));
  Class& its = of(row.priority);
  row.charged = seconds;
  row.charged_class = row.priority;
  its.virtual_finish = start(row.priority) + seconds / settings_.shares[static_cast<std::size_t>(row.priority)];
  its.device_seconds += seconds;
}

void Change::settle(Row& row, double seconds) {
  Class& its = of(row.charged_class);
  const double difference = seconds - row.charged;
  its.virtual_finish += difference / settings_.shares[static_cast<std::size_t>(row.charged_class)];
  its.device_seconds += difference;
  row.charged = 0;
}

void Change::count_finished() {
  const std::int64_t minute = wall_us_ / 60'000'000;
  connection_.change("INSERT INTO finished VALUES (?, 1) ON CONFLICT (minute) DO UPDATE SET jobs = jobs + 1", minute);
  connection_.change("DELETE FROM finished WHERE minute < ?", minute - 60);
}

}  // namespace kiban::engine
