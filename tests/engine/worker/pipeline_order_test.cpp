#include <algorithm>

#include "tests/engine/worker/scripted_pipeline.hpp"

/// What runs when: overlap, urgency, memory, cancelling and draining. With gates, never with timings.
namespace kiban::engine {
namespace {

using test::Bench;
using test::Gate;
using Kind = Outcome::Kind;

PipelineOptions patient(int most_jobs = 16) {
  PipelineOptions options;
  options.limits.most_jobs = most_jobs;
  options.limits.max_delay_s = 1000;
  return options;
}

/// The names of jobs in the order in which they began.
std::vector<std::string> order_of(const Bench& bench) {
  std::vector<std::string> names;
  for (const Event& event : bench.record.of(Event::Kind::began)) names.push_back(event.token);
  return names;
}

/// Waits until something holds that no gate can tell.
template <class Condition>
bool comes_true(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + test::kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TEST(PipelineOrder, LoadsTheNextAndStoresTheLastWhileItComputes) {
  Bench bench;
  Gate storing, computing, loading;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "store" && name == "last") storing.pass();
    if (stage == "run" && name == "now") computing.pass();
    if (stage == "load" && name == "next") loading.pass();
  };
  bench.start();
  for (const char* name : {"last", "now", "next"}) bench.pipeline->add(bench.assignment(name, "test.single", true));
  EXPECT_TRUE(storing.reached());
  EXPECT_TRUE(computing.reached());
  EXPECT_TRUE(loading.reached()) << "all three at once";
  EXPECT_EQ(bench.record.of(Event::Kind::ended).size(), 0U);
  for (Gate* gate : {&storing, &computing, &loading}) gate->open();
  for (const char* name : {"last", "now", "next"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
}

TEST(PipelineOrder, TheMostUrgentGoesFirstAndStatOvertakesWhatIsLoaded) {
  Bench bench;
  Gate computing;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "run" && name == "first") computing.pass();
  };
  bench.start(patient());
  bench.pipeline->add(bench.assignment("first"));
  ASSERT_TRUE(computing.reached());
  const auto add = [&](const std::string& name, Priority priority, const char* operation, const char* key) {
    Assignment assignment = bench.assignment(name, operation, false, {{"key", key}});
    assignment.priority = priority;
    bench.pipeline->add(assignment);
  };
  add("research", Priority::research, "test.single", "");
  for (int i = 0; i < 16; ++i) add("r" + std::to_string(i), Priority::routine, "test.batch", "k");
  add("urgent", Priority::urgent, "test.single", "");
  // All of them are loaded: a full batch is ready.
  ASSERT_TRUE(comes_true([&] { return bench.record.of(Event::Kind::opened).size() == 19; }));
  add("stat", Priority::stat, "test.single", "");
  ASSERT_TRUE(comes_true([&] { return bench.record.of(Event::Kind::opened, "stat").size() == 1; }));
  add("last", Priority::research, "test.single", "");
  ASSERT_TRUE(comes_true([&] { return bench.record.of(Event::Kind::opened, "last").size() == 1; }))
      << "what was added before it is in the batcher by now";
  computing.open();
  bench.record.outcome("last");
  std::vector<std::string> order = order_of(bench);
  ASSERT_EQ(order.size(), 21U);
  EXPECT_EQ(order[0], "first");
  EXPECT_EQ(order[1], "stat");
  EXPECT_EQ(order[2], "urgent");
  EXPECT_EQ(order[3], "r0");
  EXPECT_EQ(order[18], "r15");
  EXPECT_EQ(order[19], "research");
  EXPECT_EQ(order[20], "last");
}

TEST(PipelineOrder, TheMostUrgentIsLoadedFirst) {
  Bench bench;
  Gate loading;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "load" && name == "first") loading.pass();
  };
  bench.start();
  bench.pipeline->add(bench.assignment("first"));
  ASSERT_TRUE(loading.reached());
  for (const int priority : {3, 1, 2, 0, 2, 0}) {
    static int count = 0;
    Assignment assignment = bench.assignment(std::to_string(priority) + std::to_string(count++));
    assignment.priority = static_cast<Priority>(priority);
    bench.pipeline->add(assignment);
  }
  loading.open();
  bench.record.outcome("30");
  std::vector<std::string> opened;
  for (const Event& event : bench.record.of(Event::Kind::opened)) opened.push_back(event.token);
  EXPECT_EQ(opened, (std::vector<std::string>{"first", "03", "05", "11", "22", "24", "30"}));
}

TEST(PipelineOrder, MemoryOfAllThatIsLoadedStaysWithinTheLimit) {
  Bench bench;
  PipelineOptions options = patient(4);
  options.limits.host_bytes = 1000;
  options.limits.max_delay_s = 0.001;
  bench.start(options);
  for (int i = 0; i < 100; ++i)
    bench.pipeline->add(bench.assignment(
        std::to_string(i), i % 2 ? "test.single" : "test.batch", i % 10 == 0,
        {{"key", "k"}, {"host-bytes", 100 + i}, {"device-bytes", 150}, {"prefetch-bytes", i % 3 * 100}}));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(bench.record.outcome(std::to_string(i)).kind, Kind::succeeded);
  EXPECT_LE(bench.most_held, 1000U);
  EXPECT_GE(bench.most_held, 349U) << "the counter counts";
  EXPECT_GT(bench.prefetched, 0);
}

TEST(PipelineOrder, PrefetchesWhereThereIsRoomAndRunsWithoutWhereThereIsNot) {
  Bench bench;
  PipelineOptions options;
  options.limits.host_bytes = 100;
  bench.start(options);
  bench.pipeline->add(bench.assignment("fits", "test.single", false, {{"host-bytes", 60}, {"prefetch-bytes", 40}}));
  EXPECT_EQ(bench.record.outcome("fits").kind, Kind::succeeded);
  EXPECT_EQ(bench.prefetched, 1);
  bench.pipeline->add(bench.assignment("large", "test.single", false, {{"host-bytes", 60}, {"prefetch-bytes", 41}}));
  EXPECT_EQ(bench.record.outcome("large").kind, Kind::succeeded);
  EXPECT_EQ(bench.prefetched, 1);
}

TEST(PipelineOrder, WhatNeverFitsFailsAtOnceWithBothNumbers) {
  Bench bench;
  PipelineOptions options;
  options.limits.host_bytes = 1000;
  bench.start(options);
  bench.pipeline->add(bench.assignment("a", "test.single", true, {{"host-bytes", 900}, {"device-bytes", 101}}));
  const Outcome outcome = bench.record.outcome("a");
  EXPECT_EQ(outcome.kind, Kind::failed);
  EXPECT_NE(outcome.error.find("1001 bytes"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("1000 bytes"), std::string::npos) << outcome.error;
  EXPECT_EQ(bench.record.of(Event::Kind::began).size(), 0U);
}

TEST(PipelineOrder, WhereMemoryIsFullNobodyWaitsForCompany) {
  Bench bench;
  PipelineOptions options = patient();
  options.limits.host_bytes = 100;
  bench.start(options);
  // Neither key's batch is full, and the third job has no room beside them.
  bench.pipeline->add(bench.assignment("a", "test.batch", false, {{"key", "k"}, {"host-bytes", 40}}));
  bench.pipeline->add(bench.assignment("b", "test.batch", false, {{"key", "l"}, {"host-bytes", 40}}));
  bench.pipeline->add(bench.assignment("c", "test.single", false, {{"host-bytes", 90}}));
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
}

TEST(PipelineOrder, StatTakesTheMemoryOfWhatIsLoaded) {
  Bench bench;
  Gate computing;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "run" && name == "first") computing.pass();
  };
  PipelineOptions options;
  options.limits.host_bytes = 100;
  bench.start(options);
  bench.pipeline->add(bench.assignment("first", "test.single", false, {{"host-bytes", 10}}));
  ASSERT_TRUE(computing.reached());
  for (const char* name : {"a", "b"})
    bench.pipeline->add(bench.assignment(name, "test.single", true, {{"host-bytes", 40}, {"prefetch-bytes", 1}}));
  ASSERT_TRUE(comes_true([&] { return bench.prefetched == 2; }));
  Assignment stat = bench.assignment("stat", "test.single", false, {{"host-bytes", 45}, {"prefetch-bytes", 1}});
  stat.priority = Priority::stat;
  bench.pipeline->add(stat);
  ASSERT_TRUE(comes_true([&] { return bench.prefetched == 3; })) << "it is loaded while the first still computes";
  computing.open();
  for (const char* name : {"stat", "a", "b"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
  EXPECT_EQ(order_of(bench)[1], "stat");
  EXPECT_EQ(bench.record.of(Event::Kind::opened, "a").size(), 1U) << "the one that came last stepped back";
  EXPECT_EQ(bench.record.of(Event::Kind::opened, "b").size(), 2U);
  EXPECT_LE(bench.most_held, 100U);
}

TEST(PipelineOrder, CancelsAtEveryStage) {
  Bench bench;
  Gate loading, computing, storing;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress* progress) {
    if (stage == "load" && name == "loading") loading.pass();
    if (stage == "store" && name == "storing") storing.pass();
    if (stage != "run" || name != "computing") return;
    const auto until = std::chrono::steady_clock::now() + test::kPatience;
    computing.open();
    computing.pass();
    while (std::chrono::steady_clock::now() < until) progress->check();
  };
  bench.start(patient());
  bench.pipeline->add(bench.assignment("storing", "test.single", true));
  ASSERT_TRUE(storing.reached());
  bench.pipeline->add(bench.assignment("computing", "test.single", true));
  ASSERT_TRUE(computing.reached());
  bench.pipeline->add(bench.assignment("loaded", "test.batch", true, {{"key", "k"}}));
  bench.pipeline->add(bench.assignment("loading", "test.single", true));
  ASSERT_TRUE(loading.reached());
  bench.pipeline->add(bench.assignment("waiting", "test.single", true));
  for (const char* name : {"waiting", "loading", "loaded", "computing", "storing", "nobody"})
    bench.pipeline->cancel(name);
  loading.open();
  EXPECT_EQ(bench.record.outcome("waiting").kind, Kind::cancelled);
  EXPECT_EQ(bench.record.outcome("loaded").kind, Kind::cancelled);
  EXPECT_EQ(bench.record.outcome("loading").kind, Kind::cancelled);
  EXPECT_EQ(bench.record.outcome("computing").kind, Kind::cancelled);
  storing.open();
  EXPECT_EQ(bench.record.outcome("storing").kind, Kind::cancelled);
  EXPECT_EQ(order_of(bench), (std::vector<std::string>{"storing", "computing"}));
  bench.pipeline->cancel("storing");  // it is over
  EXPECT_TRUE(comes_true([&] { return bench.pipeline->unfinished() == 0; }));
  bench.expect_one_last_word_each();
  for (const char* name : {"loading", "computing", "storing"})
    EXPECT_FALSE(std::filesystem::exists(bench.assignment(name).folder)) << name;
}

TEST(PipelineOrder, OneOfABatchIsCancelledAlone) {
  Bench bench;
  Gate computing;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress* progress) {
    if (stage == "run" && name == "a") computing.pass();
    if (stage == "run") progress->check();
  };
  bench.start(patient(3));
  for (const char* name : {"a", "b", "c"})
    bench.pipeline->add(bench.assignment(name, "test.batch", true, {{"key", "k"}}));
  ASSERT_TRUE(computing.reached());
  bench.pipeline->cancel("b");
  computing.open();
  EXPECT_EQ(bench.record.outcome("b").kind, Kind::cancelled);
  for (const char* name : {"a", "c"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
}

TEST(PipelineOrder, ABatchThatNobodyWantsAnyMoreStops) {
  Bench bench;
  Gate computing;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "run" && name == "a") computing.pass();  // looks at no stop request: the stream does, between pieces
  };
  bench.start(patient(2));
  for (const char* name : {"a", "b"}) bench.pipeline->add(bench.assignment(name, "test.batch", true, {{"key", "k"}}));
  ASSERT_TRUE(computing.reached());
  for (const char* name : {"a", "b"}) bench.pipeline->cancel(name);
  computing.open();
  for (const char* name : {"a", "b"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::cancelled);
  bench.pipeline.reset();
  bench.expect_one_last_word_each();
}

TEST(PipelineOrder, DrainingFinishesWhatComputesAndGivesTheRestBack) {
  Bench bench;
  Gate loading, computing;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "load" && name == "loading") loading.pass();
    if (stage == "run" && name == "computing") computing.pass();
  };
  bench.start(patient());
  bench.pipeline->add(bench.assignment("computing", "test.single", true));
  ASSERT_TRUE(computing.reached());
  bench.pipeline->add(bench.assignment("loaded", "test.batch", true, {{"key", "k"}}));
  bench.pipeline->add(bench.assignment("loading", "test.single", true));
  ASSERT_TRUE(loading.reached());
  bench.pipeline->add(bench.assignment("waiting", "test.single", true));
  EXPECT_THROW(bench.pipeline->add(bench.assignment("waiting")), Error) << "it is here already";
  EXPECT_EQ(bench.pipeline->unfinished(), 4);
  std::thread draining([&] { bench.pipeline->drain(); });
  for (const char* name : {"waiting", "loaded"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::given_back) << name;
  bench.pipeline->add(bench.assignment("late"));
  EXPECT_EQ(bench.record.outcome("late").kind, Kind::given_back);
  loading.open();
  EXPECT_EQ(bench.record.outcome("loading").kind, Kind::given_back);
  computing.open();
  draining.join();
  EXPECT_EQ(bench.record.outcome("computing").kind, Kind::succeeded);
  EXPECT_EQ(bench.pipeline->unfinished(), 0);
  bench.pipeline.reset();
  bench.expect_one_last_word_each();
}

TEST(PipelineOrder, DrainingFinishesWhatIsComputedAndStored) {
  Bench bench;
  Gate storing;
  bench.hook = [&](const std::string& stage, const std::string& name, Progress*) {
    if (stage == "store" && name == "storing") storing.pass();
  };
  bench.start(patient());
  for (const char* name : {"storing", "computed"}) bench.pipeline->add(bench.assignment(name, "test.single", true));
  ASSERT_TRUE(storing.reached());
  ASSERT_TRUE(comes_true([&] { return bench.launches == 2; }));
  bench.pipeline->add(bench.assignment("loaded", "test.batch", true, {{"key", "k"}}));
  std::thread draining([&] { bench.pipeline->drain(); });
  EXPECT_EQ(bench.record.outcome("loaded").kind, Kind::given_back);
  storing.open();
  draining.join();
  for (const char* name : {"storing", "computed"}) EXPECT_EQ(bench.record.outcome(name).kind, Kind::succeeded);
}

TEST(PipelineOrder, ItsEndWaitsForWhatComputes) {
  Bench bench;
  Gate computing;
  bench.hook = [&](const std::string& stage, const std::string&, Progress*) {
    if (stage == "run") computing.pass();
  };
  bench.start();
  for (const char* name : {"a", "b", "c"}) bench.pipeline->add(bench.assignment(name, "test.single", true));
  ASSERT_TRUE(computing.reached());
  std::thread ending([&] { bench.pipeline.reset(); });
  EXPECT_EQ(bench.record.outcome("b").kind, Kind::given_back);
  computing.open();
  ending.join();
  EXPECT_EQ(bench.record.outcome("a").kind, Kind::succeeded);
  bench.expect_one_last_word_each();
  EXPECT_EQ(bench.record.of(Event::Kind::ended).size(), 3U);
}

}  // namespace
}  // namespace kiban::engine
