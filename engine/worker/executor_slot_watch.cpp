#include <fmt/format.h>

#include <algorithm>

#include "engine/worker/executor_slot.hpp"

// What an executor is killed for.
namespace kiban::engine {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kStartPatience = 120 * kSecond;  // the first use of a GPU's driver can take long
constexpr std::int64_t kStopPatience = 30 * kSecond;    // from a request to cancel

double largest_timeout(const std::vector<HeldJob*>& jobs) {
  double largest = 0;
  for (const HeldJob* job : jobs) largest = std::max(largest, job->assignment.submission.timeout_s);
  return largest;
}

/// A timeout of years must not overflow.
bool longer_than(double seconds, std::int64_t microseconds) {
  return static_cast<double>(microseconds) * 1e-6 > seconds;
}

}  // namespace

void ExecutorSlot::kill(Cause cause, Jobs suspects, std::string sentence) {
  kill_ = Kill{cause, std::move(suspects), std::move(sentence)};
  constexpr const char* kNames[] = {"crash", "lease", "cancel", "timeout", "memory"};
  log_.write("executor_killed", {{"code", kNames[static_cast<int>(cause)]}, {"jobs", handed_.size()}});
  process_->kill();
}

void ExecutorSlot::watch() {
  const std::int64_t now = clock_.boot_us();
  for (HeldJob* job : waiting_) job->lost |= job->deadline_us <= now;
  if (!process_ || kill_) return;
  if (!ready_) {
    if (now - started_us_ > kStartPatience) process_->kill();
    return;
  }
  if (!watch_leases(now) && !watch_times(now)) watch_memory();
}

bool ExecutorSlot::watch_leases(std::int64_t now) {
  bool in_hands = false, heedless = false;
  for (HeldJob* job : handed_) {
    if (job->deadline_us <= now && !job->lost) {
      job->lost = true;
      log_.job("lost", job->assignment.job, {{"stage", job->stage}});
      in_hands |= job->in_hands();
      stop(*job);
    }
    heedless |= job->asked_to_stop_us && now - job->asked_to_stop_us > kStopPatience;
  }
  if (in_hands)
    kill(Cause::deadline);
  else if (heedless)
    kill(Cause::heedless);
  return in_hands || heedless;
}

bool ExecutorSlot::watch_times(std::int64_t now) {
  const auto sentence = [](double timeout_s) { return fmt::format("ran longer than its timeout of {} s", timeout_s); };
  Jobs computing = handed_in(HeldJob::Phase::computing, HeldJob::Phase::computing);
  Jobs opened = handed_in(HeldJob::Phase::opened, HeldJob::Phase::leaving);
  Jobs& suspects = computing.empty() ? opened : computing;
  if (suspects.empty()) return false;
  // The device has its time from when it was last given something, or rid of something: jobs that run one after the
  // other within a batch each have theirs. While nothing computes, only silence says that a disk hangs.
  const std::int64_t since = computing.empty() ? heard_us_ : device_changed_us_;
  const double timeout = largest_timeout(suspects);
  if (!longer_than(timeout, now - since)) return false;
  kill(Cause::timeout, std::move(suspects), sentence(timeout));
  return true;
}

void ExecutorSlot::watch_memory() {
  if (terms_.most_bytes == 0 || process_->resident_bytes() <= terms_.most_bytes) return;
  kill(Cause::memory, {},
       fmt::format("took more than {:.3g} GiB of memory", static_cast<double>(terms_.most_bytes) / (1 << 30)));
}

}  // namespace kiban::engine
