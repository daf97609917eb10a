#include <fstream>
#include <set>

#include "engine/files.hpp"
#include "engine/worker/attempt.hpp"
#include "tests/engine/worker/scripted_pipeline.hpp"
#include "tests/support/recorded_flushes.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;
using kiban::test::flushes;
using test::Bench;
using Kind = Outcome::Kind;

std::string numbered(int number) { return std::string(1, 'n').append(std::to_string(number)); }

/// Each file once, and before its folder; that before the job's, and that before the results'.
void expect_flushed(const fs::path& attempt) {
  const fs::path job = attempt.parent_path(), results = job.parent_path();
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(attempt)) {
    names.insert(entry.path().filename().string());
    EXPECT_EQ(flushes().of(entry.path()), 1) << entry.path();
    EXPECT_LT(flushes().last(entry.path()), flushes().first(attempt)) << entry.path();
  }
  EXPECT_EQ(names, (std::set<std::string>{"manifest.json", "out.bin"}));
  EXPECT_LT(flushes().last(attempt / "out.bin"), flushes().first(attempt / "manifest.json"));
  EXPECT_EQ(flushes().of(attempt), 1);
  EXPECT_LT(flushes().last(attempt), flushes().last(job));
  EXPECT_LT(flushes().last(job), flushes().last(results));
}

TEST(PipelineStore, AllOfASealedFolderIsFlushedOnceAndBeforeAnybodyIsTold) {
  flushes().forget();
  Bench bench;
  bench.start();
  bench.pipeline->add(bench.assignment("a", "test.single", true));
  ASSERT_EQ(bench.record.outcome("a").kind, Kind::succeeded);
  const std::size_t when_told = flushes().count();
  expect_flushed(fs::path(bench.result_file("a")).parent_path());
  EXPECT_EQ(when_told, 5U) << "result, manifest, and three folders";
  bench.pipeline.reset();
  EXPECT_EQ(flushes().count(), when_told);
}

TEST(PipelineStore, ThoseThatAreSealedTogetherAreFlushedAsWell) {
  constexpr int kJobs = 16;
  flushes().forget();
  Bench bench;
  PipelineOptions options;
  options.limits.most_jobs = kJobs;
  options.limits.max_delay_s = 0.5;
  bench.start(options);
  for (int i = 0; i < kJobs; ++i)
    bench.pipeline->add(bench.assignment(numbered(i), "test.batch", true, {{"key", "k"}}));
  for (int i = 0; i < kJobs; ++i) ASSERT_EQ(bench.record.outcome(numbered(i)).kind, Kind::succeeded);
  for (int i = 0; i < kJobs; ++i) expect_flushed(fs::path(bench.result_file(numbered(i))).parent_path());
}

TEST(PipelineStore, OnlyTheStoreOfAnAttemptLeavesFlushingToTheSeal) {
  Bench bench;
  fs::create_directory(bench.folder / "out");
  const auto stored = [&](const char* name, const auto& store) {
    const fs::path path = bench.folder.path() / "out" / name;
    Request request;
    request.parameters = Values::from_json(bench.registry.find("test.single").parameters, {{"name", "a"}});
    request.ports["out"] = path;
    const auto work = bench.registry.find("test.single").load(request);
    Stream stream;
    Progress progress;
    work->run(stream, progress);
    flushes().forget();
    store(*work, progress);
    return std::pair(flushes().of(path), flushes().of(path.parent_path()));
  };
  const auto unflushed = [](Work& work, Progress& progress) { store_unflushed(work, progress); };
  const auto plain = [](Work& work, Progress& progress) { work.store(progress); };
  EXPECT_EQ(stored("a.bin", unflushed), (std::pair<std::ptrdiff_t, std::ptrdiff_t>(0, 0)));
  EXPECT_EQ(stored("b.bin", plain), (std::pair<std::ptrdiff_t, std::ptrdiff_t>(1, 1)));
}

}  // namespace
}  // namespace kiban::engine
