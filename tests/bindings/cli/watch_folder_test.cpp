#include <fstream>
#include <random>

#include "tests/bindings/cli/queue_fixture.hpp"
#include "tests/io/dicom/part_10.hpp"

namespace kiban::test {
namespace {

namespace fs = std::filesystem;

/// A watched folder for skeleton.affine, whose studies are a volume and perhaps a DICOM file.
class WatchFolder : public QueueTest {
 protected:
  fs::path in = folder / "in", results = folder / "results", unmatched = in / "unmatched", done = in / "done";
  std::string rules = folder / "rules.toml";

  void SetUp() override {
    QueueTest::SetUp();
    fs::create_directory(in);
    write_rules("quiet_s = 1.5\nmarker = \"DONE\"\ndone = \"done\"\n");
  }
  void write_rules(const std::string& settings) const {
    std::ofstream(rules) << "[settings]\n"
                         << settings << "[[rule]]\nname = \"heads\"\noperation = \"skeleton.affine\"\n"
                         << "priority = \"stat\"\nmatch.files.\"*.mha\" = 1\nmatch.dicom.Modality = \"CT\"\n"
                         << "match.dicom.BodyPartExamined = [\"HEAD\", \"NECK*\"]\ninputs.input = \"{file:*.mha}\"\n"
                         << "outputs.output = \"" << results.string() << "/{study}-{dicom:Modality}.mha\"\n"
                         << "parameters.scale = 3\n";
  }
  std::vector<std::string> watch(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"watch-folder", in, "--rules", rules, "--queue", url};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return kiban_command(arguments);
  }
  /// Under a hidden name, then renamed: whole at once.
  void drop(const std::string& name, const std::string& body_part = "HEAD", const std::string& comment = "") const {
    const fs::path hidden = in / ".dropping";
    fs::create_directory(hidden);
    fs::copy_file(input, hidden / "volume.mha");
    std::ofstream(hidden / "header.dcm", std::ios::binary) << ct_file("CT", body_part);
    if (!comment.empty()) std::ofstream(hidden / "comment") << comment;
    fs::rename(hidden, in / name);
  }
  void mark(const std::string& name) const { std::ofstream(in / name / "DONE"); }
  static Finished stop(Process& process) {
    process.signal(SIGTERM);
    return process.wait();
  }
  std::size_t files(const fs::path& at) const {
    std::error_code none;
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(at, none), fs::directory_iterator()));
  }
};

TEST_F(WatchFolder, AStudyBecomesAResultByQuietAndByMarker) {
  Process watcher(watch({"--json"}));
  drop("quiet");
  drop("by-marker", "NECK-2", "another content");
  mark("by-marker");
  ASSERT_TRUE(eventually([&] { return jobs() == 2; }));
  work();
  ASSERT_TRUE(eventually([&] { return files(done) == 2; }));
  const Finished finished = stop(watcher);
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(nlohmann::json::parse(finished.out)["ended"], "stopped");

  const Volume before = io::read_volume(input);
  for (const char* name : {"quiet-CT.mha", "by-marker-CT.mha"}) {
    const Volume after = io::read_volume(results / name);
    EXPECT_EQ(after.values.host()(2, 3, 4), 3 * before.values.host()(2, 3, 4)) << name;
  }
  for (const char* secret : {"quiet", "by-marker", "/", "Secret", "HEAD", "NECK", "heads"})
    EXPECT_EQ(finished.err.find(secret), std::string::npos) << secret << " in the log:\n" << finished.err;
  EXPECT_NE(finished.err.find("\"event\":\"submitted\""), std::string::npos) << finished.err;
}

TEST_F(WatchFolder, WhatIsNoStudyOfOursIsSetAside) {
  Process watcher(watch());
  drop("a knee", "KNEE");
  drop("line\nbreak ..", "FOOT");
  fs::create_directory(in / "broken");
  fs::copy_file(input, in / "broken/volume.mha");
  std::ofstream(in / "broken/header.dcm", std::ios::binary) << ct_file("CT", "HEAD").substr(0, 286);
  std::ofstream(in / "half") << "a file, no study";
  ASSERT_TRUE(eventually([&] { return files(unmatched) == 6; }));
  EXPECT_EQ(stop(watcher).status, 0);
  EXPECT_EQ(jobs(), 0);
  EXPECT_EQ(read_text(unmatched / "a knee.reason.txt"),
            "rule \"heads\": no file has BodyPartExamined like \"HEAD\" or \"NECK*\"\n");
  EXPECT_TRUE(fs::exists(unmatched / "line\nbreak ../volume.mha"));
  EXPECT_NE(read_text(unmatched / "broken.reason.txt").find("file 1 of 2"), std::string::npos)
      << read_text(unmatched / "broken.reason.txt");
}

TEST_F(WatchFolder, AFileThatCannotBeReadIsAReason) {
  drop("s");
  fs::permissions(in / "s/volume.mha", fs::perms::none);
  std::vector<std::string> command = watch();
  // Without the rights by which root reads everything.
  if (geteuid() == 0)
    command.insert(command.begin(), {"setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"});
  Process watcher(command);
  EXPECT_TRUE(eventually([&] { return fs::exists(unmatched / "s"); }));
  const Finished finished = stop(watcher);
  EXPECT_NE(read_text(unmatched / "s.reason.txt").find("file 2 of 2"), std::string::npos)
      << read_text(unmatched / "s.reason.txt") << finished.err;
}

TEST_F(WatchFolder, AFolderThatGrowsIsLeftAloneAndOneThatGoesIsForgotten) {
  Process watcher(watch());
  drop("growing");
  drop("going", "HEAD", "x");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  fs::remove_all(in / "going");
  for (int i = 0; i < 20; ++i) {  // longer than the quiet time, never as long without a change
    std::ofstream(in / "growing/more", std::ios::app) << i;
    EXPECT_EQ(jobs(), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_TRUE(eventually([&] { return jobs() == 1; }));
  const Finished finished = stop(watcher);
  EXPECT_EQ(finished.status, 0) << finished.err;
}

TEST_F(WatchFolder, KilledAtAnyTimeItSubmitsOnceAndLosesNothing) {
  constexpr int studies = 6;
  for (int i = 0; i < studies; ++i) {
    drop("s" + std::to_string(i), i % 3 == 2 ? "KNEE" : "HEAD", "content " + std::to_string(i % 3 == 1 ? i - 1 : i));
    mark("s" + std::to_string(i));
  }
  std::mt19937 random(20261125);
  for (int kills = 0; kills < 12; ++kills) {
    Process watcher(watch());
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 150));
    watcher.signal(SIGKILL);
    watcher.wait();
    if (kills == 6) work();
  }
  Process watcher(watch());
  ASSERT_TRUE(eventually([&] { return jobs() == 2 && files(unmatched) == 4; }));
  work();
  EXPECT_TRUE(eventually([&] { return files(done) == 4; }));
  EXPECT_EQ(stop(watcher).status, 0);
  EXPECT_EQ(jobs(), 2) << "s0 and s1 have one content, s3 and s4 another";
  for (int i = 0; i < studies; ++i)
    EXPECT_TRUE(fs::exists((i % 3 == 2 ? unmatched : done) / ("s" + std::to_string(i)) / "volume.mha")) << i;
}

TEST_F(WatchFolder, ASecondWatcherIsRefused) {
  Process watcher(watch());
  ASSERT_TRUE(eventually([&] { return fs::exists(unmatched); }));
  const std::vector<std::string> again = {"watch-folder", in, "--rules", rules, "--queue", url};
  expect_failure(again, 3, "watched by another process");
  EXPECT_EQ(stop(watcher).status, 0);
}

TEST_F(WatchFolder, MistakesAreToldBeforeAnythingIsWatched) {
  const auto expect = [&](int status, const std::string& part, const std::string& at) {
    expect_failure({"watch-folder", at, "--rules", rules, "--queue", url}, status, part);
  };
  expect(3, "is not a folder", folder / "none");
  write_rules("quite_s = 3\n");
  expect(2, "rules.toml, line 2: there is no key quite_s; did you mean quiet_s?", in);
  write_rules("quiet_s = 3\n[rule.match]\n");
  expect(2, "rules.toml, line", in);
  std::ofstream(rules) << "[[rule]]\nname = \"a\"\noperation = \"skeleton.affine\"\nmatch.dicom.Modalty = \"CT\"\n";
  expect(2, "rules.toml, line 4: Modalty is no keyword of DICOM", in);
  EXPECT_FALSE(fs::exists(unmatched));
}

TEST_F(WatchFolder, TheExampleOfTheDocumentationIsSound) {
  const std::string page = read_text(KIBAN_DOCS "/watch-folder.md"), fence = "```toml\n";
  const std::size_t begin = page.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const std::size_t end = page.find("```", begin + fence.size());
  std::ofstream(rules) << page.substr(begin + fence.size(), end - begin - fence.size());
  const Finished finished = kiban({"watch-folder", in, "--rules", rules, "--check", "--json"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(finished.out, "{\"rules\":2}\n");
  EXPECT_FALSE(fs::exists(unmatched)) << "a check changes nothing";
}

}  // namespace
}  // namespace kiban::test
