#include "engine/worker/batcher.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_map>
#include <utility>

namespace kiban::engine {
namespace {

/// What a batch takes, one job after another.
struct Load {
  int jobs = 0;
  std::size_t host_bytes = 0, device_bytes = 0;
  double seconds = 0;

  Load with(const Batchable& job) const {
    return {jobs + 1, host_bytes + job.host_bytes, device_bytes + job.device_bytes, seconds + job.expected_s};
  }
  bool within(const BatchLimits& limits) const {
    return jobs <= limits.most_jobs && (limits.host_bytes == 0 || host_bytes <= limits.host_bytes) &&
           (limits.device_bytes == 0 || device_bytes <= limits.device_bytes) && seconds <= limits.most_seconds;
  }
};

}  // namespace

/// Jobs of one key, or one that has none, and which of them would go now.
struct Batcher::Group {
  std::vector<std::list<Batchable>::const_iterator> jobs;   ///< in the order of arrival
  std::vector<std::list<Batchable>::const_iterator> batch;  ///< the most urgent first
  std::int64_t oldest_us = 0;
  bool full = false;  ///< or has nothing to wait for

  /// A job that is too large for any limit goes alone.
  void compose(const BatchLimits& limits) {
    oldest_us = (*std::ranges::min_element(jobs, {}, [](auto job) { return job->arrived_us; }))->arrived_us;
    batch = jobs;
    std::ranges::stable_sort(batch, {}, [](auto job) { return job->priority; });
    Load load;
    std::size_t taken = 0;
    while (taken < batch.size() && (taken == 0 || load.with(*batch[taken]).within(limits)))
      load = load.with(*batch[taken++]);
    const bool more = taken < batch.size();
    batch.resize(taken);
    const Batchable& last = *batch.back();
    full = more || !load.with(last).within(limits) || last.batch_key.empty() || batch[0]->priority == Priority::stat;
  }
};

Batcher::Batcher(const BatchLimits& limits) : limits_(limits) {}

void Batcher::add(const Batchable& job) { jobs_.push_back(job); }

bool Batcher::remove(const std::string& token) {
  return std::erase_if(jobs_, [&](const Batchable& job) { return job.token == token; }) > 0;
}

std::vector<Batcher::Group> Batcher::groups() const {
  std::vector<Group> groups;
  std::unordered_map<std::string, std::size_t> of_key;
  for (auto job = jobs_.begin(); job != jobs_.end(); ++job) {
    const bool is_new = job->batch_key.empty() || of_key.try_emplace(job->batch_key, groups.size()).second;
    if (is_new) groups.emplace_back();
    (is_new ? groups.back() : groups[of_key.at(job->batch_key)]).jobs.push_back(job);
  }
  for (Group& group : groups) group.compose(limits_);
  return groups;
}

std::vector<std::string> Batcher::next(std::int64_t now_us, bool flush) {
  const std::vector<Group> groups = this->groups();
  const Group* chosen = nullptr;
  const auto order = [](const Group& group) {
    const auto oldest = std::ranges::min_element(group.batch, {}, [](auto job) { return job->arrived_us; });
    return std::pair(group.batch[0]->priority, (*oldest)->arrived_us);
  };
  for (const Group& group : groups) {
    const bool ready =
        flush || group.full || static_cast<double>(now_us - group.oldest_us) >= 1e6 * limits_.max_delay_s;
    if (ready && (!chosen || order(group) < order(*chosen))) chosen = &group;
  }
  std::vector<std::string> tokens;
  if (!chosen) return tokens;
  for (const auto& job : chosen->jobs) {
    if (std::ranges::find(chosen->batch, job) == chosen->batch.end()) continue;
    tokens.push_back(job->token);
    jobs_.erase(job);
  }
  return tokens;
}

std::optional<std::int64_t> Batcher::next_due_us() const {
  constexpr double kNever = 1e9;  // seconds: a delay as long as that is no date
  std::optional<std::int64_t> due;
  if (limits_.max_delay_s > kNever) return due;
  const auto delay_us = static_cast<std::int64_t>(std::ceil(1e6 * limits_.max_delay_s));
  for (const Group& group : groups())
    if (!group.full) due = std::min(due.value_or(group.oldest_us + delay_us), group.oldest_us + delay_us);
  return due;
}

}  // namespace kiban::engine
