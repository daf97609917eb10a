#include "engine/worker/attempt.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>

#include "engine/worker/replay.hpp"
#include "tests/engine/worker/scripted_pipeline.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;
using kiban::test::Folder;
using kiban::test::read_text;
using test::Bench;

void write_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

ino_t inode(const fs::path& path) {
  struct stat found {};
  EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
  return found.st_ino;
}

TEST(Attempt, DigestsAreThoseOfTheStandard) {
  const Folder folder;
  write_file(folder / "empty", "");
  write_file(folder / "abc", "abc");
  write_file(folder / "million", std::string(1'000'000, 'a'));  // FIPS 180-2, B.3
  EXPECT_EQ(digest_of(folder / "empty").sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of(folder / "abc").sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of(folder / "million").sha256, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(digest_of(folder / "million").bytes, 1'000'000U);
  EXPECT_THROW(digest_of(folder / "missing"), Error);
  EXPECT_THROW(digest_of(folder.path()), Error);
}

TEST(Attempt, NamesFilesByPortAndExtension) {
  EXPECT_EQ(file_in_attempt("volume", "/a/b.c/knee.nii.gz"), "volume.nii.gz");
  EXPECT_EQ(file_in_attempt("volume", "/a/knee.mha"), "volume.mha");
  EXPECT_EQ(file_in_attempt("volume", "/a/knee"), "volume");
}

TEST(Attempt, RequestsHoldWhatWasGivenAndRedirectOutputs) {
  Bench bench;
  const Operation& operation = bench.registry.find("test.single");
  Assignment assignment = bench.assignment("a", "test.single", true, {{"updates", 7}});
  assignment.submission.inputs["in"] = "/x/in.mha";
  const Request request = request_of(assignment, operation);
  EXPECT_EQ(request.path("in"), "/x/in.mha");
  EXPECT_EQ(request.path("out"), assignment.folder / "out.bin");
  EXPECT_EQ(request.parameters.integer("updates"), 7);
  EXPECT_TRUE(request.parameters.given("updates"));
  EXPECT_FALSE(request.parameters.given("host-bytes")) << "operations ask what was given";
  for (int wrong = 0; wrong < 5; ++wrong) {
    Assignment bad = assignment;
    if (wrong == 0) bad.submission.operation_version = 3;
    if (wrong == 1) bad.submission.inputs["out"] = "/x/y";
    if (wrong == 2) bad.submission.outputs["in"] = "/x/y";
    if (wrong == 3) bad.submission.parameters["speed"] = 1;
    if (wrong == 4) bad.submission.parameters["updates"] = "many";
    try {
      request_of(bad, operation);
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage) << wrong;
    }
  }
}

/// A sealed folder of two outputs, and where they are to go.
struct Result {
  Folder folder;
  fs::path attempt = folder.path() / "results" / "job" / "0123abcd";
  Submission submission;
  Result() {
    write_file(attempt / "volume.mha", "the volume");
    write_file(attempt / "preview.png", "the preview");
    fs::create_directory(folder / "out");
    submission.outputs = {{"volume", folder / "out/knee.mha"}, {"preview", folder / "out/knee.png"}};
  }
  std::vector<std::string> published() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder / "out")) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  void expect_published() const {
    EXPECT_EQ(published(), (std::vector<std::string>{"knee.mha", "knee.png"}));
    EXPECT_EQ(read_text(folder / "out/knee.mha"), "the volume");
    EXPECT_EQ(read_text(folder / "out/knee.png"), "the preview");
  }
  std::string refused() const {
    try {
      publish(attempt, submission);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
      return error.what();
    }
    ADD_FAILURE() << "it was published";
    return "";
  }
};

TEST(Attempt, SealsWithAManifest) {
  const Result result;
  seal(result.attempt, {{"manifest", 1}});
  EXPECT_EQ(nlohmann::json::parse(read_text(result.attempt / "manifest.json")), (nlohmann::json{{"manifest", 1}}));
  std::vector<Sealing> sealings;
  const nlohmann::json manifest = {{"manifest", 1}};
  sealings.push_back({result.folder.path() / "results" / "job" / "missing", &manifest, {}});
  sealings.push_back({result.attempt, &manifest, {}});
  seal_together(sealings);
  EXPECT_THROW(std::rethrow_exception(sealings[0].failure), Error);
  EXPECT_FALSE(sealings[1].failure) << "the others go on";
}

TEST(Attempt, PublishesAgainAndAgain) {
  const Result result;
  for (int times = 0; times < 3; ++times) {
    publish(result.attempt, result.submission);
    result.expect_published();
    EXPECT_EQ(inode(result.folder / "out/knee.mha"), inode(result.attempt / "volume.mha")) << "no copy is made";
  }
  publish(result.folder.path() / "nowhere", Submission{});  // a job without outputs has no folder
}

TEST(Attempt, AnIndexIsPublishedBesideItsFile) {
  Result result;
  write_file(result.attempt / "volume.mha.tbi", "the index");
  write_file(result.attempt / "volume.mhd", "no index");
  EXPECT_EQ(names_beside(result.attempt, "volume.mha"), std::vector<std::string>{".tbi"});
  publish(result.attempt, result.submission);
  publish(result.attempt, result.submission);
  EXPECT_EQ(result.published(), (std::vector<std::string>{"knee.mha", "knee.mha.tbi", "knee.png"}));
  EXPECT_EQ(read_text(result.folder / "out/knee.mha.tbi"), "the index");
}

TEST(Attempt, PublishingGoesOnAfterACrash) {
  // Killed after each step in turn: hidden links there, half a hidden copy there, one of two renamed.
  for (int step = 0; step < 4; ++step) {
    const Result result;
    const fs::path hidden = result.folder / "out/.kiban-0123abcd-volume.mha";
    if (step == 0) fs::create_hard_link(result.attempt / "volume.mha", hidden);
    if (step == 1) write_file(hidden, "half");
    if (step >= 2) fs::create_hard_link(result.attempt / "volume.mha", result.folder / "out/knee.mha");
    if (step == 3) fs::create_hard_link(result.attempt / "volume.mha", hidden);
    publish(result.attempt, result.submission);
    result.expect_published();
  }
}

TEST(Attempt, PublishingReplacesAtomicallyAndKeepsPermissionsAndLinks) {
  const Result result;
  write_file(result.folder / "out/knee.mha", "an older volume");
  chmod((result.folder / "out/knee.mha").c_str(), 0640);
  fs::create_symlink("elsewhere.png", result.folder / "out/knee.png");
  publish(result.attempt, result.submission);
  EXPECT_EQ(read_text(result.folder / "out/knee.mha"), "the volume");
  EXPECT_EQ(fs::status(result.folder / "out/knee.mha").permissions(), static_cast<fs::perms>(0640));
  EXPECT_TRUE(fs::is_symlink(result.folder / "out/knee.png"));
  EXPECT_EQ(read_text(result.folder / "out/elsewhere.png"), "the preview");
}

TEST(Attempt, PublishingRefusesClearlyAndLeavesNothing) {
  {
    const Result result;
    fs::remove(result.folder / "out");
    EXPECT_NE(result.refused().find("create the folder"), std::string::npos) << result.refused();
  }
  {
    const Result result;
    fs::create_directory(result.folder / "out/knee.png");
    EXPECT_NE(result.refused().find("is a folder"), std::string::npos) << result.refused();
    EXPECT_EQ(result.published(), std::vector<std::string>{"knee.png"});
  }
  {
    const Result result;
    fs::remove(result.attempt / "volume.mha");
    EXPECT_NE(result.refused().find("gone"), std::string::npos) << result.refused();
    EXPECT_EQ(result.published(), std::vector<std::string>{});
  }
  {
    const Result result;
    fs::remove_all(result.attempt);
    EXPECT_NE(result.refused().find("gone"), std::string::npos) << result.refused();
  }
}

TEST(Attempt, PublishingCopiesToAnotherFileSystem) {
  std::string name = "/dev/shm/kiban-test-XXXXXX";
  const Result result;
  struct stat here {
  }, there{};
  ASSERT_EQ(stat(result.folder.path().c_str(), &here), 0);
  if (stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev || !mkdtemp(name.data()))
    GTEST_SKIP() << "there is no second file system";
  Submission submission;
  submission.outputs = {{"volume", name + "/knee.mha"}};
  write_file(name + "/.kiban-0123abcd-volume.mha", "half a copy");
  for (int times = 0; times < 2; ++times) publish(result.attempt, submission);
  EXPECT_EQ(read_text(name + "/knee.mha"), "the volume");
  EXPECT_EQ(std::distance(fs::directory_iterator(name), fs::directory_iterator{}), 1);
  fs::remove_all(name);
}

TEST(Attempt, MessagesSurviveTheWire) {
  Bench bench;
  Assignment assignment = bench.assignment("a", "test.single", true, {{"updates", 7}});
  assignment.priority = Priority::urgent;
  assignment.alone = true;
  const Assignment read = assignment_from_json(nlohmann::json::parse(to_json(assignment).dump()));
  EXPECT_EQ(to_json(read), to_json(assignment));
  EXPECT_EQ(read.folder, assignment.folder);
  EXPECT_TRUE(read.alone);
  for (const Event::Kind kind : {Event::Kind::opened, Event::Kind::began, Event::Kind::progress, Event::Kind::ended})
    for (int outcome = 0; outcome < 6; ++outcome) {
      Event event;
      event.kind = kind;
      event.job = "job";
      event.token = "token";
      event.stage = "compute";
      event.fraction = 0.25;
      event.batch_size = 3;
      event.outcome.kind = static_cast<Outcome::Kind>(outcome);
      event.outcome.error_code = ErrorCode::device;
      event.outcome.error = "it \"broke\"\n";
      event.outcome.device_seconds = 1.5;
      event.outcome.result = "job/token";
      const Event same = event_from_json(nlohmann::json::parse(to_json(event).dump()));
      EXPECT_EQ(to_json(same), to_json(event));
      EXPECT_EQ(same.kind, kind);
      if (kind != Event::Kind::ended) continue;
      EXPECT_EQ(same.outcome.kind, event.outcome.kind);
      EXPECT_EQ(same.outcome.lease.token, "token");
      EXPECT_EQ(same.outcome.error, event.outcome.error);
      EXPECT_EQ(same.outcome.error_code, ErrorCode::device);
      EXPECT_EQ(same.outcome.result, "job/token");
    }
  for (const char* broken : {"{}", "[]", "7", R"({"event":"sung","job":"j","token":"t"})", R"({"event":"ended"})"})
    EXPECT_THROW(event_from_json(nlohmann::json::parse(broken)), Error) << broken;
  EXPECT_THROW(assignment_from_json(nlohmann::json::object()), Error);
}

/// The manifest of a job with an input, run by a pipeline.
struct Replayed {
  Bench bench;
  fs::path manifest = bench.folder.path() / "results/job-a/a/manifest.json";
  Stream stream;
  Replayed() {
    write_file(bench.folder / "in.mha", "what goes in");
    Assignment assignment = bench.assignment("a", "test.single", true, {{"updates", 7}});
    assignment.submission.inputs["in"] = bench.folder / "in.mha";
    bench.start();
    bench.pipeline->add(assignment);
    EXPECT_EQ(bench.record.outcome("a").kind, Outcome::Kind::succeeded);
  }
  Replay again() { return replay(bench.registry, manifest, stream); }
  template <class Change>
  void edit(const Change& change) const {
    nlohmann::json json = nlohmann::json::parse(read_text(manifest));
    change(json);
    write_file(manifest, json.dump());
  }
};

TEST(Replay, GivesTheSameDigests) {
  Replayed replayed;
  const Replay same = replayed.again();
  EXPECT_TRUE(same.identical());
  EXPECT_EQ(same.differences, std::vector<std::string>{});
  ASSERT_EQ(same.outputs.size(), 1U);
  EXPECT_EQ(same.outputs[0].port, "out");
  EXPECT_EQ(same.outputs[0].sha256, digest_of(replayed.bench.result_file("a")).sha256);
  EXPECT_FALSE(fs::exists(replayed.bench.folder / "asked-a.bin")) << "it writes nowhere else";
}

TEST(Replay, SaysWhatDiffers) {
  Replayed replayed;
  replayed.edit([](nlohmann::json& json) {
    json["outputs"]["out"]["sha256"] = std::string(64, '0');
    json["instruction_set"] = "abacus";
  });
  const Replay other = replayed.again();
  EXPECT_FALSE(other.identical());
  ASSERT_EQ(other.differences.size(), 1U);
  EXPECT_NE(other.differences[0].find("abacus"), std::string::npos);
}

TEST(Replay, RefusesWhatIsNotWhatItWas) {
  const auto refused = [](const auto& spoil, ErrorCode code) {
    Replayed replayed;
    spoil(replayed);
    try {
      replayed.again();
      ADD_FAILURE() << "it ran";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  };
  refused([](Replayed& r) { write_file(r.bench.folder / "in.mha", "something else"); }, ErrorCode::input);
  refused([](Replayed& r) { fs::remove(r.bench.folder / "in.mha"); }, ErrorCode::input);
  refused([](Replayed& r) { fs::remove(r.manifest); }, ErrorCode::input);
  refused([](Replayed& r) { write_file(r.manifest, "{\"manifest\": 1, \"subm"); }, ErrorCode::input);
  refused([](Replayed& r) { write_file(r.manifest, "[1]"); }, ErrorCode::input);
  refused([](Replayed& r) { r.edit([](nlohmann::json& json) { json.erase("inputs"); }); }, ErrorCode::input);
  refused([](Replayed& r) { r.edit([](nlohmann::json& json) { json["outputs"]["out"] = 4; }); }, ErrorCode::input);
  refused([](Replayed& r) { r.edit([](nlohmann::json& json) { json["submission"]["operation_version"] = 9; }); },
          ErrorCode::usage);
  refused([](Replayed& r) { r.edit([](nlohmann::json& json) { json["submission"]["operation"] = "no.such"; }); },
          ErrorCode::usage);
}

}  // namespace
}  // namespace kiban::engine
