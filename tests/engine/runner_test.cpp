#include "engine/runner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/core/error.hpp"
#include "tests/support/process.hpp"

namespace kiban::engine {
namespace {

/// What the engine did with a piece of work, in order.
using Diary = std::vector<std::string>;

/// An operation without a format or a field: it writes down what is asked of it.
class WrittenWork : public Work {
 public:
  WrittenWork(Diary& diary, Plan plan) : diary_(diary), plan_(plan) { diary_.push_back("load"); }
  ~WrittenWork() override { diary_.push_back("destroyed"); }
  Plan plan(Device) const override {
    diary_.push_back("plan");
    return plan_;
  }
  void run(Stream&, Progress& progress) override {
    diary_.push_back("run");
    for (int step = 1; step <= 4; ++step) {
      progress.enter("read");
      progress.enter("compute");
      progress.report(0.25 * step);
    }
  }
  void store(Progress& progress) override {
    progress.enter("write");
    diary_.push_back("store");
  }
  std::vector<Finding> findings() const override { return {{"centre", 295.5, "pixel"}}; }

 private:
  Diary& diary_;
  Plan plan_;
};

struct Bench {
  Diary diary;
  Plan plan{.updates = 1000, .host_bytes = 10, .device_bytes = 20, .batch_key = "key"};
  Operation operation = make();

  Operation make() {
    Operation made;
    made.name = "test.diary";
    made.version = 7;
    made.ports = {{"in", PortDirection::in, PortKind::volume, false, "In"},
                  {"out", PortDirection::out, PortKind::volume, false, "Out"}};
    made.parameters = {Parameter::integer("n", "", "Number").by_default(3)};
    made.load = [this](const Request&) { return std::make_unique<WrittenWork>(diary, plan); };
    return made;
  }
};

TEST(Runner, LoadsPlansRunsStoresAndReports) {
  Bench bench;
  std::vector<double> fractions;
  Progress progress([&](std::string_view, double fraction) { fractions.push_back(fraction); }, {});
  Stream stream(Device{}, 2);
  const Report report = run(bench.operation, request_from_text(bench.operation, {{"out", "o.mha"}}), stream, progress);
  EXPECT_EQ(bench.diary, (Diary{"load", "plan", "run", "store", "destroyed"}));
  EXPECT_TRUE(std::ranges::is_sorted(fractions));
  EXPECT_EQ(fractions.back(), 1);

  std::vector<std::string> stages;
  for (const StageTime& stage : report.stages) {
    stages.push_back(stage.stage);
    EXPECT_GE(stage.seconds, 0);
  }
  EXPECT_EQ(stages, (std::vector<std::string>{"load", "plan", "read", "compute", "write"}));

  const nlohmann::json json = to_json(report);
  EXPECT_EQ(json["operation"], "test.diary");
  EXPECT_EQ(json["operation_version"], 7);
  EXPECT_EQ(json["parameters"]["n"], 3);
  EXPECT_EQ(json["outputs"]["out"], "o.mha");
  EXPECT_EQ(json["findings"]["centre"]["value"], 295.5);
  EXPECT_EQ(json["updates"], 1000);
  EXPECT_EQ(json["batch_key"], "key");
  EXPECT_EQ(json["device"], "cpu");
  EXPECT_EQ(json["threads"], 2);
  EXPECT_GT(peak_memory_bytes(), std::size_t{1} << 20);
  EXPECT_NEAR(report.updates_per_second * progress.seconds("compute"), 1000, 1e-6);
  EXPECT_FALSE(version().empty());
  EXPECT_EQ(json["version"], version());
}

TEST(Runner, RefusesOneFileForTwoPorts) {
  Bench bench;
  Stream stream;
  for (const char* other : {"a.mha", "./a.mha", "b/../a.mha"}) {
    Progress progress;
    const Request request = request_from_text(bench.operation, {{"in", "a.mha"}, {"out", other}});
    try {
      run(bench.operation, request, stream, progress);
      ADD_FAILURE() << other << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
    }
  }
  EXPECT_TRUE(bench.diary.empty());
}

/// `run` refuses it as usage, before anything is opened.
void expect_same_file(const std::filesystem::path& in, const std::filesystem::path& out) {
  Bench bench;
  Stream stream;
  Progress progress;
  const Request request = request_from_text(bench.operation, {{"in", in.string()}, {"out", out.string()}});
  try {
    run(bench.operation, request, stream, progress);
    ADD_FAILURE() << out << " was accepted with " << in;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_NE(std::string(error.what()).find("in and out are the same file"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(bench.diary.empty());
}

TEST(Runner, RefusesToWriteOverAPartOfAnInput) {
  const test::Folder folder;
  for (const char* name : {"s1.tif", "s2.tif", "pixels.raw"}) std::ofstream(folder / name) << "xxxxxxxxxxxxxxxx";
  std::ofstream(folder / "volume.mhd") << "NDims = 2\nDimSize = 4 4\nBinaryData = True\nElementType = MET_UCHAR\n"
                                          "ElementDataFile = pixels.raw\n";
  expect_same_file(folder.path(), folder / "s2.tif");
  expect_same_file(folder / "s*.tif", folder / "s1.tif");
  expect_same_file(folder / "volume.mhd", folder / "pixels.raw");
}

TEST(Runner, FollowsLinksToWhatIsThereAndToWhatIsNot) {
  const test::Folder folder;
  std::filesystem::create_symlink("new.mha", folder / "first.mha");
  std::filesystem::create_symlink(folder / "first.mha", folder / "second.mha");
  expect_same_file(folder / "second.mha", folder / "new.mha");
  std::ofstream(folder / "new.mha") << "x";
  expect_same_file(folder / "first.mha", folder / "second.mha");
}

TEST(Runner, RefusesWhatDoesNotFitBeforeRunning) {
  Bench bench;
  bench.plan.host_bytes = std::size_t{1} << 50;
  Stream stream;
  Progress progress;
  try {
    run(bench.operation, {}, stream, progress);
    ADD_FAILURE() << "a pebibyte was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::input);
    EXPECT_NE(std::string(error.what()).find("1048576.0 GiB"), std::string::npos) << error.what();
  }
  EXPECT_EQ(bench.diary, (Diary{"load", "plan", "destroyed"}));
}

TEST(Runner, StopsWhenAsked) {
  Bench bench;
  double reached = 0;
  Progress progress([&](std::string_view, double fraction) { reached = fraction; }, [&] { return reached >= 0.5; });
  Stream stream;
  EXPECT_THROW(run(bench.operation, {}, stream, progress), Cancelled);
  EXPECT_EQ(bench.diary, (Diary{"load", "plan", "run", "destroyed"}));
}

TEST(Progress, AddsUpTheVisitsOfAStage) {
  Progress progress;
  progress.enter("a");
  progress.enter("b");
  progress.enter("a");
  progress.finish();
  ASSERT_EQ(progress.stages().size(), 2U);
  EXPECT_EQ(progress.stages()[0].stage, "a");
  const double seconds = progress.seconds("a");
  progress.finish();
  EXPECT_EQ(progress.seconds("a"), seconds) << "the clock stands after finish";
  EXPECT_EQ(progress.seconds("c"), 0);
}

}  // namespace
}  // namespace kiban::engine
