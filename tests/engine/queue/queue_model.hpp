#pragma once
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/queue/queue.hpp"

namespace kiban::engine::test {

/// What a queue should do, said as simply as possible: everything in memory, everything found by looking at all jobs.
/// Knows nothing of which class goes next; of that the order suite knows.
class QueueModel {
 public:
  struct Job {
    Submission submission;
    Priority priority = Priority::routine;
    JobState state = JobState::queued;
    int attempts = 0, lost = 0, backoffs = 0;
    std::string token, fault;
    std::optional<double> earliest, latest;  ///< boot seconds between which a back-off passes
    double lease_until = 0;
    bool cancel_asked = false, published = false;
  };
  using Kind = Outcome::Kind;

  std::map<std::string, Job> jobs;  ///< ids are in the order of submission
  QueueSettings settings;
  double now = 0;

  bool blocked(const Job& job) const {
    return std::ranges::any_of(job.submission.after, [&](const std::string& id) { return !jobs.at(id).published; });
  }
  std::string fault_above(const Job& job) const {
    for (const std::string& id : parents(job)) {
      const Job& parent = jobs.at(id);
      if (parent.state == JobState::failed || parent.state == JobState::cancelled)
        return parent.fault.empty() ? id : parent.fault;
    }
    return "";
  }
  static std::set<std::string> parents(const Job& job) {
    return {job.submission.after.begin(), job.submission.after.end()};
  }
  std::set<std::string> paths(const Submission& submission) const {
    std::set<std::string> found;
    for (const auto& [port, path] : submission.outputs) found.insert(path);
    return found;
  }
  bool paths_taken(const std::string& but, const Submission& submission) const {
    for (const auto& [id, job] : jobs) {
      const bool live = !is_final(job.state) || (job.state == JobState::succeeded && !job.published);
      if (!live || id == but) continue;
      for (const std::string& path : paths(submission))
        if (paths(job.submission).contains(path)) return true;
    }
    return false;
  }

  /// Whether it must be refused.
  bool refuses(const Submission& submission) const {
    Job job;
    job.submission = submission;
    return fault_above(job).empty() && paths_taken("", submission);
  }
  void submit(const std::string& id, const Submission& submission) {
    Job& job = jobs[id];
    job.submission = submission;
    job.priority = submission.priority;
    job.fault = fault_above(job);
    if (job.fault.empty())
      let_go(job);
    else
      job.state = JobState::cancelled;
    raise(job, job.priority);
  }
  void raise(const Job& job, Priority priority) {
    for (const std::string& id : parents(job)) {
      Job& parent = jobs.at(id);
      if (parent.published) continue;
      parent.priority = std::min(parent.priority, priority);
      raise(parent, priority);
    }
  }
  void let_go(Job& job) {
    job.earliest.reset(), job.latest.reset();
    job.state = blocked(job) ? JobState::waiting : JobState::queued;
  }

  bool may_run(const Job& job) const {
    if (job.state != JobState::queued) return false;
    const auto running = std::ranges::count_if(jobs, [&](const auto& each) {
      return each.second.state == JobState::running && each.second.submission.submitter == job.submission.submitter;
    });
    return settings.most_running_of_submitter == 0 || running < settings.most_running_of_submitter;
  }
  /// The one of this class that goes next, "" where none does.
  std::string next(Priority priority) const {
    for (const auto& [id, job] : jobs)
      if (job.priority == priority && may_run(job)) return id;
    return "";
  }
  void claim(const std::string& id, const std::string& token) {
    Job& job = jobs.at(id);
    job.state = JobState::running;
    job.token = token;
    job.lease_until = now + settings.lease_s;
  }
  bool holds(const Lease& lease) const {
    const auto found = jobs.find(lease.job);
    return found != jobs.end() && found->second.state == JobState::running && found->second.token == lease.token;
  }

  void end(const std::string& id, JobState state) {
    Job& job = jobs.at(id);
    job.state = state;
    job.earliest.reset(), job.latest.reset();
    if (state == JobState::succeeded) job.published = job.submission.outputs.empty();
    if (job.published) release();
    if (state == JobState::failed || state == JobState::cancelled) cancel_below(id, id);
  }
  void cancel_below(const std::string& id, const std::string& fault) {
    for (auto& [child_id, child] : jobs)
      if (parents(child).contains(id) && !is_final(child.state)) {
        child.state = JobState::cancelled;
        child.fault = fault;
        cancel_below(child_id, fault);
      }
  }
  void release() {
    for (auto& [id, job] : jobs)
      if (job.state == JobState::waiting && !job.earliest) let_go(job);
  }
  void back_off(Job& job) {
    const double seconds = std::min(settings.first_backoff_s * std::exp2(job.backoffs++), settings.most_backoff_s);
    job.state = job.state == JobState::succeeded ? job.state : JobState::waiting;
    job.earliest = now + 0.75 * seconds - 1e-3;
    job.latest = now + 1.25 * seconds + 1e-3;
  }

  void finish(const Lease& lease, Kind kind) {
    if (!holds(lease)) return;
    Job& job = jobs.at(lease.job);
    if (kind == Kind::succeeded) {
      job.backoffs = 0;
      return end(lease.job, JobState::succeeded);
    }
    job.token.clear();
    if (kind == Kind::failed) {
      ++job.attempts;
      end(lease.job, JobState::failed);
    } else if (kind == Kind::cancelled || job.cancel_asked) {
      end(lease.job, JobState::cancelled);
    } else if (kind == Kind::may_pass && ++job.attempts >= settings.most_attempts) {
      end(lease.job, JobState::failed);
    } else if (kind == Kind::given_back) {
      let_go(job);
    } else {
      back_off(job);
    }
  }
  void lose(const std::string& id) {
    Job& job = jobs.at(id);
    job.token.clear();
    ++job.lost;
    if (job.cancel_asked)
      end(id, JobState::cancelled);
    else if (job.lost >= settings.most_lost_leases)
      end(id, JobState::failed);
    else
      let_go(job);
  }
  void publish(const std::string& id, bool failed) {
    Job& job = jobs.at(id);
    if (job.state != JobState::succeeded || job.published) return;
    if (failed) return back_off(job);
    job.published = true;
    job.earliest.reset(), job.latest.reset();
    release();
  }

  void cancel(const std::string& id) {
    Job& job = jobs.at(id);
    if (job.state == JobState::running)
      job.cancel_asked = true;
    else if (!is_final(job.state))
      end(id, JobState::cancelled);
  }
  /// Whether it was done; where not, it must be refused.
  bool retry(const std::string& id) {
    const QueueModel before = *this;
    const auto refused = [&] {
      *this = before;
      return false;
    };
    Job& job = jobs.at(id);
    if (job.state != JobState::failed && job.state != JobState::cancelled) return refused();
    if (!job.fault.empty() || !fault_above(job).empty()) return refused();
    if (!set_back(id)) return refused();
    for (auto& [other, below] : jobs) {
      if (below.fault != id) continue;
      below.fault = fault_above(below);
      if (below.fault.empty() && !set_back(other)) return refused();
    }
    return true;
  }
  bool set_back(const std::string& id) {
    Job& job = jobs.at(id);
    if (paths_taken(id, job.submission)) return false;
    job.attempts = job.lost = job.backoffs = 0;
    job.cancel_asked = false;
    let_go(job);
    return true;
  }
};

}  // namespace kiban::engine::test
