#include "engine/queue/job.hpp"

#include <gtest/gtest.h>

#include "engine/queue/clock.hpp"
#include "engine/queue/identifier.hpp"
#include "engine/queue/sha256.hpp"
#include "tests/engine/queue/queue_suite.hpp"

namespace kiban::engine::test {
namespace {

TEST(Job, NamesAndValuesAreOneToOne) {
  for (int i = 0; i < kPriorities; ++i)
    EXPECT_EQ(priority_named(to_string(static_cast<Priority>(i))), static_cast<Priority>(i));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(state_named(to_string(static_cast<JobState>(i))), static_cast<JobState>(i));
  EXPECT_THROW(priority_named("STAT"), Error);
  EXPECT_THROW(state_named(""), Error);
  EXPECT_TRUE(is_final(JobState::cancelled) && is_final(JobState::succeeded) && is_final(JobState::failed));
  EXPECT_FALSE(is_final(JobState::running) || is_final(JobState::queued) || is_final(JobState::waiting));
}

TEST(Job, SubmissionsSurviveJsonAndEachMissingOrWrongFieldIsNamed) {
  Submission submission = after({"X"}, Priority::stat);
  submission.inputs = {{"a", "/b"}};
  submission.tags = {{"k", "v"}};
  const nlohmann::json written = to_json(submission);
  EXPECT_EQ(to_json(submission_from_json(nlohmann::json::parse(written.dump()))), written);
  for (const auto& [name, value] : written.items()) {
    for (const nlohmann::json& wrong : {nlohmann::json(), nlohmann::json(true), nlohmann::json::array({1, 2})}) {
      nlohmann::json broken = written;
      broken[name] = wrong;
      try {
        submission_from_json(broken);
        ADD_FAILURE() << name << " = " << wrong;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
      }
    }
    nlohmann::json missing = written;
    missing.erase(name);
    EXPECT_THROW(submission_from_json(missing), Error) << name;
  }
  EXPECT_THROW(submission_from_json(nlohmann::json::array()), Error);
}

TEST(Job, TheDigestIsOfWhatIsAskedForOnly) {
  // sha256sum says the same of: {"after":[],"inputs":{},"operation":"test.noop","operation_version":1,"outputs":{},
  // "parameters":{}} in one line without the break.
  EXPECT_EQ(content_digest(request()),
            sha256("{\"after\":[],\"inputs\":{},\"operation\":\"test.noop\",\"operation_version\":"
                   "1,\"outputs\":{},\"parameters\":{}}"));
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string digest = content_digest(after({"A", "B"}));
  EXPECT_EQ(content_digest(after({"B", "A", "B"})), digest);
  const auto changed = [&](auto&& change, bool matters) {
    Submission other = after({"A", "B"});
    change(other);
    EXPECT_EQ(content_digest(other) != digest, matters);
  };
  changed([](Submission& other) { other.operation = "x"; }, true);
  changed([](Submission& other) { other.operation_version = 2; }, true);
  changed([](Submission& other) { other.parameters = {{"n", 1}}; }, true);
  changed([](Submission& other) { other.inputs = {{"a", "/b"}}; }, true);
  changed([](Submission& other) { other.outputs = {{"a", "/b"}}; }, true);
  changed([](Submission& other) { other.after = {"A"}; }, true);
  changed([](Submission& other) { other.priority = Priority::stat; }, false);
  changed([](Submission& other) { other.submitter = "bob"; }, false);
  changed([](Submission& other) { other.tags = {{"a", "b"}}; }, false);
  changed([](Submission& other) { other.timeout_s = 1; }, false);
}

TEST(Identifier, UlidsRiseAndCarryTheirTime) {
  EXPECT_EQ(next_ulid("", 1'469'918'176'385'000).substr(0, 10), "01ARYZ6S41");  // the specification's example
  std::string last;
  for (const std::int64_t time : {5'000'000L, 5'000'000L, 5'000'999L, 1L, -7L, 6'000'000L}) {
    const std::string next = next_ulid(last, time);
    EXPECT_GT(next, last);
    EXPECT_EQ(next.size(), 26U);
    last = next;
  }
  EXPECT_EQ(next_ulid("0000000001000000000000ZZZZ", 1000), "00000000010000000000010000");
  EXPECT_NE(random_token(), random_token());
}

TEST(Clock, TheMachinesGoForwardAndKnowTheirBoot) {
  const Clock& clock = machine_clock();
  const std::int64_t before = clock.boot_us();
  EXPECT_GE(clock.boot_us(), before);
  EXPECT_EQ(clock.boot_id().size(), 36U);
  EXPECT_GT(clock.wall_us(), 1'700'000'000'000'000);
}

}  // namespace
}  // namespace kiban::engine::test
