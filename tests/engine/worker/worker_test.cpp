#include "engine/worker/worker.hpp"

#include <atomic>
#include <set>

#include "tests/engine/worker/queue_in_trouble.hpp"
#include "tests/engine/worker/worker_site.hpp"

namespace kiban::engine::test {
namespace {

/// A worker in a thread, until the test ends.
class Running {
 public:
  Running(Site& site, WorkerOptions options, Queue& queue)
      : thread_([this, &site, options, &queue]() mutable {
          options.exit_when_idle_s = std::numeric_limits<double>::infinity();
          try {
            site.work(options, queue, [this] { return stop_.load(); });
          } catch (const Error& error) {
            ADD_FAILURE() << error.what();
          }
        }) {}
  ~Running() { stop_ = true; }
  void stop() { stop_ = true; }
  void join() { thread_.join(); }

 private:
  std::atomic<bool> stop_{false};
  std::jthread thread_;
};

TEST(Worker, RunsPublishesAndLogsEveryJobOnceAndNothingElse) {
  Site site;
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i)
    ids.push_back(
        site.submit_with_result(i % 2 ? "test.single" : "test.batch", {{"number", i}, {"mark", site.file("mark")}}));
  site.work(site.options());
  for (int i = 0; i < 40; ++i) {
    site.expect_published(ids[static_cast<std::size_t>(i)], i);
    EXPECT_EQ(site.logged("ended", ids[static_cast<std::size_t>(i)]), 1);
    EXPECT_EQ(site.logged("published", ids[static_cast<std::size_t>(i)]), 1);
  }
  EXPECT_EQ(lines_of(site.file("mark")).size(), 40);
  const std::string log = kiban::test::read_text(site.file("log"));
  for (const char* secret : {"dr-who", "test.", ".mha", "mark", "number", "/"})
    EXPECT_EQ(log.find(secret), std::string::npos) << secret;
}

TEST(Worker, RunsWhatWaitedForAnotherWhenThatIsPublished) {
  Site site;
  const std::string parent = site.submit_with_result("test.single", {{"number", 1}});
  Submission child = Site::submission("test.single", {{"number", 2}, {"mark", site.file("mark")}});
  child.after = {parent};
  const std::string id = site.submit(child);
  site.work(site.options());
  site.expect_published(parent, 1);
  EXPECT_EQ(site.find(id).state, JobState::succeeded);
  EXPECT_EQ(lines_of(site.file("mark")).size(), 1);
}

TEST(Worker, FailsBadInputAtOnceAndTriesAgainWhatMayPass) {
  Site site;
  const std::string bad = site.submit("test.single", {{"fault", "bad_input"}});
  const std::string gone = site.submit("test.single", {{"fault", "device"}, {"mark", site.file("mark")}});
  site.work(site.options());
  EXPECT_EQ(site.find(bad).state, JobState::failed);
  EXPECT_EQ(site.find(bad).error_code, ErrorCode::input);
  EXPECT_EQ(site.find(gone).state, JobState::failed);
  EXPECT_EQ(site.find(gone).attempts, 2);
  EXPECT_EQ(lines_of(site.file("mark")).size(), 3) << "once among others, then alone for each attempt";
}

TEST(Worker, ADeviceThatOneJobBreaksIsBegunAnewForTheOthers) {
  Site site;
  std::vector<std::string> others;
  for (int i = 0; i < 4; ++i) others.push_back(site.submit_with_result("test.batch", {{"number", i}}));
  const std::string breaks = site.submit("test.single", {{"fault", "device"}});
  for (int i = 4; i < 12; ++i)
    others.push_back(site.submit_with_result(i % 2 ? "test.single" : "test.batch", {{"number", i}}));
  site.work(site.options());
  EXPECT_EQ(site.find(breaks).state, JobState::failed);
  for (const std::string& id : others) {
    EXPECT_TRUE(site.has_state(id, JobState::succeeded));
    EXPECT_EQ(site.find(id).attempts, 0) << "it was not its fault";
  }
}

TEST(Worker, DrainsWhatComputesIsFinishedAndTheRestGivenBack) {
  Site site;
  const std::string first =
      site.submit_with_result("test.single", {{"number", 0}, {"gate", site.file("gate")}, {"mark", site.file("mark")}});
  std::vector<std::string> others;
  for (int i = 1; i < 6; ++i) others.push_back(site.submit_with_result("test.single", {{"number", i}}));
  Running running(site, site.options(1), site.queue());
  ASSERT_TRUE(eventually([&] { return lines_of(site.file("mark")).size() == 1; }));
  running.stop();
  ASSERT_TRUE(eventually([&] { return site.queue().counts().classes[2].running == 1; }));
  open_gate(site.file("gate"));
  running.join();
  EXPECT_TRUE(site.has_state(first, JobState::succeeded));
  for (const std::string& id : others) {
    EXPECT_EQ(site.find(id).state, JobState::queued);
    EXPECT_EQ(site.find(id).attempts, 0);
    EXPECT_EQ(site.find(id).lost_leases, 0);
  }
  site.work(site.options());
  site.expect_published(first, 0);
  for (int i = 1; i < 6; ++i) site.expect_published(others[static_cast<std::size_t>(i - 1)], i);
}

TEST(Worker, StopsAJobThatIsCancelledAndGoesOn) {
  Site site;
  const std::string id = site.submit_with_result(
      "test.single", {{"number", 0}, {"gate", site.file("never")}, {"mark", site.file("mark")}});
  Running running(site, site.options(), site.queue());
  ASSERT_TRUE(eventually([&] { return lines_of(site.file("mark")).size() == 1; }));
  site.queue().cancel(id, "not needed");
  ASSERT_TRUE(eventually([&] { return site.has_state(id, JobState::cancelled); }));
  const std::string next = site.submit("test.single", nlohmann::json::object());
  ASSERT_TRUE(eventually([&] { return site.has_state(next, JobState::succeeded); }));
  EXPECT_TRUE(eventually([&] { return site.attempts_of(id).empty(); }));
  EXPECT_EQ(site.logged("executor_killed"), 0);
}

/// Two batches are in the executor's hands when the stat job comes.
TEST(Worker, TakesAStatJobWithFullHandsAndRunsItBeforeWhatIsLoaded) {
  Site site;
  const std::string mark = site.file("mark"), gate = site.file("gate"), loaded = site.file("loaded");
  for (int i = 0; i < 20; ++i) site.submit("test.batch", {{"number", i}, {"gate", gate}, {"mark", mark}});
  Running running(site, site.options(2), site.queue());
  ASSERT_TRUE(eventually([&] { return !lines_of(mark).empty() && site.queue().counts().classes[2].running == 6; }));
  Submission urgent = Site::submission("test.single", {{"number", 99}, {"mark", mark}, {"load_mark", loaded}});
  urgent.priority = Priority::stat;
  const std::string id = site.submit(urgent);
  ASSERT_TRUE(eventually([&] { return lines_of(loaded).size() == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // from its load to the batcher
  open_gate(gate);
  ASSERT_TRUE(eventually([&] { return lines_of(mark).size() == 21; }));
  const std::vector<std::string> order = lines_of(mark);
  const auto place = std::ranges::find_if(order, [](const std::string& line) { return line.starts_with("99 "); });
  EXPECT_LE(place - order.begin(), 2) << "only the batch that computed may be before it";
}

TEST(Worker, PublishesWhenTheTargetIsThereAgain) {
  Site site;
  const std::string id = site.submit_with_result("test.single", {{"number", 7}});
  std::filesystem::remove(site.file("out"));
  Running running(site, site.options(), site.queue());
  ASSERT_TRUE(eventually([&] { return !site.find(id).publish_error.empty(); }));
  EXPECT_TRUE(site.has_state(id, JobState::succeeded));
  EXPECT_FALSE(site.find(id).published);
  std::filesystem::create_directory(site.file("out"));
  ASSERT_TRUE(eventually([&] { return site.find(id).published; }));
  site.expect_published(id, 7);
}

TEST(Worker, KeepsResultsWhileTheQueueCannotBeWritten) {
  Site site;
  QueueInTrouble queue(site.queue());
  queue.finishes_fail = true;
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back(site.submit_with_result("test.single", {{"number", i}, {"mark", site.file("mark")}}));
  Running running(site, site.options(), queue);
  ASSERT_TRUE(eventually([&] { return queue.failures > 1; }));
  queue.claims_fail = true;
  const std::string later = site.submit("test.single", nlohmann::json::object());
  ASSERT_TRUE(eventually([&] { return site.logged("queue_trouble") > 4; }));
  queue.finishes_fail = queue.claims_fail = false;
  ASSERT_TRUE(eventually([&] {
    return site.has_state(later, JobState::succeeded) &&
           std::ranges::all_of(ids, [&](const std::string& id) { return site.find(id).published; });
  }));
  for (int i = 0; i < 3; ++i) site.expect_published(ids[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(lines_of(site.file("mark")).size(), 3) << "nothing ran twice";
}

/// The commit went through, and the answer did not: the folder is the result, although `finish` says no the next time.
TEST(Worker, KeepsAResultWhoseCommitWasAnsweredByAFailure) {
  Site site;
  QueueInTrouble queue(site.queue());
  queue.next_answer_is_lost = true;
  const std::string id = site.submit_with_result("test.single", {{"number", 3}});
  site.work(site.options(), queue, [] { return false; });
  EXPECT_EQ(queue.failures, 1);
  site.expect_published(id, 3);
  EXPECT_EQ(site.attempts_of(id).size(), 1);
}

TEST(Worker, StopsWithTheErrorOfADamagedQueue) {
  Site site;
  QueueInTrouble queue(site.queue());
  queue.damaged = true;
  site.submit("test.single", nlohmann::json::object());
  EXPECT_THROW(site.work(site.options(), queue, [] { return false; }), DamagedQueue);
}

TEST(Worker, SaysWhyAnExecutorCannotBegin) {
  Site site;
  WorkerOptions options = site.options();
  const auto code_of = [&] {
    try {
      site.work(options);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode{};
  };
  options.devices = {"cuda:99"};
  EXPECT_EQ(code_of(), ErrorCode::device);
  options.devices = {"abacus"};
  EXPECT_EQ(code_of(), ErrorCode::usage);
  options.devices = {"cpu"};
  options.simd = "mmx";
  EXPECT_EQ(code_of(), ErrorCode::usage);
  options.executor_command = {"/bin/false"};
  EXPECT_EQ(code_of(), ErrorCode::internal);
  options.executor_command = {site.file("missing")};
  EXPECT_EQ(code_of(), ErrorCode::internal);
}

TEST(Worker, AsksAnExecutorWhichDevicesThereAre) {
  Site site;
  const std::string id = site.submit("test.single", nlohmann::json::object());
  WorkerOptions options = site.options();
  options.devices.clear();
  options.limits.host_bytes = std::size_t{1} << 30;
  site.work(options);
  EXPECT_TRUE(site.has_state(id, JobState::succeeded));
}

TEST(Worker, SharesJobsAmongExecutors) {
  Site site;
  const std::string mark = site.file("mark");
  for (int i = 0; i < 2; ++i) site.submit("test.single", {{"number", i}, {"mark", mark}, {"gate", site.file("gate")}});
  WorkerOptions options = site.options(1);
  options.devices = {"cpu", "cpu"};
  Running running(site, options, site.queue());
  EXPECT_TRUE(eventually([&] { return lines_of(mark).size() == 2; })) << "both run at once";
  open_gate(site.file("gate"));
}

}  // namespace
}  // namespace kiban::engine::test
