#include <signal.h>

#include <atomic>
#include <thread>

#include "tests/engine/worker/queue_in_trouble.hpp"
#include "tests/engine/worker/worker_site.hpp"

namespace kiban::engine::test {
namespace {

struct Poison {
  const char* fault;
  const char* operation;
  const char* cause;
};

class PoisonTest : public testing::TestWithParam<Poison> {};

/// Fifteen jobs and one that breaks their executor, all in one batch.
TEST_P(PoisonTest, HarmsOnlyTheCulprit) {
  Site site;
  std::vector<std::string> ids;
  std::string culprit;
  for (int i = 0; i < 16; ++i) {
    if (i == 5) {
      Submission poison = Site::submission(GetParam().operation, {{"number", i}, {"fault", GetParam().fault}});
      if (GetParam().fault == std::string("hang")) poison.timeout_s = 1;
      culprit = site.submit(poison);
    } else {
      Submission sound = Site::submission(GetParam().operation, {{"number", i}, {"bytes", 1000}});
      if (GetParam().fault == std::string("hang")) sound.timeout_s = 1;
      sound.outputs["result"] = site.target(i);
      ids.push_back(site.submit(sound));
    }
  }
  WorkerOptions options = site.options();
  options.most_executor_bytes = std::size_t{1} << 30;
  site.work(options);
  for (int i = 0, at = 0; i < 16; ++i) {
    if (i == 5) continue;
    const std::string& id = ids[static_cast<std::size_t>(at++)];
    site.expect_published(id, i);
    EXPECT_EQ(site.find(id).attempts, 0);
    EXPECT_EQ(site.find(id).lost_leases, 0);
  }
  const Job failed = site.find(culprit);
  EXPECT_EQ(failed.state, JobState::failed);
  EXPECT_EQ(failed.attempts, 2);
  EXPECT_EQ(failed.error, GetParam().cause);
  EXPECT_EQ(failed.error_code, ErrorCode::internal);
}

INSTANTIATE_TEST_SUITE_P(All, PoisonTest,
                         testing::Values(Poison{"segfault", "test.batch", "killed its executor: signal 11 (SIGSEGV)"},
                                         Poison{"segfault", "test.single", "killed its executor: signal 11 (SIGSEGV)"},
                                         Poison{"hang", "test.batch", "ran longer than its timeout of 1 s"},
                                         Poison{"leak", "test.batch", "took more than 1 GiB of memory"}),
                         [](const auto& poison) {
                           return std::string(poison.param.fault) + "_" + (poison.param.operation + 5);
                         });

TEST(WorkerFaults, RunsAgainUnchargedWhatAKilledExecutorHeld) {
  Site site;
  const std::string mark = site.file("mark");
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(site.submit_with_result("test.batch", {{"number", i}, {"mark", mark}, {"gate", site.file("gate")}}));
  std::jthread worker([&] { site.work(site.options()); });
  ASSERT_TRUE(eventually([&] { return !lines_of(mark).empty(); }));
  ASSERT_EQ(kill(process_in(mark), SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return site.logged("executor_died") == 1; }));
  open_gate(site.file("gate"));
  worker.join();
  for (int i = 0; i < 5; ++i) {
    site.expect_published(ids[static_cast<std::size_t>(i)], i);
    EXPECT_EQ(site.find(ids[static_cast<std::size_t>(i)]).attempts, 0);
  }
}

TEST(WorkerFaults, AnotherWorkerFinishesWhatAKilledOneHeld) {
  Site site(1);
  std::vector<std::string> ids;
  const std::string mark = site.file("mark");
  for (int i = 0; i < 20; ++i) {
    nlohmann::json parameters = {{"number", i}, {"mark", mark}};
    if (i == 10) parameters["gate"] = site.file("gate");
    ids.push_back(site.submit_with_result("test.single", parameters));
  }
  const auto first = site.worker();
  ASSERT_TRUE(eventually([&] { return lines_of(mark).size() >= 11; }));
  first->signal(SIGKILL);
  first->wait();
  const pid_t executor = process_in(mark);
  EXPECT_TRUE(eventually([&] { return is_gone(executor); })) << "the executor outlives its worker";
  open_gate(site.file("gate"));
  site.work(site.options());
  for (int i = 0; i < 20; ++i) {
    site.expect_published(ids[static_cast<std::size_t>(i)], i);
    EXPECT_EQ(site.find(ids[static_cast<std::size_t>(i)]).attempts, 0);
  }
  EXPECT_EQ(site.queue().counts().succeeded, 20);
}

/// Stopped past its lease, a worker wakes up with a result that is nobody's.
TEST(WorkerFaults, TheCommitOfAZombieIsRefusedAndItsFolderGoes) {
  Site site(1);
  const std::string mark = site.file("mark"), gate = site.file("gate");
  const std::string id = site.submit_with_result("test.single", {{"number", 1}, {"mark", mark}, {"gate", gate}});
  const auto zombie = site.worker();
  ASSERT_TRUE(eventually([&] { return lines_of(mark).size() == 1; }));
  const std::string stale = site.find(id).token;
  zombie->signal(SIGSTOP);
  std::jthread second([&] { site.work(site.options()); });
  ASSERT_TRUE(eventually([&] { return lines_of(mark).size() == 2; })) << "nobody took the job over";
  open_gate(gate);
  second.join();
  // The zombie's executor was never stopped: its result is whole, and waits to be claimed for the job.
  ASSERT_TRUE(eventually([&] { return site.attempts_of(id).size() == 2; }));
  zombie->signal(SIGCONT);
  const kiban::test::Finished finished = zombie->wait();
  EXPECT_EQ(finished.status, 0) << finished.err;
  site.expect_published(id, 1);
  EXPECT_EQ(site.find(id).lost_leases, 1);
  EXPECT_NE(site.find(id).token, stale);
  EXPECT_EQ(site.attempts_of(id), std::vector{site.find(id).token});
  EXPECT_TRUE(finished.out.find("\"lost\"") != std::string::npos ||
              finished.out.find("\"refused\"") != std::string::npos)
      << finished.out;
}

TEST(WorkerFaults, StopsAJobAtItsOwnDeadlineWhenTheLeaseCannotBeProlonged) {
  Site site(1);
  QueueInTrouble queue(site.queue());
  const std::string mark = site.file("mark");
  const std::string id =
      site.submit_with_result("test.single", {{"number", 1}, {"mark", mark}, {"gate", site.file("gate")}});
  queue.heartbeats_fail = true;
  std::jthread worker([&] { site.work(site.options(), queue, [] { return false; }); });
  ASSERT_TRUE(eventually([&] { return site.logged("lost", id) == 1; }));
  queue.heartbeats_fail = false;
  ASSERT_TRUE(eventually([&] { return lines_of(mark).size() == 2; }));
  open_gate(site.file("gate"));
  worker.join();
  site.expect_published(id, 1);
  EXPECT_EQ(site.find(id).lost_leases, 1);
  EXPECT_EQ(site.find(id).attempts, 0);
  EXPECT_EQ(site.attempts_of(id).size(), 1);
  EXPECT_EQ(site.logged("executor_killed"), 1);
}

TEST(WorkerFaults, SigtermDrainsAndTheTerminalsInterruptDoesNotReachTheExecutor) {
  Site site;
  const std::string mark = site.file("mark");
  const std::string id =
      site.submit_with_result("test.single", {{"number", 1}, {"mark", mark}, {"gate", site.file("gate")}});
  const auto worker = site.worker(nlohmann::json::object());
  ASSERT_TRUE(eventually([&] { return lines_of(mark).size() == 1; }));
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ASSERT_EQ(kill(process_in(mark), number), 0);
  worker->signal(SIGTERM);
  open_gate(site.file("gate"));
  EXPECT_EQ(worker->wait().status, 0);
  site.expect_published(id, 1);
  EXPECT_EQ(lines_of(mark).size(), 1);
}

/// Committed, and then everybody who knew of it was gone.
TEST(WorkerFaults, PublishesWhatAnotherLeftUnpublished) {
  Site site;
  const std::string id = site.submit_with_result("test.single", {{"number", 4}});
  std::filesystem::remove(site.file("out"));
  const auto first = site.worker(nlohmann::json::object());
  ASSERT_TRUE(eventually([&] { return site.has_state(id, JobState::succeeded); }));
  first->signal(SIGKILL);
  first->wait();
  EXPECT_FALSE(site.find(id).published);
  std::filesystem::create_directory(site.file("out"));
  WorkerOptions options = site.options();
  options.exit_when_idle_s = 1e9;
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  site.work(options, site.queue(), [&] { return site.find(id).published || std::chrono::steady_clock::now() > until; });
  site.expect_published(id, 4);
}

}  // namespace
}  // namespace kiban::engine::test
