#pragma once
#include <array>
#include <numeric>

#include "tests/engine/queue/queue_suite.hpp"

/// Who goes next: order within a class, shares between classes, caps, counts and settings.
namespace kiban::engine::test {

class QueueOrder : public QueueSuite {
 protected:
  using Shares = std::array<double, kPriorities>;
  static constexpr Priority kClasses[] = {Priority::stat, Priority::urgent, Priority::routine, Priority::research};

  void fill(Priority priority, int jobs, const std::string& submitter = "alice") {
    queue_->submit(std::vector<Submission>(static_cast<std::size_t>(jobs), request(submitter, priority)));
  }

  /// Device time by class, in percent, of `rounds` claims of `at_once` jobs that take so many seconds each.
  Shares run(int rounds, int at_once, const Shares& seconds) {
    Shares spent{};
    for (int round = 0; round < rounds; ++round) {
      std::vector<Outcome> outcomes;
      for (const Claim& each : queue_->claim({"w", at_once, {}})) {
        const auto place = static_cast<std::size_t>(each.job.priority);
        outcomes.push_back(outcome(each.lease, Kind::succeeded, seconds[place]));
        spent[place] += std::max(seconds[place], 0.001);
      }
      queue_->finish(outcomes);
    }
    const double all = std::accumulate(spent.begin(), spent.end(), 0.0);
    for (double& each : spent) each *= 100 / all;
    return spent;
  }
};

TEST_P(QueueOrder, FirstComeFirstServedWithinAClassWhoeverAsks) {
  std::vector<std::string> ids;
  for (const char* submitter : {"alice", "bob", "alice", "carol", "bob"}) ids.push_back(submit(request(submitter)));
  const Claim first = claim(), second = claim();
  EXPECT_EQ(first.job.id, ids[0]);
  EXPECT_EQ(second.job.id, ids[1]);
  EXPECT_TRUE(finish(first.lease, Kind::given_back));
  EXPECT_EQ(claim().job.id, ids[0]);  // at its old place
  EXPECT_EQ(claim().job.id, ids[2]);
  queue_->cancel(ids[3], "");
  EXPECT_EQ(claim().job.id, ids[4]);
}

TEST_P(QueueOrder, SharesHoldWhileAllClassesWait) {
  for (const Priority priority : kClasses) fill(priority, 1500);
  const Shares spent = run(130, 8, {1, 1, 1, 1});
  const Shares expected{70, 20, 7, 3};
  for (std::size_t i = 0; i < spent.size(); ++i) EXPECT_NEAR(spent[i], expected[i], 2) << i;
  const QueueCounts counts = queue_->counts();
  for (std::size_t i = 0; i < spent.size(); ++i) EXPECT_NEAR(counts.classes[i].device_share * 100, spent[i], 2) << i;
}

TEST_P(QueueOrder, SharesAreOfDeviceTimeNotOfJobs) {
  for (const Priority priority : kClasses) fill(priority, 2500);
  const Shares spent = run(400, 8, {0.5, 2, 0.25, 1});  // each class is told apart by what it took, not by a guess
  const Shares expected{70, 20, 7, 3};
  for (std::size_t i = 0; i < spent.size(); ++i) EXPECT_NEAR(spent[i], expected[i], 5) << i;
}

TEST_P(QueueOrder, SharesHoldForJobsThatCostNothing) {
  for (const Priority priority : kClasses) fill(priority, 1500);
  const Shares spent = run(130, 8, {0, 0, 0, 0});
  const Shares expected{70, 20, 7, 3};
  for (std::size_t i = 0; i < spent.size(); ++i) EXPECT_NEAR(spent[i], expected[i], 2) << i;
}

TEST_P(QueueOrder, AClassThatDoesNotWaitGivesItsShareAway) {
  fill(Priority::urgent, 1500);
  fill(Priority::research, 1500);
  const Shares spent = run(100, 8, {1, 1, 1, 1});
  EXPECT_NEAR(spent[1], 100 * 20.0 / 23, 2);
  EXPECT_NEAR(spent[3], 100 * 3.0 / 23, 2);
}

TEST_P(QueueOrder, AnIdleStatGoesNextAndIdlenessEarnsNoCredit) {
  fill(Priority::routine, 1200);
  run(50, 8, {1, 1, 1, 1});
  for (int i = 0; i < 20; ++i) {
    const std::string id = submit(request("alice", Priority::stat));
    const Claim next = claim();
    EXPECT_EQ(next.job.id, id);
    EXPECT_TRUE(finish(next.lease, Kind::succeeded, 1));
    run(1, 1, {1, 1, 1, 1});
  }
  // Research was idle all the time: it gets its share from now on, not what it missed.
  fill(Priority::research, 500);
  const Shares spent = run(50, 8, {1, 1, 1, 1});
  EXPECT_NEAR(spent[3], 30, 3);
}

TEST_P(QueueOrder, AskedForAloneAClassIsServedAtOnce) {
  fill(Priority::stat, 5);
  fill(Priority::routine, 5);
  for (const Claim& each : queue_->claim({"w", 20, Priority::routine})) EXPECT_EQ(each.job.priority, Priority::routine);
  EXPECT_EQ(queue_->counts().classes[2].running, 5);
  EXPECT_EQ(queue_->claim({"w", 20, Priority::stat}).size(), 5U);
  EXPECT_TRUE(queue_->claim({"w", 20, Priority::stat}).empty());
}

TEST_P(QueueOrder, ASubmitterRunsNoMoreAtOnceThanTheCap) {
  QueueSettings settings;
  settings.most_running_of_submitter = 2;
  queue_->change_settings(settings);
  fill(Priority::stat, 5, "greedy");
  fill(Priority::routine, 5, "greedy");
  const std::string modest = submit(request("modest"));
  const std::vector<Claim> claims = queue_->claim({"w", 20, {}});
  ASSERT_EQ(claims.size(), 3U);
  EXPECT_EQ(claims[2].job.id, modest);
  EXPECT_TRUE(finish(claims[0].lease, Kind::succeeded));
  EXPECT_EQ(queue_->claim({"w", 20, {}}).size(), 1U);
  clock_.pass(61);
  queue_->tend();
  EXPECT_EQ(queue_->claim({"w", 20, {}}).size(), 3U);
}

TEST_P(QueueOrder, APausedQueueGivesNothingOut) {
  const std::string id = submit(request());
  const std::string held = submit(request("bob", Priority::stat));
  const Claim running = claim();
  EXPECT_EQ(running.job.id, held);
  queue_->pause(true);
  EXPECT_TRUE(queue_->counts().paused);
  EXPECT_TRUE(queue_->claim({"w", 9, {}}).empty());
  submit(request());
  EXPECT_TRUE(finish(running.lease, Kind::succeeded));
  reopen();
  EXPECT_TRUE(queue_->claim({"w", 9, {}}).empty());
  queue_->pause(false);
  EXPECT_EQ(claim().job.id, id);
}

TEST_P(QueueOrder, CountsSayWhatIsThere) {
  const std::string first = submit(request());
  clock_.pass(10);
  submit(request());
  submit(after({first}));
  QueueCounts counts = queue_->counts();
  EXPECT_EQ(counts.classes[2].queued, 2);
  EXPECT_EQ(counts.classes[2].waiting, 1);
  EXPECT_DOUBLE_EQ(counts.classes[2].oldest_queued_s, 10);
  EXPECT_DOUBLE_EQ(counts.finished_per_minute, 0);
  clock_.wall -= 3'600'000'000;
  EXPECT_DOUBLE_EQ(queue_->counts().classes[2].oldest_queued_s, 0);
  fail(first);
  counts = queue_->counts();
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.cancelled, 1);
  EXPECT_DOUBLE_EQ(counts.finished_per_minute, 0.2);
  clock_.pass(11 * 60);
  EXPECT_DOUBLE_EQ(queue_->counts().finished_per_minute, 0);
}

TEST_P(QueueOrder, SettingsAreTheQueuesAndChecked) {
  QueueSettings settings;
  settings.lease_s = 7;
  settings.heartbeat_s = 2;
  settings.most_attempts = 1;
  settings.shares = {4, 3, 2, 1};
  queue_->change_settings(settings);
  reopen();
  EXPECT_EQ(queue_->settings().lease_s, 7);
  EXPECT_EQ(queue_->settings().shares, settings.shares);
  const std::string id = submit(request());
  const Claim held = claim();
  EXPECT_EQ(held.deadline_us, clock_.boot + 7'000'000);
  EXPECT_TRUE(finish(held.lease, Kind::may_pass));
  EXPECT_EQ(state(id), JobState::failed);
  const auto refused = [&](auto&& break_it) {
    QueueSettings bad;
    break_it(bad);
    refusal([&] { queue_->change_settings(bad); });
    EXPECT_EQ(queue_->settings().lease_s, 7);
  };
  refused([](QueueSettings& bad) { bad.lease_s = 0; });
  refused([](QueueSettings& bad) { bad.lease_s = bad.heartbeat_s; });
  refused([](QueueSettings& bad) { bad.lease_s = std::numeric_limits<double>::infinity(); });
  refused([](QueueSettings& bad) { bad.heartbeat_s = -1; });
  refused([](QueueSettings& bad) { bad.most_attempts = 0; });
  refused([](QueueSettings& bad) { bad.most_lost_leases = 0; });
  refused([](QueueSettings& bad) { bad.first_backoff_s = std::numeric_limits<double>::quiet_NaN(); });
  refused([](QueueSettings& bad) { bad.most_backoff_s = 1; });
  refused([](QueueSettings& bad) { bad.most_unfinished = 0; });
  refused([](QueueSettings& bad) { bad.most_running_of_submitter = -1; });
  refused([](QueueSettings& bad) { bad.shares[3] = 0; });
}

}  // namespace kiban::engine::test
