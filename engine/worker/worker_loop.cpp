#include <poll.h>

#include <algorithm>

#include "engine/fault_point.hpp"
#include "engine/worker/worker_state.hpp"

// The loop of a worker. It goes round at least every 5 ms, and whenever an executor tells something: what has come in
// while the disk was flushed goes into one transaction, so that under load groups grow by themselves.
namespace kiban::engine {
namespace {

constexpr int kPoll_ms = 5;
constexpr std::int64_t kMillisecond = 1'000, kSecond = 1'000'000;
constexpr std::int64_t kLookAnyway = 250 * kMillisecond;  // somebody else may share our connection: no change is seen

const char* name_of(Outcome::Kind kind) {
  constexpr const char* kNames[] = {"succeeded", "failed", "may_pass", "postponed", "given_back", "cancelled"};
  return kNames[static_cast<int>(kind)];
}

/// A job that may have killed an executor, or the worker with all its executors, is given to one that has nothing else.
bool must_run_alone(const Job& job) {
  const bool broke_something = job.error_code == ErrorCode::internal || job.error_code == ErrorCode::device;
  return (job.attempts > 0 && broke_something) || job.lost_leases >= 2;
}

}  // namespace

void Worker::State::wait_for_news() {
  std::vector<pollfd> watched;
  {
    const std::lock_guard lock(mutex);
    for (const auto& slot : slots) {
      if (const ExecutorProcess* process = slot->process())
        watched.push_back(
            {process->descriptor(), static_cast<short>(process->has_unsent() ? POLLIN | POLLOUT : POLLIN), 0});
    }
  }
  poll(watched.data(), watched.size(), kPoll_ms);
}

void Worker::State::exchange_with_executors() {
  const std::lock_guard lock(mutex);
  for (const auto& slot : slots) {
    slot->receive();
    slot->step();
  }
}

/// With the lock held, from within a slot.
void Worker::State::on_ended(HeldJob& job, Outcome outcome) {
  fault_point("worker.ended");
  const Assignment& assignment = job.assignment;
  const bool has_outputs = !assignment.submission.outputs.empty();
  nlohmann::json fields = {{"outcome", job.lost ? "lost" : name_of(outcome.kind)}, {"seconds", outcome.device_seconds}};
  if (outcome.error_code) fields["code"] = static_cast<int>(*outcome.error_code);
  log.job("ended", assignment.job, fields);
  if (allowance) allowance->charge(assignment.priority, outcome.device_seconds, clock.boot_us());
  if (job.lost) {
    if (has_outputs) discarded.push_back(assignment.folder);
    held.erase(std::string(assignment.token));
    return;
  }
  outcome.lease = {assignment.job, assignment.token};
  outcome.result =
      outcome.kind == Outcome::Kind::succeeded && has_outputs ? assignment.job + "/" + assignment.token : "";
  ended.push_back(std::move(outcome));
}

/// A queue that cannot be written is told later, and later again: what counts then is whose the token is, not how late
/// it is.
void Worker::State::commit() {
  if (ended.empty()) return;
  std::vector<bool> counted;
  if (!finishing.attempt([&] { counted = queue.finish(ended); })) return;
  fault_point("worker.finished");
  const std::vector<Outcome> told = std::exchange(ended, {});
  for (std::size_t i = 0; i < told.size(); ++i) settle(told[i], counted[i]);
  may_have_jobs = may_have_stat = true;  // a submitter may be below the cap now, a job be queued again
  tend_us = std::min(tend_us, clock.boot_us() + kSecond);
}

void Worker::State::settle(const Outcome& outcome, bool counted) {
  Assignment assignment;
  {
    const std::lock_guard lock(mutex);
    const auto found = held.find(outcome.lease.token);
    assignment = std::move(found->second.assignment);
    held.erase(found);
  }
  if (!counted) log.job("refused", assignment.job);
  if (outcome.result.empty()) {
    if (!assignment.submission.outputs.empty()) discarded.push_back(assignment.folder);
  } else if (counted) {
    publisher->add(assignment.job, assignment.folder, assignment.submission);
  } else {
    unsure.push_back(std::move(assignment));
  }
}

/// A commit whose answer was lost on the way (the disk was full just then) is a commit all the same, and its folder is
/// the result.
void Worker::State::settle_unsure() {
  if (unsure.empty()) return;
  const bool known = finishing.attempt([&] {
    while (!unsure.empty()) {
      const Assignment& last = unsure.back();
      bool committed = false;
      try {
        const Job job = queue.find(last.job);
        committed = job.state == JobState::succeeded && job.token == last.token;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::usage) throw;  // usage: the job is gone
      }
      if (!committed) discarded.push_back(last.folder);
      unsure.pop_back();  // one that is committed is found by the publisher
    }
  });
  if (!known && draining) unsure.clear();  // `prune` finds the folders
}

void Worker::State::remove_discarded() {
  for (const std::filesystem::path& folder : std::exchange(discarded, {})) {
    std::error_code ignored;                       // `prune` finds what stays
    std::filesystem::remove_all(folder, ignored);  // but not the job's above it: another attempt may just be made there
  }
}

void Worker::State::drain() {
  log.write("draining");
  const std::lock_guard lock(mutex);
  draining = true;
  for (const auto& slot : slots) slot->drain();
}

/// Drained; or nobody listens, and the leases that were held have passed.
bool Worker::State::finished() {
  if (!draining) return false;
  const std::lock_guard lock(mutex);
  const bool executors_done = std::ranges::all_of(slots, [](const auto& slot) { return slot->load() == 0; });
  const bool in_vain = finishing.error() && std::ranges::all_of(held, [&](const auto& job) {
                         return job.second.deadline_us <= clock.boot_us();
                       });
  return executors_done && ((ended.empty() && publisher->idle()) || in_vain);
}

void Worker::State::tend() {
  const std::int64_t now = clock.boot_us();
  if (now < tend_us) return;
  double due_s = 1;
  if (tending.attempt([&] { due_s = queue.tend(); })) may_have_jobs = may_have_stat = true;
  tend_us = now + static_cast<std::int64_t>(std::clamp(due_s, 0.01, 1.0) * 1e6);
}

/// A batch's worth at a time: each claim is a flush of the disk.
void Worker::State::claim() {
  const std::int64_t now = clock.boot_us();
  std::size_t room = 0, stat_ahead = 0;
  bool anybody = false;
  {
    const std::lock_guard lock(mutex);
    for (const auto& slot : slots) {
      room += slot->room();
      anybody |= slot->ready();
    }
    for (const auto& [token, job] : held)
      stat_ahead += job.assignment.priority == Priority::stat && job.phase < HeldJob::Phase::computing;
  }
  if (!anybody) return;
  claiming.attempt([&] {
    const std::int64_t change = queue.change_count();
    if (change != seen_change || now - looked_us > kLookAnyway) may_have_jobs = may_have_stat = true;
    seen_change = change;
    if (may_have_jobs || may_have_stat) looked_us = now;
    const auto batch = static_cast<std::size_t>(options.limits.most_jobs);
    if (may_have_jobs && room >= batch) {
      claim_some({options.name, static_cast<int>(room), std::nullopt});
    } else if (may_have_stat && stat_ahead < batch && allowance->more()) {  // the rest is for who has a hand free
      claim_some({options.name, static_cast<int>(batch - stat_ahead), Priority::stat});
    }
  });
}

void Worker::State::claim_some(const ClaimTerms& terms) {
  const std::vector<Claim> claims = queue.claim(terms);
  if (!claims.empty()) fault_point("worker.claimed");
  const bool all = static_cast<int>(claims.size()) < terms.most;
  if (all) may_have_stat = false;
  if (all && !terms.only) may_have_jobs = false;
  const std::lock_guard lock(mutex);
  for (const Claim& claim : claims) take(claim);
  for (const auto& slot : slots) slot->step();
}

void Worker::State::take(const Claim& claim) {
  HeldJob job;
  job.assignment = {claim.lease.job,
                    claim.lease.token,
                    claim.job.submission,
                    claim.job.priority,
                    results / claim.lease.job / claim.lease.token,
                    must_run_alone(claim.job)};
  job.deadline_us = claim.deadline_us;
  log.job("claimed", claim.lease.job, {{"class", to_string(claim.job.priority)}});
  HeldJob& kept = held.insert_or_assign(claim.lease.token, std::move(job)).first->second;
  const auto least =
      std::ranges::min_element(slots, {}, [](const auto& slot) { return std::pair(!slot->ready(), slot->load()); });
  (*least)->add(kept);
}

bool Worker::State::idle_for_long() {
  const std::int64_t now = clock.boot_us();
  if (options.exit_when_idle_s > 1e12) return false;
  if (now - asked_idle_us < 50 * kMillisecond) return false;
  asked_idle_us = now;
  if (!idle()) {
    idle_since_us = 0;
    return false;
  }
  if (idle_since_us == 0) idle_since_us = now;
  return static_cast<double>(now - idle_since_us) * 1e-6 >= options.exit_when_idle_s;
}

/// Nothing is left to do, here or elsewhere: no job waits, is queued or runs, and no result waits for its name.
bool Worker::State::idle() {
  {
    const std::lock_guard lock(mutex);
    if (!held.empty()) return false;
  }
  bool nothing = false;
  if (!publisher->idle()) return false;
  tending.attempt([&] {
    const QueueCounts counts = queue.counts();
    nothing = std::ranges::all_of(counts.classes, [](const ClassCounts& of_class) {
      return of_class.waiting + of_class.queued + of_class.running == 0;
    });
    nothing = nothing && queue.unpublished(1).empty();
  });
  return nothing;
}

}  // namespace kiban::engine
