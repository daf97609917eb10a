#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/queue/sqlite_change.hpp"

namespace kiban::engine {
namespace {

using Kind = Outcome::Kind;

void end(const Change& change, Row& row, JobState state) {
  row.state = state;
  row.finished_us = change.wall_us();
  row.due_boot.reset();
  row.due_us.reset();
}

/// Waits for a back-off; nothing blocks it but time.
void wait(Change& change, Row& row) {
  row.state = JobState::waiting;
  change.back_off(row);
}

void may_pass(Change& change, Row& row) {
  if (++row.attempts >= change.settings().most_attempts)
    end(change, row, JobState::failed);
  else
    wait(change, row);
}

/// What becomes of a job whose attempt ends like this.
Row after(Change& change, const Row& before, const Outcome& outcome, double seconds) {
  Row row = before;
  row.lease_boot.reset();
  row.lease_until.reset();
  row.error_code = outcome.error_code ? std::optional(static_cast<int>(*outcome.error_code)) : std::nullopt;
  row.error = outcome.error;
  if (outcome.kind == Kind::succeeded) {
    end(change, row, JobState::succeeded);
    row.error_code.reset();
    row.error.clear();
    row.backoffs = 0;
    row.fraction = 1;
    row.device_seconds = seconds;
    row.result = outcome.result;
    row.published = !row.outputs;
    return row;
  }
  row.token.clear();
  if (outcome.kind == Kind::failed) {
    ++row.attempts;
    end(change, row, JobState::failed);
  } else if (outcome.kind == Kind::cancelled || row.cancel_asked) {
    end(change, row, JobState::cancelled);
    if (row.cancel_asked) row.error = row.cancel_why;
    row.error_code.reset();
  } else if (outcome.kind == Kind::may_pass) {
    may_pass(change, row);
  } else if (outcome.kind == Kind::postponed) {
    wait(change, row);
  } else {
    row.error_code = before.error_code;
    row.error = before.error;
    change.let_go(row);
  }
  return row;
}

/// A running mean that follows the last few dozen jobs.
void learn_cost(Change& change, std::int64_t number, double seconds) {
  change.connection().change(
      "INSERT INTO cost SELECT operation, ?2, 1 FROM request WHERE number = ?1 ON CONFLICT (operation) DO UPDATE SET "
      "jobs = min(jobs + 1, 32), seconds = seconds + (?2 - seconds) / min(jobs + 1, 32)",
      number, seconds);
}

void follow(Change& change, const Row& row) {
  if (!is_final(row.state)) return;
  change.count_finished();
  if (row.state != JobState::succeeded) {
    free_outputs(change, row);
    cancel_descendants(change, row.number);
  } else if (row.published) {
    release_children(change, row.number);
  }
}

bool finish_one(Change& change, const Outcome& outcome) {
  const std::optional<std::int64_t> number = change.number_of(outcome.lease.job);
  if (!number) return false;
  const bool measured = std::isfinite(outcome.device_seconds) && outcome.device_seconds > 0;
  const double seconds = measured ? outcome.device_seconds : 0;
  const Row before = change.row(*number);
  Row row = after(change, before, outcome, seconds);
  row.charged = 0;
  if (!change.save(before, row, outcome.lease.token)) return false;
  Row charged = before;
  const bool never_begun = outcome.kind == Kind::given_back && seconds == 0;
  change.settle(charged, never_begun ? 0 : seconds + kClaimSeconds);
  if (outcome.kind == Kind::succeeded) learn_cost(change, *number, seconds);
  follow(change, row);
  return true;
}

void lose_lease(Change& change, std::int64_t number) {
  const Row before = change.row(number);
  Row row = before;
  row.lease_boot.reset();
  row.lease_until.reset();
  row.token.clear();
  row.charged = 0;
  ++row.lost_leases;
  if (row.cancel_asked) {
    end(change, row, JobState::cancelled);
    row.error = row.cancel_why;
  } else if (row.lost_leases >= change.settings().most_lost_leases) {
    end(change, row, JobState::failed);
    row.error_code = static_cast<int>(ErrorCode::internal);
    row.error = fmt::format("its worker went away {} times; look at the workers' logs, then retry it", row.lost_leases);
  } else {
    change.let_go(row);
  }
  change.save(before, row);
  follow(change, row);
}

std::vector<std::int64_t> numbers(Rows rows) {
  std::vector<std::int64_t> found;
  while (rows.next()) found.push_back(rows.integer(0));
  return found;
}

}  // namespace

std::vector<bool> finish(Change& change, const std::vector<Outcome>& outcomes) {
  std::vector<bool> answers;
  for (const Outcome& outcome : outcomes) answers.push_back(finish_one(change, outcome));
  return answers;
}

void tend(Change& change) {
  Connection& connection = change.connection();
  const std::int64_t boot = change.boot(), now = change.boot_us();
  for (const std::int64_t number :
       numbers(connection.query("SELECT number FROM job WHERE state = 2 AND (lease_boot <> ?1 OR lease_until <= ?2) "
                                "ORDER BY number",
                                boot, now)))
    lose_lease(change, number);
  for (const std::int64_t number :
       numbers(connection.query("SELECT number FROM job WHERE due_us IS NOT NULL AND due_boot < ?1 "
                                "UNION ALL SELECT number FROM job WHERE due_us IS NOT NULL AND due_boot > ?1 "
                                "UNION ALL SELECT number FROM job WHERE due_boot = ?1 AND due_us <= ?2",
                                boot, now))) {
    const Row before = change.row(number);
    Row row = before;
    row.due_boot.reset();
    row.due_us.reset();
    if (row.state == JobState::waiting) change.let_go(row);
    change.save(before, row);
  }
}

void published(Change& change, const std::string& id, const std::string& failure) {
  const std::int64_t number = require_job(change, id);
  const Row before = change.row(number);
  if (before.state != JobState::succeeded || before.published) return;
  Row row = before;
  row.publish_error = failure;
  if (failure.empty()) {
    row.published = true;
    row.due_boot.reset();
    row.due_us.reset();
  } else {
    change.back_off(row);
  }
  change.save(before, row);
  if (!row.published) return;
  free_outputs(change, row);
  release_children(change, number);
}

}  // namespace kiban::engine
