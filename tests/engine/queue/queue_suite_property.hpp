#pragma once
#include <random>

#include "tests/engine/queue/queue_model.hpp"
#include "tests/engine/queue/queue_suite.hpp"

/// Random operations, right and wrong ones, on a store and on the model; after each both say the same of every job.
namespace kiban::engine::test {

class QueueProperty : public QueueSuite {
 protected:
  void start(std::uint32_t seed) {
    random_.seed(seed);
    model_ = {};
    leases_.clear();
    model_.settings.most_running_of_submitter = seed % 3 == 0 ? 2 : 0;
    model_.settings.most_lost_leases = 3;
    stand_ = GetParam()();
    queue_ = stand_->open(clock_);
    queue_->change_settings(model_.settings);
  }

  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  std::string any_job() {
    if (model_.jobs.empty()) return "none";
    return std::next(model_.jobs.begin(), pick(static_cast<int>(model_.jobs.size())))->first;
  }
  Lease any_lease() {
    if (leases_.empty() || pick(20) == 0) return {any_job(), std::string(32, 'a')};
    const int newest = static_cast<int>(leases_.size());
    return leases_[static_cast<std::size_t>(pick(3) ? std::max(0, newest - 1 - pick(8)) : pick(newest))];
  }

  void some_submission() {
    Submission submission = request(pick(2) ? "alice" : "bob", static_cast<Priority>(pick(kPriorities)));
    for (int parents = pick(3); parents > 0 && !model_.jobs.empty(); --parents) submission.after.push_back(any_job());
    if (pick(3) == 0) submission.outputs = {{"volume", "/out/" + std::to_string(pick(6))}};
    if (model_.refuses(submission)) {
      refusal([&] { submit(submission); });
      return;
    }
    model_.submit(submit(submission), submission);
  }

  void some_claim() {
    const int most = 1 + pick(4);
    const std::vector<Claim> claims = queue_->claim({"w", most, {}});
    for (const Claim& each : claims) {
      ASSERT_EQ(model_.next(model_.jobs.at(each.job.id).priority), each.job.id);
      model_.claim(each.job.id, each.lease.token);
      leases_.push_back(each.lease);
    }
    if (static_cast<int>(claims.size()) == most) return;
    for (int priority = 0; priority < kPriorities; ++priority)
      EXPECT_EQ(model_.next(static_cast<Priority>(priority)), "");
  }

  void some_finish() {
    const Lease lease = any_lease();
    const auto kind = static_cast<Outcome::Kind>(pick(6));
    EXPECT_EQ(finish(lease, kind, pick(3)), model_.holds(lease));
    model_.finish(lease, kind);
  }

  void some_heartbeat() {
    const Lease lease = any_lease();
    const LeaseAnswer answer = beat(lease);
    if (!model_.holds(lease)) {
      EXPECT_EQ(answer, LeaseAnswer::lost);
      return;
    }
    QueueModel::Job& job = model_.jobs.at(lease.job);
    EXPECT_EQ(answer, job.cancel_asked ? LeaseAnswer::cancel_asked : LeaseAnswer::held);
    job.lease_until = model_.now + model_.settings.lease_s;
  }

  void some_time() {
    const double seconds = pick(3) ? pick(10) : pick(70);
    clock_.pass(seconds);
    model_.now += seconds;
    clock_.wall += (pick(3) - 1) * 3'600'000'000LL;
    const bool rebooted = pick(15) == 0;
    if (rebooted) clock_.id += "+", clock_.boot = pick(1000) * 1'000'000LL;
    if (pick(4) == 0) reopen();
    queue_->tend();
    std::vector<std::string> lost;
    for (const auto& [id, job] : model_.jobs)
      if (job.state == JobState::running && (rebooted || job.lease_until <= model_.now)) lost.push_back(id);
    for (const std::string& id : lost) model_.lose(id);
    for (auto& [id, job] : model_.jobs) {
      if (!job.earliest) continue;
      // Between the two the jitter decides, and the model believes it.
      bool passed = rebooted || *job.latest <= model_.now;
      if (!passed && *job.earliest <= model_.now)
        passed = job.state == JobState::waiting ? state(id) != JobState::waiting : offered(id);
      if (!passed) continue;
      job.earliest.reset(), job.latest.reset();
      if (job.state == JobState::waiting) model_.let_go(job);
    }
  }
  bool offered(const std::string& id) {
    return std::ranges::any_of(queue_->unpublished(1000), [&](const Job& job) { return job.id == id; });
  }

  void some_publication() {
    if (model_.jobs.empty()) return;
    const std::string id = any_job();
    const bool failed = pick(3) == 0;
    queue_->published(id, failed ? "no" : "");
    model_.publish(id, failed);
  }

  void some_change() {
    if (model_.jobs.empty()) return;
    const std::string id = any_job();
    if (pick(2)) {
      queue_->cancel(id, "why");
      model_.cancel(id);
    } else if (QueueModel(model_).retry(id)) {
      queue_->retry(id);
      model_.retry(id);
    } else {
      refusal([&] { queue_->retry(id); });
    }
  }

  void step() {
    const int choice = pick(20);
    if (choice < 5) return some_submission();
    if (choice < 8) return some_claim();
    if (choice < 12) return some_finish();
    if (choice < 13) return some_heartbeat();
    if (choice < 15) return some_time();
    if (choice < 18) return some_publication();
    some_change();
  }

  void expect_equal() {
    const std::vector<Job> jobs = queue_->list({.most = 10000});
    ASSERT_EQ(jobs.size(), model_.jobs.size());
    std::map<JobState, std::int64_t> states;
    std::map<std::pair<Priority, JobState>, std::int64_t> live;
    std::int64_t unpublished = 0;
    for (const Job& job : jobs) {
      const QueueModel::Job& expected = model_.jobs.at(job.id);
      ASSERT_EQ(job.state, expected.state) << job.id;
      ASSERT_EQ(job.priority, expected.priority) << job.id;
      ASSERT_EQ(job.attempts, expected.attempts) << job.id;
      ASSERT_EQ(job.lost_leases, expected.lost) << job.id;
      ASSERT_EQ(job.fault_of, expected.fault) << job.id;
      ASSERT_EQ(job.published, expected.published) << job.id;
      if (job.state == JobState::running) {
        ASSERT_EQ(job.token, expected.token) << job.id;
      }
      ++states[job.state];
      ++live[{job.priority, job.state}];
      unpublished += job.state == JobState::succeeded && !job.published;
    }
    const QueueCounts counts = queue_->counts();
    EXPECT_EQ(counts.succeeded, states[JobState::succeeded]);
    EXPECT_EQ(counts.failed, states[JobState::failed]);
    EXPECT_EQ(counts.cancelled, states[JobState::cancelled]);
    EXPECT_EQ(counts.unpublished, unpublished);
    for (int i = 0; i < kPriorities; ++i) {
      const auto priority = static_cast<Priority>(i);
      const ClassCounts& each = counts.classes[static_cast<std::size_t>(i)];
      ASSERT_EQ(each.waiting, (live[{priority, JobState::waiting}]));
      ASSERT_EQ(each.queued, (live[{priority, JobState::queued}]));
      ASSERT_EQ(each.running, (live[{priority, JobState::running}]));
    }
  }

  std::mt19937 random_;
  QueueModel model_;
  std::vector<Lease> leases_;
};

TEST_P(QueueProperty, DoesWhatTheModelDoes) {
  for (std::uint32_t seed = 1; seed <= 24; ++seed) {
    start(seed);
    for (int i = 0; i < 250; ++i) {
      step();
      expect_equal();
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << i;
    }
  }
}

}  // namespace kiban::engine::test
