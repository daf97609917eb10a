#include "engine/worker/pipeline.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <new>
#include <random>
#include <set>
#include <system_error>

#include "engine/worker/attempt.hpp"
#include "tests/engine/worker/scripted_pipeline.hpp"

namespace kiban::engine {
namespace {

using test::Bench;
using Kind = Outcome::Kind;

/// Progress counts once: a slow machine tells more of it.
std::vector<Event::Kind> kinds(const std::vector<Event>& events) {
  std::vector<Event::Kind> kinds;
  for (const Event& event : events)
    if (kinds.empty() || kinds.back() != Event::Kind::progress || event.kind != Event::Kind::progress)
      kinds.push_back(event.kind);
  return kinds;
}

std::string numbered(std::size_t number) { return std::string(1, 'n').append(std::to_string(number)); }

TEST(Pipeline, RunsStoresAndSealsAJob) {
  Bench bench;
  bench.start();
  bench.pipeline->add(bench.assignment("a", "test.single", true));
  const Outcome outcome = bench.record.outcome("a");
  EXPECT_EQ(outcome.kind, Kind::succeeded) << outcome.error;
  EXPECT_EQ(outcome.lease.job, "job-a");
  EXPECT_EQ(outcome.result, "job-a/a");
  EXPECT_EQ(outcome.error_code, std::nullopt);
  EXPECT_GT(outcome.device_seconds, 0);
  EXPECT_EQ(kinds(bench.record.events()),
            (std::vector{Event::Kind::opened, Event::Kind::began, Event::Kind::progress, Event::Kind::ended}));
  EXPECT_EQ(bench.record.events()[2].stage, "store");
  EXPECT_EQ(bench.record.events()[1].batch_size, 1);

  const nlohmann::json manifest =
      nlohmann::json::parse(kiban::test::read_text((bench.folder.path() / "results/job-a/a/manifest.json").string()));
  EXPECT_EQ(manifest["job"], "job-a");
  EXPECT_EQ(manifest["outputs"]["out"]["sha256"], digest_of(bench.result_file("a")).sha256);
  EXPECT_EQ(manifest["outputs"]["out"]["bytes"], 4 * 4096);
  EXPECT_FALSE(std::filesystem::exists(bench.folder / "asked-a.bin")) << "only the committed row may publish";
}

TEST(Pipeline, AJobWithoutOutputsLeavesNothing) {
  Bench bench;
  bench.start();
  bench.pipeline->add(bench.assignment("a"));
  EXPECT_EQ(bench.record.outcome("a").kind, Kind::succeeded);
  EXPECT_EQ(bench.record.outcome("a").result, "");
  EXPECT_EQ(bench.folder.names(), std::vector<std::string>{});
}

TEST(Pipeline, ResultsAreTheSameWhateverTheBatchAndTheThreads) {
  constexpr std::size_t kJobs = 16;
  std::set<std::vector<std::string>> answers;
  for (const int most : {1, 3, 16}) {
    for (const int threads : {1, 2}) {
      Bench bench;
      PipelineOptions options;
      options.threads = threads;
      options.limits.most_jobs = most;
      options.limits.max_delay_s = 0.5;  // for the one that is left over
      bench.start(options);
      std::vector<std::string> digests;
      for (std::size_t i = 0; i < kJobs; ++i)
        bench.pipeline->add(bench.assignment(numbered(i), "test.batch", true, {{"key", "k"}}));
      for (std::size_t i = 0; i < kJobs; ++i) {
        ASSERT_EQ(bench.record.outcome(numbered(i)).kind, Kind::succeeded);
        digests.push_back(digest_of(bench.result_file(numbered(i))).sha256);
      }
      answers.insert(digests);
      int largest = 0;
      for (const Event& event : bench.record.of(Event::Kind::began)) largest = std::max(largest, event.batch_size);
      EXPECT_EQ(largest, most);
    }
  }
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(std::set<std::string>(answers.begin()->begin(), answers.begin()->end()).size(), 10U) << "names end so";
}

TEST(Pipeline, OneThatFailsHurtsNobody) {
  for (const std::string operation : {"test.single", "test.batch"}) {
    for (const std::string where : {"load", "run", "store"}) {
      Bench bench;
      bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
        if (stage == where && name == "bad") throw Error(ErrorCode::input, "bad data");
      };
      PipelineOptions options;
      options.limits.max_delay_s = 0.05;
      bench.start(options);
      for (const char* name : {"a", "bad", "c"})
        bench.pipeline->add(bench.assignment(name, operation, true, {{"key", "k"}}));
      for (const char* name : {"a", "c"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
      const Outcome outcome = bench.record.outcome("bad");
      EXPECT_EQ(outcome.kind, Kind::failed);
      EXPECT_EQ(outcome.error_code, ErrorCode::input);
      EXPECT_EQ(outcome.error, "bad data");
      EXPECT_FALSE(std::filesystem::exists(bench.folder.path() / "results/job-bad/bad"));
      bench.pipeline.reset();
      bench.expect_one_last_word_each();
    }
  }
}

TEST(Pipeline, ABatchThatFailsAsAWholeIsRunAgainOneByOne) {
  Bench bench;
  bench.hook = [](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "together") throw Error(ErrorCode::device, "the device gave up");
    if (stage == "run" && name == "culprit") throw Error(ErrorCode::device, "the device gave up again");
  };
  PipelineOptions options;
  options.limits.most_jobs = 3;
  options.limits.max_delay_s = 1000;
  bench.start(options);
  for (const char* name : {"a", "culprit", "c"})
    bench.pipeline->add(bench.assignment(name, "test.batch", true, {{"key", "k"}}));
  for (const char* name : {"a", "c"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
  EXPECT_EQ(bench.record.outcome("culprit").kind, Kind::may_pass);
  EXPECT_EQ(bench.record.outcome("culprit").error, "the device gave up again");
  std::vector<int> sizes;
  for (const Event& event : bench.record.of(Event::Kind::began, "a")) sizes.push_back(event.batch_size);
  EXPECT_EQ(sizes, (std::vector{3, 1}));
  bench.pipeline.reset();
  bench.expect_one_last_word_each();
}

TEST(Pipeline, AnAloneJobSharesWithNobody) {
  Bench bench;
  PipelineOptions options;
  options.limits.max_delay_s = 1000;
  bench.start(options);
  for (const char* name : {"a", "b"}) {
    Assignment alone = bench.assignment(name, "test.batch", false, {{"key", "k"}});
    alone.alone = true;
    bench.pipeline->add(alone);
  }
  for (const char* name : {"a", "b"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
  for (const Event& event : bench.record.of(Event::Kind::began)) EXPECT_EQ(event.batch_size, 1);
}

TEST(Pipeline, SaysWhatMayPass) {
  const std::vector<std::tuple<std::string, std::exception_ptr, Kind>> cases{
      {"usage", std::make_exception_ptr(Error(ErrorCode::usage, "x")), Kind::failed},
      {"input", std::make_exception_ptr(Error(ErrorCode::input, "x")), Kind::failed},
      {"device", std::make_exception_ptr(Error(ErrorCode::device, "x")), Kind::may_pass},
      {"internal", std::make_exception_ptr(Error(ErrorCode::internal, "x")), Kind::may_pass},
      {"disk", std::make_exception_ptr(io::write_error("/a/b", ENOSPC)), Kind::postponed},
      {"quota", std::make_exception_ptr(io::write_error("/a/b", EDQUOT)), Kind::postponed},
      {"read-only", std::make_exception_ptr(io::write_error("/a/b", EROFS)), Kind::postponed},
      {"broken", std::make_exception_ptr(io::write_error("/a/b", EIO)), Kind::may_pass},
      {"memory", std::make_exception_ptr(Error(ErrorCode::input, "x", ENOMEM)), Kind::may_pass},
      {"new", std::make_exception_ptr(std::bad_alloc()), Kind::may_pass},
      {"system", std::make_exception_ptr(std::system_error(ENOSPC, std::generic_category())), Kind::postponed},
      {"other", std::make_exception_ptr(std::runtime_error("x")), Kind::may_pass},
      {"odd", std::make_exception_ptr(7), Kind::may_pass},
      {"cancelled", std::make_exception_ptr(Cancelled()), Kind::cancelled}};
  Bench bench;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    for (const auto& [of, exception, kind] : cases)
      if (stage == "run" && name == of) std::rethrow_exception(exception);
  };
  bench.start();
  for (const auto& [name, exception, kind] : cases) {
    bench.pipeline->add(bench.assignment(name));
    EXPECT_EQ(bench.record.outcome(name).kind, kind) << name;
    EXPECT_EQ(bench.record.outcome(name).error.empty(), kind == Kind::cancelled) << name;
  }
}

TEST(Pipeline, RefusesWhatThisBuildCannotDo) {
  Bench bench;
  bench.start();
  Assignment unknown = bench.assignment("unknown", "test.nothing");
  Assignment later = bench.assignment("later");
  later.submission.operation_version = 2;
  Assignment over_input = bench.assignment("over", "test.single", true);
  over_input.submission.inputs["in"] = over_input.submission.outputs["out"];
  for (const Assignment& assignment : {unknown, later, over_input}) {
    bench.pipeline->add(assignment);
    EXPECT_EQ(bench.record.outcome(assignment.token).kind, Kind::failed);
    EXPECT_EQ(bench.record.outcome(assignment.token).error_code, ErrorCode::usage);
  }
}

/// What the process may write to one file is little while it lives.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit little = before_;
    little.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &little);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

TEST(Pipeline, AFullDiskPostponesAndLeavesNothing) {
  for (const rlim_t room : {rlim_t{1000}, rlim_t{16384}}) {  // too little for the output; for manifests alone enough
    Bench bench;
    bench.start();
    Assignment assignment = bench.assignment("a", "test.single", true);
    if (room == 16384) assignment.submission.tags["long"] = std::string(20000, 'x');  // the manifest is too large
    {
      const FullDisk full(room);
      bench.pipeline->add(assignment);
      const Outcome outcome = bench.record.outcome("a");
      EXPECT_EQ(outcome.kind, Kind::postponed) << outcome.error;
      EXPECT_EQ(outcome.error_code, ErrorCode::input);
      EXPECT_FALSE(std::filesystem::exists(assignment.folder));
    }
    assignment.token = "again";
    bench.pipeline->add(assignment);
    EXPECT_EQ(bench.record.outcome("again").kind, Kind::succeeded) << "the cause is gone";
  }
}

TEST(Pipeline, ResultsThatCannotBeWrittenMayBeAnotherTime) {
  Bench bench;
  bench.start();
  std::ofstream(bench.folder / "results") << "a file where the folder should be";
  bench.pipeline->add(bench.assignment("a", "test.single", true));
  const Outcome outcome = bench.record.outcome("a");
  EXPECT_EQ(outcome.kind, Kind::may_pass);
  EXPECT_NE(outcome.error.find("cannot be written"), std::string::npos) << outcome.error;
}

TEST(Pipeline, WhatADeadExecutorLeftInTheFolderGoes) {
  Bench bench;
  const Assignment assignment = bench.assignment("a", "test.single", true);
  std::filesystem::create_directories(assignment.folder / "deeper");
  for (const char* name : {".kiban-1-0.bin", "out.bin", "manifest.json"})
    std::ofstream(assignment.folder / name) << "half";
  bench.start();
  bench.pipeline->add(assignment);
  EXPECT_EQ(bench.record.outcome("a").kind, Kind::succeeded);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(assignment.folder))
    names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"manifest.json", "out.bin"}));
  EXPECT_EQ(std::filesystem::file_size(assignment.folder / "out.bin"), 4 * 4096);
}

TEST(Pipeline, ChargesABatchByUpdates) {
  Bench bench;
  PipelineOptions options;
  options.limits.most_jobs = 2;
  options.limits.max_delay_s = 1000;
  bench.start(options);
  bench.pipeline->add(bench.assignment("a", "test.batch", false, {{"key", "k"}, {"updates", 100}}));
  bench.pipeline->add(bench.assignment("b", "test.batch", false, {{"key", "k"}, {"updates", 300}}));
  const double a = bench.record.outcome("a").device_seconds, b = bench.record.outcome("b").device_seconds;
  EXPECT_GT(a, 0);
  EXPECT_NEAR(b / a, 3, 1e-9);
  EXPECT_NEAR(a + b, bench.pipeline->busy_seconds(), 1e-9);
}

TEST(Pipeline, TellsProgressSparingly) {
  Bench bench;
  const auto began = std::chrono::steady_clock::now();
  bench.hook = [&](const std::string& stage, const std::string&, Progress* progress) {
    if (stage != "run") return;
    while (bench.record.of(Event::Kind::progress).size() < 3 &&
           std::chrono::steady_clock::now() - began < test::kPatience)
      for (int i = 0; i < 1000; ++i) progress->report(0.5);
  };
  bench.start();
  bench.pipeline->add(bench.assignment("a"));
  bench.record.outcome("a");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const std::vector<Event> told = bench.record.of(Event::Kind::progress);
  ASSERT_GE(told.size(), 3U);
  EXPECT_LE(static_cast<double>(told.size()), 5 * took.count());
  EXPECT_EQ(told[0].stage, "compute");
  EXPECT_EQ(told[0].fraction, 0.5);
}

TEST(Pipeline, WhateverHappensEachAttemptEndsOnce) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    Bench bench;
    std::mt19937 random(seed);
    std::map<std::string, std::string> fails;  // name -> stage
    std::vector<Assignment> all;
    for (std::size_t i = 0; i < 200; ++i) {
      const std::string name = numbered(i);
      Assignment made = bench.assignment(name, random() % 2 ? "test.single" : "test.batch", random() % 4 == 0,
                                         {{"key", std::string(1, "xyz"[random() % 3])},
                                          {"host-bytes", random() % 50},
                                          {"prefetch-bytes", random() % 2 * 10}});
      made.priority = static_cast<Priority>(random() % kPriorities);
      if (random() % 5 == 0) fails[name] = std::vector{"load", "prefetch", "run", "store"}[random() % 4];
      all.push_back(made);
    }
    bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
      if (const auto found = fails.find(name); found != fails.end() && found->second == stage)
        throw Error(ErrorCode::input, "as planned");
    };
    PipelineOptions options;
    options.limits.host_bytes = 100;
    options.limits.most_jobs = 4;
    options.limits.max_delay_s = 0.001;
    bench.start(options);
    std::set<std::string> cancelled;
    for (const Assignment& assignment : all) {
      bench.pipeline->add(assignment);
      const std::string victim = numbered(random() % all.size());
      if (random() % 4 == 0) {
        bench.pipeline->cancel(victim);
        cancelled.insert(victim);
      }
    }
    if (seed % 2 == 0) bench.pipeline->drain();
    if (seed % 4 == 1)
      for (const Assignment& assignment : all) bench.record.outcome(assignment.token);
    bench.pipeline.reset();
    bench.expect_one_last_word_each();
    EXPECT_EQ(bench.record.of(Event::Kind::ended).size(), all.size());
    EXPECT_LE(bench.most_held, 100U);
    EXPECT_EQ(bench.held, 0U);
    for (const Event& event : bench.record.of(Event::Kind::ended)) {
      const Kind kind = event.outcome.kind;
      EXPECT_NE(kind, Kind::may_pass) << event.outcome.error;
      EXPECT_TRUE(kind != Kind::failed || fails.contains(event.token));
      EXPECT_TRUE(kind != Kind::cancelled || cancelled.contains(event.token));
      if (kind == Kind::succeeded) {
        const auto found = fails.find(event.token);
        EXPECT_TRUE(found == fails.end() || found->second == "prefetch") << "it was to fail at " << found->second;
      }
      const bool has_folder = std::filesystem::exists(bench.folder.path() / "results" / event.job / event.token);
      EXPECT_EQ(has_folder, !event.outcome.result.empty());
    }
  }
}

}  // namespace
}  // namespace kiban::engine
