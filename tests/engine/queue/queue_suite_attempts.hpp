#pragma once
#include <cmath>
#include <limits>
#include <thread>

#include "tests/engine/queue/queue_suite.hpp"

/// What becomes of attempts: leases, fences, back-offs, cancelling, commit and publication.
namespace kiban::engine::test {

class QueueAttempts : public QueueSuite {
 protected:
  static constexpr Kind kKinds[] = {Kind::succeeded, Kind::failed,     Kind::may_pass,
                                    Kind::postponed, Kind::given_back, Kind::cancelled};

  /// Whatever a holder may say under this lease changes nothing of the queue.
  void expect_powerless(const Lease& lease, const std::string& job) {
    const std::string before = text_of(*queue_, job);
    const auto total = [this] {
      const QueueCounts counts = queue_->counts();
      return std::vector<std::int64_t>{counts.succeeded,          counts.failed,
                                       counts.cancelled,          counts.classes[2].queued,
                                       counts.classes[2].running, counts.classes[2].waiting,
                                       counts.unpublished};
    };
    const std::vector<std::int64_t> counted = total();
    for (const Kind kind : kKinds) EXPECT_FALSE(finish(lease, kind, 5)) << static_cast<int>(kind);
    EXPECT_EQ(beat(lease), LeaseAnswer::lost);
    EXPECT_EQ(text_of(*queue_, job), before);
    EXPECT_EQ(total(), counted);
  }

  /// Boot seconds until a job that waits is let go on, found by small steps.
  double waited(const std::string& id) {
    for (double seconds = 0; seconds < 1000; seconds += 0.05, clock_.pass(0.05)) {
      queue_->tend();
      if (state(id) != JobState::waiting) return seconds;
    }
    return std::numeric_limits<double>::infinity();
  }
};

TEST_P(QueueAttempts, AClaimIsARunningJobUnderATokenOfItsOwn) {
  const std::string id = submit(request());
  const Claim held = claim();
  EXPECT_EQ(held.job.id, id);
  EXPECT_EQ(held.lease.job, id);
  EXPECT_EQ(held.lease.token.size(), 32U);
  EXPECT_EQ(held.deadline_us, clock_.boot + 60'000'000);
  EXPECT_EQ(text_of(*queue_, id), to_json(held.job).dump());
  EXPECT_EQ(held.job.state, JobState::running);
  EXPECT_EQ(held.job.worker, "worker");
  EXPECT_TRUE(queue_->claim({"other", 10, {}}).empty());
  EXPECT_TRUE(queue_->claim({"other", 0, {}}).empty());
  EXPECT_TRUE(queue_->claim({"other", -1, {}}).empty());
}

TEST_P(QueueAttempts, ASuccessWithoutOutputsIsPublishedWithOutputsItWaitsForThat) {
  const std::string plain = submit(request()), writes = submit(writing("/a"));
  EXPECT_TRUE(finish(claim(plain).lease, Kind::succeeded, 1.5));
  EXPECT_TRUE(queue_->find(plain).published);
  EXPECT_EQ(queue_->find(plain).device_seconds, 1.5);
  const Claim held = claim(writes);
  EXPECT_TRUE(finish(held.lease, Kind::succeeded));
  ASSERT_EQ(queue_->unpublished(10).size(), 1U);
  const Job job = queue_->unpublished(10)[0];
  EXPECT_EQ(job.id, writes);
  EXPECT_EQ(job.token, held.lease.token);
  EXPECT_EQ(job.result, writes + "/" + held.lease.token);
  EXPECT_FALSE(job.published);
  EXPECT_EQ(queue_->counts().unpublished, 1);
  queue_->published(writes, "the folder is full");
  EXPECT_EQ(queue_->find(writes).publish_error, "the folder is full");
  EXPECT_TRUE(queue_->unpublished(10).empty());  // not before its back-off
  clock_.pass(2.6);
  queue_->tend();
  EXPECT_EQ(queue_->unpublished(10).size(), 1U);
  EXPECT_TRUE(queue_->unpublished(0).empty());
  queue_->published(writes, "");
  EXPECT_TRUE(queue_->find(writes).published);
  EXPECT_EQ(queue_->find(writes).publish_error, "");
  EXPECT_EQ(queue_->counts().unpublished, 0);
}

TEST_P(QueueAttempts, AZombieChangesNothing) {
  const std::string id = submit(request());
  const Claim zombie = claim();
  clock_.pass(61);
  queue_->tend();
  EXPECT_EQ(state(id), JobState::queued);
  expect_powerless(zombie.lease, id);  // nobody holds it
  const Claim second = claim();
  EXPECT_EQ(second.job.id, id);
  EXPECT_NE(second.lease.token, zombie.lease.token);
  expect_powerless(zombie.lease, id);  // another does
  EXPECT_EQ(beat(second.lease), LeaseAnswer::held);
  EXPECT_TRUE(finish(second.lease, Kind::succeeded));
  expect_powerless(zombie.lease, id);  // it is done
  expect_powerless(second.lease, id);  // once is enough
  EXPECT_EQ(queue_->find(id).token, second.lease.token);
}

TEST_P(QueueAttempts, OnlyTheWholeTokenOfTheRightJobCounts) {
  const std::string id = submit(request()), other = submit(request());
  const Claim held = claim();
  const Claim others = claim();
  const std::string& token = held.lease.token;
  std::string wrong = token;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const std::string& forged : {std::string(), token.substr(1), token + "0", std::string("%"),
                                    std::string("' OR 1 --"), std::string(32, '0'), wrong, others.lease.token})
    expect_powerless({id, forged}, id);
  expect_powerless({other, token}, other);
  expect_powerless({"", token}, id);
  EXPECT_TRUE(finish(held.lease, Kind::given_back));
  expect_powerless({id, ""}, id);  // nobody's token is not an empty one
  expect_powerless(held.lease, id);
}

TEST_P(QueueAttempts, AMixedListIsAnsweredInItsOrder) {
  submit(request()), submit(request()), submit(request());
  const std::vector<Claim> held = queue_->claim({"w", 3, {}});
  const Lease nobodys{held[1].job.id, std::string(32, 'f')};
  EXPECT_EQ(queue_->finish({outcome(held[0].lease, Kind::succeeded), outcome(nobodys, Kind::succeeded),
                            outcome(held[2].lease, Kind::failed), outcome(held[2].lease, Kind::failed)}),
            (std::vector<bool>{true, false, true, false}));
  const std::vector<HeartbeatAnswer> answers = queue_->heartbeat({{nobodys, "", 0}, {held[1].lease, "load", 0.25}});
  EXPECT_EQ(answers[0].answer, LeaseAnswer::lost);
  EXPECT_EQ(answers[1].answer, LeaseAnswer::held);
  EXPECT_EQ(answers[1].deadline_us, clock_.boot + 60'000'000);
  EXPECT_EQ(queue_->find(held[1].job.id).stage, "load");
  EXPECT_EQ(queue_->find(held[1].job.id).fraction, 0.25);
}

TEST_P(QueueAttempts, TheWallClockExpiresNothing) {
  const std::string id = submit(request());
  const Claim held = claim();
  for (const double hours : {1.0, -2.0, 24.0 * 365}) {
    clock_.wall += static_cast<std::int64_t>(hours * 3600e6);
    EXPECT_NEAR(queue_->tend(), 60, 1e-6);
    EXPECT_EQ(beat(held.lease), LeaseAnswer::held);
  }
  EXPECT_TRUE(finish(held.lease, Kind::may_pass));
  clock_.wall += 3'600'000'000;
  queue_->tend();
  EXPECT_EQ(state(id), JobState::waiting);
}

TEST_P(QueueAttempts, AnotherBootFreesAllLeasesAndBackOffs) {
  const std::string held = submit(request()), postponed = submit(request()), unpublished = submit(writing("/a"));
  const std::vector<Claim> claims = queue_->claim({"w", 3, {}});
  EXPECT_TRUE(finish(claims[1].lease, Kind::postponed));
  EXPECT_TRUE(finish(claims[2].lease, Kind::succeeded));
  queue_->published(unpublished, "no");
  clock_.id = "boot-2";
  clock_.boot = 5;  // it starts again from nothing
  EXPECT_EQ(queue_->unpublished(9).size(), 1U);
  EXPECT_EQ(queue_->tend(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(state(held), JobState::queued);
  EXPECT_EQ(queue_->find(held).lost_leases, 1);
  EXPECT_EQ(state(postponed), JobState::queued);
  EXPECT_EQ(queue_->find(postponed).lost_leases, 0);
  expect_powerless(claims[0].lease, held);
  EXPECT_EQ(queue_->claim({"w", 9, {}}).size(), 2U);
}

TEST_P(QueueAttempts, HeartbeatsKeepALeaseForAsLongAsTheyCome) {
  const std::string id = submit(request());
  const Claim held = claim();
  for (int i = 0; i < 20; ++i) {
    clock_.pass(59);
    EXPECT_GT(queue_->tend(), 0);
    EXPECT_EQ(beat(held.lease), LeaseAnswer::held);
  }
  clock_.pass(61);
  EXPECT_EQ(queue_->tend(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(queue_->find(id).lost_leases, 1);
  EXPECT_EQ(queue_->find(id).attempts, 0);
}

TEST_P(QueueAttempts, FiveLostLeasesFailAJob) {
  const std::string id = submit(request()), child = submit(after({id}));
  for (int i = 1; i <= 5; ++i) {
    claim(id);
    clock_.pass(61);
    queue_->tend();
    EXPECT_EQ(queue_->find(id).lost_leases, i);
    EXPECT_EQ(state(id), i < 5 ? JobState::queued : JobState::failed);
  }
  const Job job = queue_->find(id);
  EXPECT_EQ(job.error_code, ErrorCode::internal);
  EXPECT_NE(job.error, "");
  EXPECT_EQ(job.attempts, 0);
  EXPECT_EQ(queue_->find(child).fault_of, id);
  queue_->retry(id);
  EXPECT_EQ(queue_->find(id).lost_leases, 0);
}

TEST_P(QueueAttempts, OnlyWhatMayPassIsChargedAndBacksOffTwiceAsLong) {
  const std::string id = submit(request());
  for (const double expected : {2.0, 4.0}) {
    EXPECT_TRUE(finish(claim(id).lease, Kind::may_pass));
    EXPECT_EQ(state(id), JobState::waiting);
    EXPECT_TRUE(queue_->claim({"w", 1, {}}).empty());
    EXPECT_NEAR(waited(id), expected, 0.25 * expected + 0.1);
    EXPECT_EQ(queue_->find(id).error, "the device failed");
  }
  EXPECT_TRUE(finish(claim(id).lease, Kind::may_pass));
  const Job job = queue_->find(id);
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_EQ(job.attempts, 3);
  EXPECT_EQ(job.error_code, ErrorCode::device);
  queue_->retry(id);
  EXPECT_EQ(queue_->find(id).attempts, 0);
  EXPECT_EQ(queue_->find(id).error, "");
  EXPECT_TRUE(finish(claim(id).lease, Kind::may_pass));
  EXPECT_NEAR(waited(id), 2, 0.6);
}

TEST_P(QueueAttempts, PostponedAndGivenBackChargeNothing) {
  const std::string id = submit(request());
  double longest = 0;
  for (int i = 0; i < 12; ++i) {
    EXPECT_TRUE(finish(claim(id).lease, Kind::postponed));
    EXPECT_EQ(state(id), JobState::waiting);
    longest = waited(id);
    EXPECT_TRUE(finish(claim(id).lease, Kind::given_back));
    EXPECT_EQ(state(id), JobState::queued);
  }
  EXPECT_NEAR(longest, 300, 76);
  EXPECT_EQ(queue_->find(id).attempts, 0);
  EXPECT_EQ(queue_->find(id).lost_leases, 0);
  EXPECT_TRUE(finish(claim(id).lease, Kind::failed));  // bad input fails at once
  EXPECT_EQ(state(id), JobState::failed);
}

TEST_P(QueueAttempts, FiguresThatAreNoNumbersDoNoHarm) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinite = std::numeric_limits<double>::infinity();
  for (const double figure : {nan, infinite, -infinite, -1.0, 1e300}) {
    const std::string id = submit(request());
    const Claim held = claim();
    EXPECT_EQ(queue_->heartbeat({{held.lease, "compute", figure}}).at(0).answer, LeaseAnswer::held);
    EXPECT_GE(queue_->find(id).fraction, 0);
    EXPECT_LE(queue_->find(id).fraction, 1);
    EXPECT_TRUE(finish(held.lease, Kind::succeeded, figure));
    EXPECT_TRUE(std::isfinite(queue_->find(id).device_seconds));
    EXPECT_TRUE(std::isfinite(queue_->counts().classes[2].device_share));
  }
}

TEST_P(QueueAttempts, CancellingStopsAtOnceWhatDoesNotRun) {
  const std::string queued = submit(request()), running = submit(request()), waiting = submit(after({running}));
  queue_->cancel(queued, "a mistake");
  EXPECT_EQ(state(queued), JobState::cancelled);
  EXPECT_EQ(queue_->find(queued).error, "a mistake");
  queue_->cancel(queued, "again");
  EXPECT_EQ(queue_->find(queued).error, "a mistake");
  const Claim held = claim();
  EXPECT_EQ(held.job.id, running);
  EXPECT_EQ(beat(held.lease), LeaseAnswer::held);
  queue_->cancel(running, "too late");
  EXPECT_EQ(state(running), JobState::running);
  EXPECT_TRUE(queue_->find(running).cancel_asked);
  EXPECT_EQ(beat(held.lease), LeaseAnswer::cancel_asked);
  EXPECT_TRUE(finish(held.lease, Kind::cancelled));
  EXPECT_EQ(state(running), JobState::cancelled);
  EXPECT_EQ(queue_->find(running).error, "too late");
  EXPECT_EQ(queue_->find(waiting).fault_of, running);
  queue_->retry(running);
  EXPECT_FALSE(queue_->find(running).cancel_asked);
  EXPECT_EQ(state(waiting), JobState::waiting);
  succeed(running);
  queue_->cancel(running, "done already");
  EXPECT_EQ(state(running), JobState::succeeded);
}

TEST_P(QueueAttempts, WhatIsToBeCancelledIsNotRunAgain) {
  for (const Kind kind : {Kind::may_pass, Kind::postponed, Kind::given_back}) {
    const std::string id = submit(request());
    const Claim held = claim();
    queue_->cancel(id, "no");
    EXPECT_TRUE(finish(held.lease, kind));
    EXPECT_EQ(state(id), JobState::cancelled);
  }
  const std::string lost = submit(request());
  claim();
  queue_->cancel(lost, "no");
  clock_.pass(61);
  queue_->tend();
  EXPECT_EQ(state(lost), JobState::cancelled);
  const std::string quicker = submit(request());
  const Claim held = claim();
  queue_->cancel(quicker, "no");
  EXPECT_TRUE(finish(held.lease, Kind::succeeded));  // it was done before it heard of it
  EXPECT_EQ(state(quicker), JobState::succeeded);
}

TEST_P(QueueAttempts, EachJobIsGivenToOneOfEightThreads) {
  for (int i = 0; i < 10; ++i) queue_->submit(std::vector<Submission>(20, request()));
  const std::unique_ptr<Queue> second = stand_->open(clock_);
  std::vector<std::vector<Claim>> taken(8);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < taken.size(); ++i)
    threads.emplace_back([&, i] {
      Queue& queue = i % 2 ? *second : *queue_;
      for (std::vector<Claim> claims = queue.claim({"w", 3, {}}); !claims.empty(); claims = queue.claim({"w", 3, {}})) {
        std::vector<Outcome> outcomes;
        for (const Claim& each : claims) outcomes.push_back(outcome(each.lease, Kind::succeeded));
        for (const bool counted : queue.finish(outcomes)) EXPECT_TRUE(counted);
        taken[i].insert(taken[i].end(), claims.begin(), claims.end());
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> jobs, tokens;
  for (const auto& claims : taken)
    for (const Claim& each : claims) jobs.insert(each.job.id), tokens.insert(each.lease.token);
  EXPECT_EQ(jobs.size(), 200U);
  EXPECT_EQ(tokens.size(), 200U);
  EXPECT_EQ(queue_->counts().succeeded, 200);
}

TEST_P(QueueAttempts, ChangesOfOthersAreNoticed) {
  const std::unique_ptr<Queue> other = stand_->open(clock_);
  const std::int64_t before = queue_->change_count();
  EXPECT_EQ(queue_->change_count(), before);
  other->submit({request()});
  const std::int64_t submitted = queue_->change_count();
  EXPECT_NE(submitted, before);
  const Claim held = other->claim({"w", 1, {}}).at(0);
  EXPECT_NE(queue_->change_count(), submitted);
  const std::int64_t claimed = queue_->change_count();
  EXPECT_TRUE(other->claim({"w", 1, {}}).empty());  // nothing was there, nothing has changed
  other->tend();
  EXPECT_EQ(queue_->change_count(), claimed);
}

}  // namespace kiban::engine::test
