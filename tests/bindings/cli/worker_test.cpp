#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <set>

#include "tests/bindings/cli/queue_fixture.hpp"

namespace kiban::test {
namespace {

TEST_F(QueueTest, WaitReturnsWithTheResultThatARunGives) {
  ASSERT_EQ(kiban({"run", "skeleton.affine", "--input", input, "--output", folder / "run.mha", "--scale", "2"}).status,
            0);
  Guest worker(this->worker({}));
  const Finished waited = on_queue_run(affine("out.mha", {"--wait"}));
  EXPECT_EQ(waited.status, 0) << waited.err;
  EXPECT_EQ(waited.err, "") << "no progress bar in a pipe";
  EXPECT_NE(waited.out.find("output: " + folder / "out.mha"), std::string::npos) << waited.out;
  EXPECT_EQ(read_text(folder / "out.mha"), read_text(folder / "run.mha"));

  const nlohmann::json job = json(affine("out2.mha", {"--wait"}));
  EXPECT_EQ(job["state"], "succeeded");
  EXPECT_EQ(job["published"], true);
  EXPECT_EQ(read_text(folder / "out2.mha"), read_text(folder / "run.mha"));

  // A failure has the sentence and the exit status that a run has.
  std::ofstream(folder / "bad.mha") << "nonsense";
  const std::vector<std::string> asked = {"skeleton.affine", "--input", folder / "bad.mha", "--output",
                                          folder / "out3.mha"};
  std::vector<std::string> submitted = {"submit"}, ran = {"run"};
  submitted.insert(submitted.end(), asked.begin(), asked.end());
  submitted.push_back("--wait");
  ran.insert(ran.end(), asked.begin(), asked.end());
  const Finished failed = on_queue_run(submitted), failed_run = kiban(ran);
  EXPECT_EQ(failed.status, 3) << failed.err;
  EXPECT_EQ(failed_run.status, 3);
  const std::string sentence = failed_run.err.substr(std::string("kiban: ").size());
  EXPECT_NE(failed.err.find(sentence), std::string::npos) << failed.err << "lacks\n" << sentence;
  EXPECT_FALSE(std::filesystem::exists(folder / "out3.mha"));

  worker.signal(SIGTERM);
  const Finished drained = worker.wait();
  EXPECT_EQ(drained.status, 0) << drained.err;
  for (std::size_t begin = 0, end; (end = drained.err.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = drained.err.substr(begin, end - begin);
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    EXPECT_EQ(line.find(folder.path().string()), std::string::npos) << "a path in the log: " << line;
  }
}

TEST_F(QueueTest, WhatWaitsForAJobNeedsItsInputsLater) {
  const std::string scan = submit({"submit", "ct.simulate", "--phantom", "shepp-logan", "--views", "8", "--columns",
                                   "16", "--projections", folder / "p.mha", "--geometry", folder / "g.xml"});
  const std::vector<std::string> fdk = {"submit",     "ct.fdk",         "--projections", folder / "p.mha",
                                        "--geometry", folder / "g.xml", "--size",        "8",
                                        "--volume",   folder / "v.mha", "--spacing-mm",  "20"};
  expect_refusal(fdk, 3, "g.xml");
  std::vector<std::string> later = fdk;
  later.insert(later.end(), {"--after", scan});
  const std::string volume = submit(later);
  EXPECT_EQ(state(volume), "waiting");
  work();
  EXPECT_EQ(state(scan), "succeeded");
  EXPECT_EQ(state(volume), "succeeded") << job(volume)["error"];
  EXPECT_EQ(io::read_volume(folder / "v.mha").grid.nx(), 8);
}

TEST_F(QueueTest, ARequestThatAsksWhatWasGivenStillRuns) {
  // ct.simulate refuses views beside scan-geometry: a default that the queue wrote out would be one.
  ASSERT_EQ(kiban({"run", "ct.geometry", "--views", "8", "--geometry", folder / "scan.xml"}).status, 0);
  const std::string id = submit({"submit", "ct.simulate", "--phantom", "shepp-logan", "--scan-geometry",
                                 folder / "scan.xml", "--columns", "16", "--projections", folder / "p.mha"});
  work();
  EXPECT_EQ(state(id), "succeeded") << job(id)["error"];
}

/// A job that computes for a while.
std::vector<std::string> slow(const Folder& folder, const std::string& views) {
  return {"submit",    "ct.simulate", "--phantom",     "shepp-logan",    "--views",    views,
          "--columns", "64",          "--projections", folder / "p.mha", "--geometry", folder / "g.xml"};
}

TEST_F(QueueTest, SigtermDrains) {
  const std::string running = submit(slow(folder, "20000")), log = folder / "log.jsonl";
  Guest worker(this->worker({"--batch", "1", "--log", log, "--json"}));
  ASSERT_TRUE(eventually([&] { return read_text(log).find("began") != std::string::npos; }));
  json({"pause"});  // what is submitted now cannot begin
  const std::string queued = submit(affine("later.mha"));
  worker.signal(SIGTERM);
  const Finished drained = worker.wait();
  EXPECT_EQ(drained.status, 0) << drained.err;
  EXPECT_EQ(drained.err, "") << "the log is a file";
  EXPECT_EQ(nlohmann::json::parse(drained.out)["ended"], "drained");
  EXPECT_EQ(state(running), "succeeded") << "what computes is finished";
  EXPECT_TRUE(std::filesystem::exists(folder / "p.mha"));
  EXPECT_EQ(state(queued), "queued");
  EXPECT_EQ(count("running"), 0);
}

TEST_F(QueueTest, CancelStopsWhatRuns) {
  json({"queue", "--set", "heartbeat-s=0.2"});
  const std::string id = submit(slow(folder, "1000000"));
  Guest worker(this->worker());
  ASSERT_TRUE(eventually([&] {  // it goes to and fro between the two
    const std::string stage = job(id)["stage"];
    return stage == "compute" || stage == "write";
  }));
  EXPECT_NE(on_queue_run({"cancel", id}).out.find("asked to stop"), std::string::npos);
  const Finished watched = on_queue_run({"watch", id});
  EXPECT_EQ(watched.status, 1) << watched.err;
  EXPECT_NE(watched.err.find("was cancelled"), std::string::npos) << watched.err;
  EXPECT_EQ(worker.wait().status, 0) << "idle again";
  EXPECT_FALSE(std::filesystem::exists(folder / "p.mha"));
  // The attempt's folder went with it; its job's may stay, empty.
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "q/results"))
    if (!entry.is_directory()) left.push_back(entry.path());
  EXPECT_TRUE(left.empty()) << left.front();
}

TEST_F(QueueTest, TwoWorkersShareAQueue) {
  std::ofstream lines(folder / "jobs.jsonl");
  constexpr int kJobs = 24;
  for (int i = 0; i < kJobs; ++i)
    lines << nlohmann::json{{"operation", "skeleton.affine"},
                            {"inputs", {{"input", input}}},
                            {"outputs", {{"output", folder / ("out-" + std::to_string(i) + ".mha")}}},
                            {"parameters", {{"scale", i}}}}
                 .dump()
          << "\n";
  lines.close();
  ASSERT_EQ(json({"submit", "--from", folder / "jobs.jsonl"})["jobs"].size(), std::size_t{kJobs});
  Guest first(worker({"--exit-when-idle", "1", "--batch", "2"})),
      second(worker({"--exit-when-idle", "1", "--batch", "2"}));
  const Finished again = on_queue_run({"watch"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_NE(again.out.find("succeeded 24, failed 0"), std::string::npos) << again.out;
  EXPECT_EQ(first.wait().status, 0);
  EXPECT_EQ(second.wait().status, 0);
  std::set<std::string> tokens;
  const nlohmann::json all = json({"status", "--most", "1000"});
  for (const nlohmann::json& job : all["jobs"]) {
    EXPECT_EQ(job["state"], "succeeded") << job;
    EXPECT_EQ(job["attempts"], 0);
    EXPECT_EQ(job["lost_leases"], 0);
    EXPECT_TRUE(tokens.insert(job["token"]).second);
    const double scale = job["submission"]["parameters"]["scale"];
    const Volume volume = io::read_volume(job["submission"]["outputs"]["output"].get<std::string>());
    EXPECT_EQ(volume.values.host()(2, 3, 4), static_cast<float>(59 * scale));
  }
  EXPECT_EQ(tokens.size(), static_cast<std::size_t>(kJobs));
}

TEST_F(QueueTest, ReplayComparesDigests) {
  const std::string id = submit(affine("out.mha"));
  work();
  const nlohmann::json done = job(id);
  const std::string manifest = done["manifest"];
  ASSERT_TRUE(std::filesystem::exists(manifest)) << done;
  EXPECT_NE(on_queue_run({"status", id}).out.find(manifest), std::string::npos);
  const Finished replayed = kiban({"replay", manifest, "--json"});
  EXPECT_EQ(replayed.status, 0) << replayed.err;
  EXPECT_EQ(nlohmann::json::parse(replayed.out)["identical"], true);
  EXPECT_NE(kiban({"replay", manifest}).out.find("output: identical"), std::string::npos);

  // A record of other results is told apart.
  nlohmann::json forged = nlohmann::json::parse(read_text(manifest));
  const std::string digest = nlohmann::json::parse(replayed.out)["outputs"][0]["sha256"];
  std::string text = forged.dump();
  for (std::size_t at; (at = text.find(digest)) != std::string::npos;) text.replace(at, 64, std::string(64, '0'));
  std::ofstream(folder / "forged.json") << text;
  const Finished differs = kiban({"replay", folder / "forged.json"});
  EXPECT_EQ(differs.status, 1) << differs.err;
  EXPECT_NE(differs.out.find("output: differs"), std::string::npos) << differs.out;

  // Another input is no replay.
  std::filesystem::permissions(input, std::filesystem::perms::owner_all);
  std::ofstream(input, std::ios::app | std::ios::binary) << 'x';
  expect_failure({"replay", manifest}, 3, "input");
  std::ofstream(folder / "no.json") << "{}";
  expect_failure({"replay", folder / "no.json"}, 3, "no.json");
  expect_failure({"replay"}, 2, "needs MANIFEST");
}

TEST_F(QueueTest, BackupRestorePrune) {
  const std::string before = submit(affine("a.mha"));
  const std::string backup = folder / "backup.sqlite";
  EXPECT_EQ(on_queue_run({"backup", backup}).out, backup + "\n");
  expect_refusal({"backup", backup}, 3, backup);
  const std::string after = submit(affine("b.mha"));
  work();
  EXPECT_EQ(state(before), "succeeded");
  const std::string later = job(after)["manifest"];

  const nlohmann::json restored = json({"restore", backup});
  EXPECT_TRUE(std::filesystem::exists(restored["set_aside"].get<std::string>())) << restored;
  const std::vector<std::string> manifests = restored["later_results"];
  EXPECT_EQ(manifests.size(), 2U) << "of the job that it has as queued, and of the one that it has not";
  EXPECT_EQ(std::ranges::count(manifests, later), 1) << restored;
  EXPECT_EQ(state(before), "queued");
  expect_refusal({"status", after}, 2, after);
  expect_refusal({"restore", input}, 3, "in.mha");

  work();
  EXPECT_EQ(json({"prune", "--older-than", "30d"})["jobs"], 0);
  const nlohmann::json pruned = json({"prune", "--older-than", "0s"});
  EXPECT_EQ(pruned["jobs"], 1) << pruned;
  EXPECT_GE(pruned["folders"], 1) << pruned;
  EXPECT_EQ(jobs(), 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "a.mha")) << "the outputs are the user's";
  EXPECT_NE(read_text(folder / "q/pruned.jsonl").find(before), std::string::npos);
  for (const char* bad : {"30", "d", "-1d", "1w", "1e999d", "", "nan s"})
    expect_refusal({"prune", "--older-than", bad}, 2, "older-than");
}

TEST_F(QueueTest, AWorkerRefusesWhatCannotWork) {
  expect_refusal({"worker", "--simd", "mmx"}, 2, "mmx");
  expect_refusal({"worker", "--batch", "0"}, 2, "batch is 0");
  expect_refusal({"worker", "--device", "gpu", "--log", folder / "log"}, 2, "gpu");
  expect_refusal({"worker", "--device", "cuda:99", "--log", folder / "log"}, 4, "CUDA");
  expect_refusal({"worker", "--log", folder / "no/log"}, 3, "no/log");
  expect_refusal({"worker", "--exit-when-idle", "soon"}, 2, "exit-when-idle");
}

}  // namespace
}  // namespace kiban::test
