#include "engine/watch_folder/watcher.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/watch_folder/watched_folder.hpp"

namespace kiban::test {
namespace {

namespace fs = std::filesystem;
using engine::Job;
using engine::JobState;

TEST(FolderWatcher, SubmitsWhatTheRuleSays) {
  Watched watched;
  watched.drop_head("study 1");
  watched.settle();
  ASSERT_EQ(watched.jobs().size(), 1);
  const Job job = watched.jobs()[0];
  EXPECT_EQ(job.submission.operation, "test.scale");
  EXPECT_EQ(job.submission.operation_version, 7);
  EXPECT_EQ(job.submission.parameters, nlohmann::json({{"factor", 2.0}}));
  EXPECT_EQ(job.submission.priority, engine::Priority::urgent);
  EXPECT_EQ(job.submission.submitter, "room-2");
  EXPECT_EQ(job.submission.inputs.at("scan"), watched.in / "study 1/v.mha");
  EXPECT_EQ(job.submission.key.size(), 64);
  EXPECT_EQ(job.submission.tags.at("content"), job.submission.key);
  const fs::path output = job.submission.outputs.at("result");
  EXPECT_EQ(output.parent_path(), watched.results / "2026-11-18");
  EXPECT_TRUE(output.filename().string().starts_with("study_1-")) << output;
  EXPECT_TRUE(fs::is_directory(output.parent_path()));
}

TEST(FolderWatcher, WaitsUntilNothingChangesAnyMore) {
  Watched watched;
  watched.drop_head("s");
  watched.look();
  for (int i = 0; i < 5; ++i) {
    write_text(watched.in / "s/.v.mha.part", std::string(i, 'x'));
    watched.look(9);
    EXPECT_EQ(watched.jobs().size(), 0);
  }
  watched.look(9);
  EXPECT_EQ(watched.jobs().size(), 0);
  watched.look(1);
  EXPECT_EQ(watched.jobs().size(), 1);
}

TEST(FolderWatcher, AMarkerCompletesAtOnceAndIsNoContent) {
  Watched watched;
  watched.drop_head("s");
  write_text(watched.in / "s/DONE", "now");
  watched.look();
  ASSERT_EQ(watched.jobs().size(), 1);
  const std::string key = watched.jobs()[0].submission.key;
  fs::remove(watched.in / "s/DONE");
  watched.settle();
  EXPECT_EQ(watched.jobs().size(), 1);
  EXPECT_EQ(watched.jobs()[0].submission.key, key);
}

TEST(FolderWatcher, AnEmptyFolderIsNoStudyYet) {
  Watched watched;
  fs::create_directories(watched.in / "s/inner");
  write_text(watched.in / "plain file", "x");
  fs::create_directory_symlink(watched.results, watched.in / "link");
  watched.look();
  watched.look(1000);
  EXPECT_TRUE(fs::exists(watched.in / "s"));
  EXPECT_TRUE(fs::is_empty(watched.unmatched));
}

TEST(FolderWatcher, TheSameStudyIsOneJobUnderAnyNameAndAfterARestart) {
  Watched watched;
  watched.drop_head("s");
  watched.drop_head("s again");
  watched.settle();
  EXPECT_EQ(watched.jobs().size(), 1);
  for (int i = 0; i < 3; ++i) {
    watched.start();
    watched.settle();
    EXPECT_EQ(watched.jobs().size(), 1);
  }
  watched.clock.boot_s += 86400;  // {date} is another
  watched.rules.replace(watched.rules.find("factor = 2"), 10, "factor = 3");
  watched.start();
  watched.settle();
  EXPECT_EQ(watched.jobs().size(), 1) << "once by content, whatever the rules say later";
  watched.succeed();
  watched.look();
  watched.drop_head("third");
  watched.settle();
  EXPECT_EQ(watched.jobs().size(), 1);
}

TEST(FolderWatcher, DoneStudiesAreMovedOnceTheResultHasItsName) {
  Watched watched;
  watched.drop_head("s");
  watched.settle();
  const auto claims = watched.queue->claim({.worker = "w", .most = 1, .only = {}});
  engine::Outcome outcome;
  outcome.lease = claims.at(0).lease;
  outcome.result = "r";
  watched.queue->finish({outcome});
  watched.look();
  EXPECT_TRUE(fs::exists(watched.in / "s")) << "succeeded, but not published";
  watched.queue->published(claims[0].job.id, "");
  watched.look();
  EXPECT_FALSE(fs::exists(watched.in / "s"));
  EXPECT_EQ(read_text(watched.done / "s/v.mha"), "voxels");
  watched.look(100);
  EXPECT_EQ(watched.told("done"), 1);
}

TEST(FolderWatcher, AFailedStudyStaysForRetry) {
  Watched watched;
  watched.drop_head("s");
  watched.settle();
  engine::Outcome outcome;
  outcome.lease = watched.queue->claim({.worker = "w", .most = 1, .only = {}}).at(0).lease;
  outcome.kind = engine::Outcome::Kind::failed;
  outcome.error_code = ErrorCode::input;
  outcome.error = "no";
  watched.queue->finish({outcome});
  for (int i = 0; i < 3; ++i) watched.look(100);
  EXPECT_TRUE(fs::exists(watched.in / "s"));
  EXPECT_EQ(watched.told("finished"), 1);
  watched.queue->retry(watched.jobs()[0].id);
  watched.succeed();
  watched.look();
  EXPECT_TRUE(fs::exists(watched.done / "s"));
}

TEST(FolderWatcher, NewFilesSupersedeAlsoAfterARestart) {
  for (const bool restart : {false, true}) {
    Watched watched;
    watched.drop_head("s");
    watched.settle();
    const std::string first = watched.jobs().at(0).id;
    if (restart) watched.watcher.reset();
    write_text(watched.in / "s/more", "x");
    if (restart) watched.start();
    watched.settle();
    ASSERT_EQ(watched.jobs().size(), 2);
    EXPECT_EQ(watched.queue->find(first).state, JobState::cancelled);
    EXPECT_EQ(watched.jobs()[0].state, JobState::queued);
    EXPECT_EQ(watched.jobs()[0].submission.outputs, watched.queue->find(first).submission.outputs);

    fs::remove(watched.in / "s/more");  // as it was: the first one's content again
    watched.settle();
    EXPECT_EQ(watched.jobs().size(), 2);
    EXPECT_EQ(watched.queue->find(first).state, JobState::queued);
  }
}

TEST(FolderWatcher, ASupersededContentInAnotherFolderIsRunThere) {
  Watched watched;
  watched.drop_head("s");
  watched.settle();
  write_text(watched.in / "s/more", "x");
  watched.settle();
  watched.drop_head("t");
  watched.settle();
  ASSERT_EQ(watched.jobs().size(), 3);
  EXPECT_EQ(watched.jobs()[0].submission.inputs.at("scan"), watched.in / "t/v.mha");
  EXPECT_EQ(watched.jobs()[0].state, JobState::queued);
}

TEST(FolderWatcher, WhatMatchesNothingIsSetAsideWithReasonsWithoutValues) {
  Watched watched;
  write_text(watched.in / "few/x.txt", "x");
  write_text(watched.in / "tags/v.mha", "x");
  write_text(watched.in / "tags/t", "TAGS\nModality=MR\nName=Secret^Name\n");
  write_text(watched.in / "broken/v.mha", "x");
  write_text(watched.in / "broken/t", "BROKEN\n");
  write_text(watched.in / "link/v.mha", "x");
  fs::create_symlink("/etc/passwd", watched.in / "link/l");
  watched.settle();
  EXPECT_EQ(watched.jobs().size(), 0);
  EXPECT_EQ(watched.reason("few"),
            "rule \"head\": 0 files are like \"*.mha\", and 1 are needed\n"
            "rule \"other\": 0 files are like \"*.mha\", and 2 are needed\n");
  EXPECT_NE(watched.reason("tags").find("rule \"head\": no file has Modality like \"CT\"\n"), std::string::npos)
      << watched.reason("tags");
  EXPECT_NE(watched.reason("broken").find("file 1 of 2"), std::string::npos) << watched.reason("broken");
  EXPECT_NE(watched.reason("link").find("a link in it"), std::string::npos);
  EXPECT_TRUE(fs::exists(watched.unmatched / "tags/v.mha"));
  for (const char* name : {"few", "tags", "broken", "link"}) {
    EXPECT_EQ(watched.reason(name).find("Secret"), std::string::npos);
    EXPECT_EQ(watched.reason(name).find("MR"), std::string::npos);
  }
  EXPECT_EQ(watched.told("unmatched"), 4);
}

TEST(FolderWatcher, TheFirstRuleThatMatchesHasTheStudy) {
  Watched watched;
  write_text(watched.in / "two/a.mha", "1");
  write_text(watched.in / "two/b.mha", "2");
  watched.settle();
  ASSERT_EQ(watched.jobs().size(), 1);
  EXPECT_EQ(watched.jobs()[0].submission.inputs.at("scan"), watched.in / "two");
  EXPECT_EQ(watched.jobs()[0].submission.outputs.at("result"),
            watched.results / (watched.jobs()[0].submission.key.substr(0, 16) + ".mha"));
}

TEST(FolderWatcher, HostileNamesStayInTheirPlaces) {
  Watched watched;
  const std::vector<std::string> names = {"a..b", "-rf", "a b\nc", "$(touch x)", "{key}", std::string(250, 'n')};
  for (const std::string& name : names) watched.drop_head(name, "voxels of " + name);
  watched.drop_head("\xff\xfe");
  watched.drop_head("...");  // hidden
  watched.settle();
  EXPECT_EQ(watched.jobs().size(), names.size());
  for (const Job& job : watched.jobs())
    EXPECT_EQ(fs::path(job.submission.outputs.at("result")).parent_path(), watched.results / "2026-11-18");
  EXPECT_NE(watched.reason("\xff\xfe").find("not UTF-8"), std::string::npos);
  EXPECT_TRUE(fs::exists(watched.in / "..."));
}

TEST(FolderWatcher, TwoStudiesWhoseOutputsWouldMeetStayApart) {
  Watched watched;
  watched.drop_head("a b", "1");
  watched.drop_head("a_b", "2");
  watched.drop_head("a\tb", "3");
  watched.settle();
  std::set<std::string> outputs;
  for (const Job& job : watched.jobs()) outputs.insert(job.submission.outputs.at("result"));
  EXPECT_EQ(outputs.size(), 3);
}

TEST(FolderWatcher, WhatIsRefusedIsTriedAgainAndOthersGoOn) {
  Watched watched;
  engine::QueueSettings settings = watched.queue->settings();
  settings.most_unfinished = 1;
  watched.queue->change_settings(settings);
  watched.drop_head("s", "1");
  watched.drop_head("t", "2");
  watched.settle();
  EXPECT_EQ(watched.jobs().size(), 1);
  EXPECT_EQ(watched.told("failed"), 1);
  watched.look();
  EXPECT_EQ(watched.told("failed"), 1) << "not at once";
  watched.succeed();
  watched.look(2);
  EXPECT_EQ(watched.jobs().size(), 2);
}

TEST(FolderWatcher, AFolderThatDisappearsIsForgotten) {
  Watched watched;
  watched.drop_head("s");
  watched.look();
  fs::remove_all(watched.in / "s");
  watched.look(10);
  EXPECT_EQ(watched.told("gone"), 1);
  watched.drop_head("s");
  watched.look();
  EXPECT_EQ(watched.jobs().size(), 0) << "the quiet time begins anew";
}

TEST(FolderWatcher, OneAtATime) {
  Watched watched;
  EXPECT_NE(
      complaint(
          [&] {
            engine::FolderWatcher(
                watched.in,
                engine::read_watch_rules(watched.folder / "rules.toml", watched.in, small_registry(), small_tags()),
                small_tags(), *watched.queue, [](const char*, const nlohmann::json&) {}, watched.clock);
          },
          ErrorCode::input)
          .find("watched by another process"),
      std::string::npos);
}

TEST(FolderWatcher, TheLogHasNoNamesPathsOrValues) {
  Watched watched;
  watched.drop_head("Secret-Study");
  write_text(watched.in / "Secret-Other/x", "x");
  watched.settle();
  watched.succeed();
  watched.look(10);
  ASSERT_GE(watched.log.size(), 4);
  for (const nlohmann::json& line : watched.log) {
    EXPECT_EQ(line.dump().find("Secret"), std::string::npos) << line;
    EXPECT_EQ(line.dump().find('/'), std::string::npos) << line;
    EXPECT_EQ(line.dump().find("NECK"), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace kiban::test
