#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/engine/queue/sqlite_stand.hpp"
#include "tests/support/process.hpp"

/// Of a process that is to be killed at a named place: how many of them it passes before.
static int steps_before_kill = -1;
extern "C" void kiban_fault_point(const char* name) {
  if (std::string(name).starts_with("restore.") && steps_before_kill >= 0 && steps_before_kill-- == 0) raise(SIGKILL);
}

/// Backup, restore, prune.
namespace kiban::engine::test {
namespace {

namespace fs = std::filesystem;
using Kind = Outcome::Kind;
using kiban::test::read_text;

std::string error_of(const std::function<void()>& action, ErrorCode code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

/// Runs the next job to its end, with a result folder.
Job run_one(Queue& queue) {
  const Claim held = queue.claim({"w", 1, {}}).at(0);
  const fs::path folder = queue.results() / held.lease.job / held.lease.token;
  fs::create_directories(folder);
  std::ofstream(folder / "manifest.json") << nlohmann::json{{"job", held.lease.job}};
  std::ofstream(folder / "volume.mha") << std::string(1000, 'v');
  queue.finish({outcome(held.lease, Kind::succeeded)});
  queue.published(held.lease.job, "");
  return queue.find(held.lease.job);
}

TEST(SqliteMaintenance, ABackupIsTheQueueAsItWasAndLaterResultsAreListed) {
  SqliteStand stand;
  const fs::path backup = stand.folder() / "backup.sqlite";
  std::string kept, before, open, later_folder;
  {
    const std::unique_ptr<Queue> queue = stand.open();
    queue->submit({writing("/a"), writing("/b")});
    before = to_json(run_one(*queue)).dump();
    queue->backup(backup);
    EXPECT_NE(error_of([&] { queue->backup(backup); }, ErrorCode::input).find("exists"), std::string::npos);
    EXPECT_NE(error_of([&] { queue->backup(stand.folder() / "no/folder/b"); }, ErrorCode::input), "");
    EXPECT_NE(error_of([&] { restore_queue(stand.url(), backup); }, ErrorCode::usage).find("open"), std::string::npos);
    const Job later = run_one(*queue);  // the backup knows the job, but not that it succeeded
    later_folder = (queue->results() / later.result / "manifest.json").string();
    open = later.id;
    queue->submit({writing("/c")});
  }
  std::fstream file(stand.file(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(9000) << "damage";
  file.close();
  const std::string broken = read_text(stand.file());
  EXPECT_NE(error_of([&] { stand.open(); }, ErrorCode::input), "");

  const Restored restored = restore_queue(stand.url(), backup);
  EXPECT_TRUE(read_text(restored.set_aside) == broken);
  EXPECT_EQ(restored.later_results, std::vector<std::string>{later_folder});
  const std::unique_ptr<Queue> queue = stand.open();
  EXPECT_EQ(queue->list({}).size(), 2U);
  EXPECT_EQ(to_json(queue->list({.state = JobState::succeeded}).at(0)).dump(), before);
  EXPECT_EQ(run_one(*queue).id, open);
}

/// A restore that is killed at any step: nobody opens, let alone makes, a queue there until it was done again, and the
/// old store lies with its journal.
TEST(SqliteMaintenance, ARestoreThatIsKilledIsDoneAgain) {
  for (int step = 0; step < 5; ++step) {
    SqliteStand stand;
    const fs::path backup = stand.folder() / "backup.sqlite";
    {
      const std::unique_ptr<Queue> queue = stand.open();
      queue->submit({writing("/a"), writing("/b")});
      queue->backup(backup);
    }
    std::ofstream(stand.file(), std::ios::binary | std::ios::trunc) << "damaged store";
    std::ofstream(stand.file().string() + "-wal", std::ios::binary) << "its journal";
    const pid_t child = fork();
    if (child == 0) {
      steps_before_kill = step;
      restore_queue(stand.url(), backup);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "a restore has fewer than " << step + 1 << " steps";
    EXPECT_NE(error_of([&] { stand.open(); }, ErrorCode::input).find("kiban restore"), std::string::npos) << step;

    const Restored restored = restore_queue(stand.url(), backup);
    EXPECT_EQ(stand.open()->list({}).size(), 2U) << step;
    int stores = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(stand.folder())) {
      const std::string path = entry.path().string();
      if (path.find(".broken-") == std::string::npos || path.ends_with("-wal") || path.ends_with("-shm")) continue;
      if (read_text(path) != "damaged store") continue;
      ++stores;
      EXPECT_EQ(read_text(path + "-wal"), "its journal") << step;
    }
    EXPECT_EQ(stores, 1) << step;
    EXPECT_TRUE(fs::exists(restored.set_aside)) << step;
  }
}

TEST(SqliteMaintenance, OnlyAWholeBackupIsRestored) {
  SqliteStand stand;
  const fs::path backup = stand.folder() / "backup.sqlite";
  {
    const std::unique_ptr<Queue> queue = stand.open();
    queue->submit(std::vector<Submission>(200, request()));
    queue->backup(backup);
  }
  const std::string sound = read_text(stand.file()), copy = read_text(backup);
  const auto refused = [&](const std::string& bytes) {
    std::ofstream(backup, std::ios::binary | std::ios::trunc) << bytes;
    EXPECT_NE(error_of([&] { restore_queue(stand.url(), backup); }, ErrorCode::input), "");
    EXPECT_TRUE(read_text(stand.file()) == sound);
  };
  refused("");
  refused(copy.substr(0, copy.size() / 2));
  refused("not a queue");
  std::string flipped = copy;
  flipped[copy.size() / 2] ^= 4;
  refused(flipped);
  fs::remove(backup);
  EXPECT_NE(error_of([&] { restore_queue(stand.url(), backup); }, ErrorCode::input), "");
  EXPECT_NE(error_of([&] { restore_queue(stand.url(), stand.file()); }, ErrorCode::usage), "");
  EXPECT_EQ(stand.open()->counts().classes[2].queued, 200);

  std::ofstream(backup, std::ios::binary) << copy;
  fs::remove(stand.file());  // lost altogether
  EXPECT_EQ(restore_queue(stand.url(), backup).set_aside, "");
  EXPECT_EQ(stand.open()->counts().classes[2].queued, 200);
}

TEST(SqliteMaintenance, PruneRemovesOldFinalJobsThatNobodyNeedsAndRecordsThem) {
  SqliteStand stand;
  FakeClock clock;
  clock.wall = machine_clock().wall_us();
  const std::unique_ptr<Queue> queue = stand.open(clock);
  const std::string old = queue->submit({writing("/a")}).at(0).id;
  const Job done = run_one(*queue);
  const std::string failed = queue->submit({request()}).at(0).id;
  const std::string waits = queue->submit({after({failed})}).at(0).id;
  queue->finish({outcome(queue->claim({"w", 1, {}}).at(0).lease, Kind::failed)});
  const std::string unpublished = queue->submit({writing("/b")}).at(0).id;
  queue->finish({outcome(queue->claim({"w", 1, {}}).at(0).lease, Kind::succeeded)});
  clock.pass(3600);
  const std::string fresh = queue->submit({writing("/c")}).at(0).id;
  run_one(*queue);
  queue->submit({request()});

  EXPECT_EQ(queue->prune(7200).jobs, 0);
  const Queue::Pruned pruned = queue->prune(1800);
  EXPECT_EQ(pruned.jobs, 3);  // the old one, and the failed with who waited for it
  EXPECT_EQ(pruned.folders, 1);
  EXPECT_GE(pruned.bytes, 1000U);
  EXPECT_FALSE(fs::exists(queue->results() / old));
  EXPECT_TRUE(fs::exists(queue->results() / fresh));
  for (const std::string& id : {old, failed, waits})
    EXPECT_NE(error_of([&] { queue->find(id); }, ErrorCode::usage), "");
  for (const std::string& id : {unpublished, fresh}) EXPECT_TRUE(is_final(queue->find(id).state));
  const QueueCounts counts = queue->counts();
  EXPECT_EQ(counts.succeeded, 2);
  EXPECT_EQ(counts.failed + counts.cancelled, 0);
  std::ifstream records(stand.folder() / "pruned.jsonl");
  std::set<std::string> recorded;
  for (std::string line; std::getline(records, line);) recorded.insert(nlohmann::json::parse(line).at("job"));
  EXPECT_EQ(recorded, (std::set<std::string>{old, failed, waits}));
  EXPECT_NE(error_of([&] { queue->prune(-1); }, ErrorCode::usage), "");
  EXPECT_NE(error_of([&] { queue->prune(std::nan("")); }, ErrorCode::usage), "");
}

TEST(SqliteMaintenance, PruneRemovesOnlyAttemptsThatNobodyNames) {
  SqliteStand stand;
  const std::unique_ptr<Queue> queue = stand.open();
  queue->submit({writing("/a"), writing("/b")});
  const Job done = run_one(*queue);
  const Claim running = queue->claim({"w", 1, {}}).at(0);
  const auto folder = [&](const std::string& job, const std::string& token, bool old) {
    const fs::path made = queue->results() / job / token;
    fs::create_directories(made);
    std::ofstream(made / "volume.mha") << "x";
    const auto then = fs::file_time_type::clock::now() - std::chrono::hours(old ? 30 : 0);
    fs::last_write_time(made / "volume.mha", then);
    fs::last_write_time(made, then);
    return made;
  };
  const fs::path result = folder(done.id, done.token, true), held = folder(running.job.id, running.lease.token, true);
  const fs::path zombie = folder(done.id, std::string(32, 'a'), true);
  const fs::path fresh = folder(done.id, std::string(32, 'b'), false);
  const fs::path orphan = folder("01ARZ3NDEKTSV4RRFFQ69G5FAV", std::string(32, 'c'), true);
  const fs::path foreign = folder(done.id, "notes", true);
  const Queue::Pruned pruned = queue->prune(3600);
  EXPECT_EQ(pruned.jobs, 0);
  EXPECT_EQ(pruned.folders, 2);
  for (const fs::path& kept : {result, held, fresh, foreign}) EXPECT_TRUE(fs::exists(kept)) << kept;
  for (const fs::path& gone : {zombie, orphan, orphan.parent_path()}) EXPECT_FALSE(fs::exists(gone)) << gone;
}

}  // namespace
}  // namespace kiban::engine::test
