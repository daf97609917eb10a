#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/engine/queue/sqlite_stand.hpp"
#include "tests/support/process.hpp"

namespace {
const char* point_of_death = nullptr;
}  // namespace

/// The library calls this at its named points: here a process dies as if it had been pulled out.
extern "C" void kiban_fault_point(const char* name) {
  if (point_of_death && strcmp(name, point_of_death) == 0) kill(getpid(), SIGKILL);
}

/// Several processes, and such as are killed. Children are forked while nobody here has the queue open.
namespace kiban::engine::test {
namespace {

namespace fs = std::filesystem;
using Kind = Outcome::Kind;

int run_child(const std::function<void()>& action) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      action();
    } catch (...) {
      _exit(9);
    }
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Everything that can be seen of a queue.
std::string picture(const SqliteStand& stand) {
  const std::unique_ptr<Queue> queue = stand.open();
  nlohmann::json all = nlohmann::json::array();
  for (const Job& job : queue->list({.most = 1000})) all.push_back(to_json(job));
  const QueueCounts counts = queue->counts();
  all.push_back({counts.succeeded, counts.unpublished, counts.classes[2].queued, counts.classes[2].running});
  return all.dump();
}

TEST(SqliteProcesses, KilledAtEachPointACallHasHappenedOrNot) {
  struct Call {
    const char* name;
    std::function<void(Queue&)> prepare, call;
  };
  const auto finish_one = [](Queue& queue, Kind kind) {
    const Job job = queue.list({.state = JobState::running}).at(0);
    queue.finish({outcome({job.id, job.token}, kind)});
  };
  const Call calls[] = {
      {"submit", [](Queue&) {},
       [](Queue& queue) {
         queue.submit({writing("/a"), request()});
       }},
      {"claim",
       [](Queue& queue) {
         queue.submit({writing("/a"), request()});
       },
       [](Queue& queue) {
         queue.claim({"w", 2, {}});
       }},
      {"finish",
       [](Queue& queue) {
         queue.submit({writing("/a")}), queue.claim({"w", 1, {}});
       },
       [&](Queue& queue) { finish_one(queue, Kind::succeeded); }},
      {"published",
       [&](Queue& queue) {
         const std::string id = queue.submit({writing("/a")}).at(0).id;
         queue.submit({after({id})});
         queue.claim({"w", 1, {}});
         finish_one(queue, Kind::succeeded);
       },
       [](Queue& queue) { queue.published(queue.unpublished(1).at(0).id, ""); }},
  };
  for (const Call& each : calls)
    for (const bool committed : {false, true}) {
      SqliteStand stand;
      each.prepare(*stand.open());
      const std::string before = picture(stand);
      const std::string point = std::string(each.name) + (committed ? ".committed" : ".before_commit");
      point_of_death = point.c_str();
      EXPECT_EQ(run_child([&] { each.call(*stand.open()); }), 1000 + SIGKILL) << point;
      point_of_death = nullptr;
      EXPECT_EQ(picture(stand) == before, !committed) << point;
      if (!committed) each.call(*stand.open());
      EXPECT_NE(picture(stand), before) << point;
    }
}

TEST(SqliteProcesses, TwoProcessesShareOutTheJobs) {
  SqliteStand stand;
  std::vector<std::string> ids;
  for (const Receipt& receipt : stand.open()->submit(std::vector<Submission>(300, request())))
    ids.push_back(receipt.id);
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    std::ofstream taken(stand.folder() / std::to_string(i));
    const std::unique_ptr<Queue> queue = stand.open();
    for (auto claims = queue->claim({"w", 2, {}}); !claims.empty(); claims = queue->claim({"w", 2, {}}))
      for (const Claim& each : claims)
        if (queue->finish({outcome(each.lease, Kind::succeeded)}).at(0)) taken << each.job.id << '\n';
    taken.close();
    _exit(0);
  }
  for (const pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  std::vector<std::string> done;
  for (int i = 0; i < 2; ++i) {
    std::ifstream taken(stand.folder() / std::to_string(i));
    for (std::string id; taken >> id;) done.push_back(id);
  }
  std::ranges::sort(done);
  EXPECT_EQ(done, ids);
  EXPECT_EQ(stand.open()->counts().succeeded, 300);
}

TEST(SqliteProcesses, AChildDoesNotUseWhatItsParentHadOpen) {
  SqliteStand stand, other;
  const std::unique_ptr<Queue> queue = stand.open();
  const auto refused = [](const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code() == ErrorCode::usage;
    }
    return false;
  };
  EXPECT_EQ(run_child([&] {
              if (!refused([&] { queue->submit({request()}); })) _exit(1);
              if (!refused([&] { queue->list({}); })) _exit(2);
              if (!refused([&] { stand.open(); })) _exit(3);
              other.open()->submit({request()});
              const_cast<std::unique_ptr<Queue>&>(queue).reset();  // takes nothing of the parent's along
            }),
            0);
  queue->submit({request()});
  EXPECT_EQ(queue->list({}).size(), 1U);
  EXPECT_EQ(other.open()->list({}).size(), 1U);
}

TEST(SqliteProcesses, ManyMakeOneNewQueue) {
  SqliteStand stand;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    try {
      stand.open()->submit({request()});
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  for (const pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(stand.open()->list({}).size(), 6U);
}

}  // namespace
}  // namespace kiban::engine::test
