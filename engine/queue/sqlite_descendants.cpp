#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/queue/sqlite_change.hpp"

namespace kiban::engine {
namespace {

std::vector<std::int64_t> numbers(Change& change, const char* sql, std::int64_t of) {
  Rows rows = change.connection().query(sql, of);
  std::vector<std::int64_t> found;
  while (rows.next()) found.push_back(rows.integer(0));
  return found;
}

std::vector<std::int64_t> children(Change& change, std::int64_t number) {
  return numbers(change, "SELECT child FROM edge WHERE parent = ?", number);
}

std::vector<std::int64_t> parents(Change& change, std::int64_t number) {
  return numbers(change, "SELECT parent FROM edge WHERE child = ?", number);
}

Submission submission_of(Change& change, std::int64_t number) {
  Rows rows = change.connection().query("SELECT submission FROM request WHERE number = ?", number);
  rows.next();
  return submission_from_json(nlohmann::json::parse(rows.text(0)));
}

void cancel_now(Change& change, const Row& before, const std::string& why, const std::optional<std::string>& fault) {
  Row row = before;
  row.state = JobState::cancelled;
  row.finished_us = change.wall_us();
  row.due_boot.reset();
  row.due_us.reset();
  row.error_code.reset();
  row.error = why;
  row.fault_of = fault;
  change.save(before, row);
  change.count_finished();
  free_outputs(change, row);
}

void set_back(Change& change, const Row& before) {
  take_outputs(change, before.number, before.outputs ? submission_of(change, before.number) : Submission{});
  Row row = before;
  row.attempts = row.lost_leases = row.backoffs = 0;
  row.cancel_asked = false;
  row.cancel_why.clear();
  row.error_code.reset();
  row.error.clear();
  row.fault_of.reset();
  row.finished_us = 0;
  row.stage.clear();
  row.fraction = 0;
  change.let_go(row);
  change.save(before, row);
}

/// Those that a job took along wait again, unless another ancestor has failed meanwhile: then it is that one's fault.
void revive_descendants(Change& change, const std::string& id) {
  std::vector<std::int64_t> taken_along;
  {
    Rows rows = change.connection().query("SELECT number FROM job WHERE fault_of = ? ORDER BY number", id);
    while (rows.next()) taken_along.push_back(rows.integer(0));
  }
  for (const std::int64_t number : taken_along) {  // an ancestor comes before its descendants
    const Row before = change.row(number);
    const std::string fault = fault_among_parents(change, number);
    if (fault.empty()) {
      set_back(change, before);
      continue;
    }
    Row row = before;
    row.fault_of = fault;
    row.error = cancelled_by(fault);
    change.save(before, row);
  }
}

}  // namespace

std::string cancelled_by(const std::string& fault) {
  return fmt::format("it waits for job {}, which did not succeed; see why, then retry that one", fault);
}

std::string fault_among_parents(Change& change, std::int64_t number) {
  for (const std::int64_t parent : parents(change, number)) {
    const Row row = change.row(parent);
    if (row.state == JobState::failed || row.state == JobState::cancelled)
      return row.fault_of ? *row.fault_of : change.id_of(parent);
  }
  return "";
}

void cancel_descendants(Change& change, std::int64_t number) {
  const std::string fault = change.id_of(number);
  std::deque<std::int64_t> pending{number};
  for (; !pending.empty(); pending.pop_front())
    for (const std::int64_t child : children(change, pending.front())) {
      const Row row = change.row(child);
      if (is_final(row.state)) continue;
      cancel_now(change, row, cancelled_by(fault), fault);
      pending.push_back(child);
    }
}

void release_children(Change& change, std::int64_t number) {
  for (const std::int64_t child : children(change, number)) {
    const Row before = change.row(child);
    Row row = before;
    --row.blockers;
    if (row.state == JobState::waiting && !row.due_us) change.let_go(row);
    change.save(before, row);
  }
}

void raise_ancestors(Change& change, std::int64_t number, Priority priority) {
  std::deque<std::int64_t> pending{number};
  for (; !pending.empty(); pending.pop_front())
    for (const std::int64_t parent : parents(change, pending.front())) {
      const Row before = change.row(parent);
      if (before.priority <= priority || before.published) continue;
      Row row = before;
      row.priority = priority;
      change.save(before, row);
      pending.push_back(parent);
    }
}

void cancel(Change& change, const std::string& id, const std::string& why) {
  const std::int64_t number = require_job(change, id);
  const Row before = change.row(number);
  if (is_final(before.state)) return;
  if (before.state == JobState::running) {
    Row row = before;
    row.cancel_asked = true;
    row.cancel_why = why;
    change.save(before, row);
    return;
  }
  cancel_now(change, before, why, std::nullopt);
  cancel_descendants(change, number);
}

void retry(Change& change, const std::string& id) {
  const std::int64_t number = require_job(change, id);
  const Row row = change.row(number);
  if (row.state != JobState::failed && row.state != JobState::cancelled)
    throw Error(ErrorCode::usage, fmt::format("job {} is {}; only what failed or was cancelled can be retried", id,
                                              to_string(row.state)));
  const std::string fault = row.fault_of ? *row.fault_of : fault_among_parents(change, number);
  if (!fault.empty())
    throw Error(ErrorCode::usage,
                fmt::format("job {} waits for job {}, which did not succeed; retry that one", id, fault));
  set_back(change, row);
  revive_descendants(change, id);
}

}  // namespace kiban::engine
