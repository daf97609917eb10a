#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/queue/queue.hpp"

/// What every store must do, whatever it is made of. A store's own test makes `Stand`s and instantiates the suites of
/// queue_suite_*.hpp with them.
namespace kiban::engine::test {

/// Clocks that stand still until they are moved.
struct FakeClock final : Clock {
  std::int64_t boot = 1'000'000'000, wall = 1'700'000'000'000'000;
  std::string id = "boot-1";
  std::int64_t boot_us() const override { return boot; }
  std::string boot_id() const override { return id; }
  std::int64_t wall_us() const override { return wall; }
  void pass(double seconds) {
    boot += static_cast<std::int64_t>(seconds * 1e6);
    wall += static_cast<std::int64_t>(seconds * 1e6);
  }
};

/// A place for one queue, which may be opened several times.
class Stand {
 public:
  virtual ~Stand() = default;
  virtual std::unique_ptr<Queue> open(const Clock& clock) = 0;
};

using MakeStand = std::function<std::unique_ptr<Stand>()>;

inline Submission request(const std::string& submitter = "alice", Priority priority = Priority::routine) {
  Submission submission;
  submission.operation = "test.noop";
  submission.submitter = submitter;
  submission.priority = priority;
  return submission;
}

inline Submission writing(const std::string& path, const std::string& submitter = "alice") {
  Submission submission = request(submitter);
  submission.outputs = {{"volume", path}};
  return submission;
}

inline Submission after(std::vector<std::string> ids, Priority priority = Priority::routine) {
  Submission submission = request("alice", priority);
  submission.after = std::move(ids);
  return submission;
}

inline Outcome outcome(const Lease& lease, Outcome::Kind kind, double device_seconds = 0) {
  Outcome made;
  made.lease = lease;
  made.kind = kind;
  made.device_seconds = device_seconds;
  if (kind == Outcome::Kind::succeeded) made.result = lease.job + "/" + lease.token;
  if (kind == Outcome::Kind::failed || kind == Outcome::Kind::may_pass) {
    made.error_code = ErrorCode::device;
    made.error = "the device failed";
  }
  return made;
}

/// An open queue on a fake clock, and short ways to say what tests say all the time.
class QueueSuite : public testing::TestWithParam<MakeStand> {
 protected:
  using Kind = Outcome::Kind;

  std::string submit(const Submission& submission) { return queue_->submit({submission}).at(0).id; }

  Claim claim() {
    const std::vector<Claim> claims = queue_->claim({"worker", 1, {}});
    EXPECT_EQ(claims.size(), 1U);
    return claims.empty() ? Claim{} : claims[0];
  }
  /// Claims until this job is held; whatever else comes is given back.
  Claim claim(const std::string& id) {
    std::vector<Claim> others;
    Claim found;
    for (const Claim& each : queue_->claim({"worker", 1000, {}})) {
      if (each.job.id == id)
        found = each;
      else
        EXPECT_TRUE(finish(each.lease, Kind::given_back));
    }
    EXPECT_EQ(found.job.id, id);
    return found;
  }
  bool finish(const Lease& lease, Kind kind, double device_seconds = 0) {
    return queue_->finish({outcome(lease, kind, device_seconds)}).at(0);
  }
  LeaseAnswer beat(const Lease& lease) { return queue_->heartbeat({{lease, "compute", 0.5}}).at(0).answer; }
  JobState state(const std::string& id) { return queue_->find(id).state; }
  void succeed(const std::string& id) {
    EXPECT_TRUE(finish(claim(id).lease, Kind::succeeded));
    queue_->published(id, "");
  }
  void fail(const std::string& id) { EXPECT_TRUE(finish(claim(id).lease, Kind::failed)); }
  void reopen() {
    queue_.reset();
    queue_ = stand_->open(clock_);
  }

  template <class Action>
  std::string refusal(const Action& action, ErrorCode code = ErrorCode::usage) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "was accepted";
    return "";
  }

  FakeClock clock_;
  std::unique_ptr<Stand> stand_ = GetParam()();
  std::unique_ptr<Queue> queue_ = stand_->open(clock_);
};

/// All that a job is, as one text, to see that nothing was changed.
inline std::string text_of(const Queue& queue, const std::string& id) { return to_json(queue.find(id)).dump(); }

}  // namespace kiban::engine::test
