#include <algorithm>

#include "engine/queue/identifier.hpp"
#include "engine/queue/sqlite_change.hpp"

namespace kiban::engine {
namespace {

/// Device seconds that a job of an operation has taken lately; none for one that is new, set right when it finishes: a
/// charge that is too high advances the virtual time, and is not made good for those who wait.
double expected_seconds(Change& change, const std::string& operation) {
  constexpr double unknown = 0;
  Rows rows = change.connection().query("SELECT seconds FROM cost WHERE operation = ?", operation);
  return rows.next() ? rows.real(0) : unknown;
}

std::int64_t lease_end(const Change& change) {
  return change.boot_us() + static_cast<std::int64_t>(change.settings().lease_s * 1e6);
}

double fraction_of(const Heartbeat& beat) { return beat.fraction >= 0 ? std::min(beat.fraction, 1.0) : 0; }

Job job_of(Change& change, std::int64_t number) {
  static const std::string sql =
      "SELECT " + kRowColumns + ", " + kRequestColumns + " FROM job JOIN request USING (number) WHERE job.number = ?";
  Rows rows = change.connection().query(sql, number);
  if (!rows.next()) {
    change.connection().condemn("the head of a lane is not a job");
    change.connection().require_sound();
  }
  return read_job(change.connection(), rows);
}

Claim take(Change& change, std::int64_t number, const ClaimTerms& terms) {
  const Row before = change.row(number);
  if (before.state != JobState::queued) {
    change.connection().condemn("the head of a lane is not queued");
    change.connection().require_sound();
  }
  Claim claim;
  claim.job = job_of(change, number);
  claim.lease = {claim.job.id, random_token()};
  claim.deadline_us = lease_end(change);
  Row row = before;
  row.state = JobState::running;
  row.token = claim.lease.token;
  row.lease_boot = change.boot();
  row.lease_until = claim.deadline_us;
  row.worker = terms.worker;
  row.stage.clear();
  row.fraction = 0;
  row.started_us = change.wall_us();
  change.charge(row, expected_seconds(change, claim.job.submission.operation) + kClaimSeconds, !terms.only);
  change.save(before, row);
  claim.job.state = row.state;
  claim.job.token = row.token;
  claim.job.worker = row.worker;
  claim.job.stage.clear();
  claim.job.fraction = 0;
  claim.job.started_us = row.started_us;
  return claim;
}

std::optional<std::int64_t> next_head(Change& change, const ClaimTerms& terms) {
  if (terms.only) return change.head(*terms.only);
  for (const Priority priority : change.turns())
    if (const std::optional<std::int64_t> number = change.head(priority)) return number;
  return std::nullopt;
}

}  // namespace

std::vector<Claim> claim(Change& change, const ClaimTerms& terms) {
  std::vector<Claim> claims;
  while (!change.paused() && std::cmp_less(claims.size(), terms.most)) {
    const std::optional<std::int64_t> number = next_head(change, terms);
    if (!number) break;
    claims.push_back(take(change, *number, terms));
  }
  return claims;
}

std::vector<HeartbeatAnswer> heartbeat(Change& change, const std::vector<Heartbeat>& beats) {
  std::vector<HeartbeatAnswer> answers;
  for (const Heartbeat& beat : beats) {
    HeartbeatAnswer answer;
    const std::int64_t until = lease_end(change);
    const std::optional<std::int64_t> number = change.number_of(beat.lease.job);
    if (number && change.connection().change("UPDATE job SET lease_boot=?, lease_until=?, stage=?, fraction=? WHERE "
                                             "number = ? AND state = 2 AND lease_token = ?",
                                             change.boot(), until, beat.stage, fraction_of(beat), *number,
                                             beat.lease.token) > 0) {
      answer.answer = change.row(*number).cancel_asked ? LeaseAnswer::cancel_asked : LeaseAnswer::held;
      answer.deadline_us = until;
    }
    answers.push_back(answer);
  }
  return answers;
}

}  // namespace kiban::engine
