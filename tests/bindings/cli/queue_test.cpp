#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/bindings/cli/queue_fixture.hpp"

namespace kiban::test {
namespace {

const std::vector<std::string> kCommands = {"status", "watch",   "queue", "cancel", "retry",  "pause", "resume",
                                            "backup", "restore", "prune", "worker", "replay", "submit"};

TEST(QueueCommands, EachDescribesItself) {
  const std::string overview = kiban({"help"}).out;
  for (const std::string& command : kCommands) {
    const Finished help = kiban({command, "--help"});
    EXPECT_EQ(help.status, 0) << help.err;
    EXPECT_NE(help.out.find("Usage: kiban " + command), std::string::npos) << help.out;
    EXPECT_NE(help.out.find("--json"), std::string::npos) << command;
    EXPECT_EQ(help.out.find("default: )"), std::string::npos) << help.out;
    EXPECT_NE(overview.find(command), std::string::npos) << command;
    std::size_t begin = 0;
    for (std::size_t end; (end = help.out.find('\n', begin)) != std::string::npos; begin = end + 1)
      EXPECT_LE(end - begin, 100U) << command << ": " << help.out.substr(begin, end - begin);
    // Whatever else is wrong, help is given.
    EXPECT_EQ(kiban({command, "--nonsense", "--help"}).out, help.out);
    expect_failure({command, "--nonsense"}, 2, "there is no option --nonsense");
  }
  EXPECT_EQ(overview.find("executor"), std::string::npos) << "it is the worker's";
  expect_failure({"executor", "by hand"}, 2, "kiban worker");
  expect_failure({"stats"}, 2, "did you mean status?");
}

TEST(QueueCommands, SubmitDescribesEveryOperation) {
  for (const nlohmann::json& operation : nlohmann::json::parse(kiban({"ops", "--json"}).out)) {
    const std::string help = kiban({"submit", operation["name"], "--help"}).out;
    for (const char* part : {"--priority", "--after", "--tag", "--wait", "kiban submit"})
      EXPECT_NE(help.find(part), std::string::npos) << help;
    for (const nlohmann::json& port : operation["ports"])
      EXPECT_NE(help.find("--" + port["name"].get<std::string>()), std::string::npos);
  }
}

TEST_F(QueueTest, ASubmittedJobIsAsItWasAskedFor) {
  const Finished submitted =
      on_queue_run(affine("out.mha", {"--priority", "urgent", "--submitter", "ward-3", "--tag", "site=north",
                                      "modality=ct", "--timeout", "60", "--key", "k1"}));
  ASSERT_EQ(submitted.status, 0) << submitted.err;
  ASSERT_EQ(submitted.out.size(), 27U) << "the id and nothing else: " << submitted.out;
  const std::string id = submitted.out.substr(0, 26);
  const nlohmann::json job = this->job(id), asked = job["submission"];
  EXPECT_EQ(job["state"], "queued");
  EXPECT_EQ(job["priority"], "urgent");
  EXPECT_EQ(job["manifest"], "");
  EXPECT_EQ(asked["operation"], "skeleton.affine");
  EXPECT_EQ(asked["parameters"], (nlohmann::json{{"scale", 2.0}})) << "what was given, not the defaults";
  EXPECT_EQ(asked["inputs"], (nlohmann::json{{"input", input}}));
  EXPECT_EQ(asked["outputs"], (nlohmann::json{{"output", folder / "out.mha"}}));
  EXPECT_EQ(asked["submitter"], "ward-3");
  EXPECT_EQ(asked["key"], "k1");
  EXPECT_EQ(asked["timeout_s"], 60.0);
  EXPECT_EQ(asked["tags"], (nlohmann::json{{"site", "north"}, {"modality", "ct"}}));

  const std::string text = on_queue_run({"status", id}).out;
  for (const std::string& part : {id, std::string("queued"), input, folder / "out.mha", std::string("ward-3"),
                                  std::string("site=north"), std::string("scale: 2")})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in\n" << text;
  EXPECT_NE(on_queue_run({"status"}).out.find(id), std::string::npos);
  EXPECT_NE(on_queue_run({"queue"}).out.find("urgent"), std::string::npos);
  // What the queue knows can be asked for again, elsewhere.
  nlohmann::json again = asked;
  again["key"] = "k2";
  again["outputs"]["output"] = folder / "again.mha";
  std::ofstream(folder / "again.jsonl") << again.dump() << "\n";
  EXPECT_EQ(json({"submit", "--from", folder / "again.jsonl"})["jobs"].size(), 1U);
}

TEST_F(QueueTest, RelativePathsAndTheEnvironment) {
  const Finished finished = run({"sh", "-c",
                                 "cd \"$1\" && mkdir real && ln -s real link && KIBAN_QUEUE=\"$2\" \"$0\" submit "
                                 "skeleton.affine --input in.mha --output link/../link/out.mha --json",
                                 KIBAN_COMMAND, folder.path().string(), url});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const nlohmann::json asked = job(nlohmann::json::parse(finished.out)["id"])["submission"];
  EXPECT_EQ(asked["inputs"]["input"], input);
  EXPECT_EQ(asked["outputs"]["output"], folder / "real/out.mha") << "one file has one name";
  EXPECT_FALSE(asked["submitter"].get<std::string>().empty());
}

TEST_F(QueueTest, AKeyIsOneJob) {
  const std::string id = submit(affine("a.mha", {"--key", "scan-7"}));
  const nlohmann::json again = json(affine("a.mha", {"--key", "scan-7"}));
  EXPECT_EQ(again, (nlohmann::json{{"id", id}, {"existed", true}}));
  expect_refusal(affine("a.mha", {"--key", "scan-7", "--offset", "1"}), 2, "scan-7");
  EXPECT_EQ(jobs(), 1);
  EXPECT_NE(submit(affine("b.mha", {"--key", "scan-7", "--submitter", "another"})), id) << "keys are a submitter's own";
}

TEST_F(QueueTest, SubmitRefusesWhatARunWould) {
  const std::string nowhere = folder / "nowhere/out.mha";
  expect_refusal({"submit"}, 2, "from must be given");
  expect_failure({"submit"}, 2, "name of an operation");
  expect_refusal({"submit", "skeleton.afine"}, 2, "did you mean skeleton.affine?");
  expect_refusal({"submit", "skeleton.affine", "--input", input}, 2, "output must be given");
  expect_refusal(affine("o.mha", {"--offset", "far"}), 2, "offset is 'far', but must be a number");
  expect_refusal(affine("o.mha", {"--ofset", "1"}), 2, "did you mean --offset?");
  expect_refusal(affine("o.mha", {"--priority", "stta"}), 2, "did you mean stat?");
  expect_refusal(affine("o.mha", {"--timeout", "0"}), 2, "timeout is 0 s, but must be above 0 s");
  expect_refusal(affine("o.mha", {"--tag", "site"}), 2, "tag is 'site', but must be NAME=VALUE");
  expect_refusal(affine("o.mha", {"--tag", "site=North Wing"}), 2, "North Wing");
  expect_refusal(affine("o.mha", {"--submitter", "a b"}), 2, "a b");
  expect_refusal(affine("o.mha", {"--after", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}), 2, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  expect_refusal(affine("nowhere/out.mha"), 3, "there is no folder " + folder / "nowhere");
  expect_refusal(affine("q"), 3, "is a folder");
  expect_refusal(affine("in.mha"), 2, "input and output are the same file");
  expect_refusal({"submit", "skeleton.affine", "--input", folder / "no.mha", "--output", folder / "o.mha"}, 3,
                 "no.mha");
  EXPECT_EQ(jobs(), 0);

  submit(affine("o.mha"));
  expect_refusal(affine("o.mha"), 2, "o.mha");
  EXPECT_EQ(jobs(), 1);
  expect_failure(affine("o2.mha", {"--queue", "postgres://here"}), 2, "postgres://here");
  expect_failure(affine("o2.mha", {"--queue", "sqlite://" + input + "/q.sqlite"}), 3, input);
}

TEST_F(QueueTest, LinesAreTakenTogetherOrNotAtAll) {
  const auto line = [&](const std::string& output, const nlohmann::json& more = nlohmann::json::object()) {
    nlohmann::json request = {{"operation", "skeleton.affine"},
                              {"inputs", {{"input", input}}},
                              {"outputs", {{"output", folder / output}}},
                              {"parameters", {{"scale", 3}}}};
    request.update(more);
    return request.dump() + "\n";
  };
  const auto refused = [&](const std::string& lines, int status, const std::string& part) {
    std::ofstream(folder / "jobs.jsonl") << lines;
    expect_refusal({"submit", "--from", folder / "jobs.jsonl"}, status, part);
    EXPECT_EQ(jobs(), 0);
  };
  refused(line("a.mha") + "\n" + line("b.mha", {{"parameters", {{"scale", "much"}}}}), 2, "line 3: scale is");
  refused(line("a.mha") + "{\"operation\": \"skeleton.affine\"", 2, "line 2: this is no JSON object");
  refused("[]\n", 2, "line 1");
  refused("{}\n", 2, "line 1: operation must be given");
  refused(line("a.mha", {{"prority", "stat"}}), 2, "did you mean priority?");
  refused(line("a.mha", {{"priority", 7}}), 2, "priority");
  refused(line("a.mha", {{"operation_version", 99}}), 2, "operation_version is 99");
  refused(line("a.mha", {{"inputs", {{"inptu", input}}}}), 2, "did you mean input?");
  refused(line("a.mha", {{"inputs", nlohmann::json::object()}}), 2, "input must be given");
  refused(line("a.mha", {{"outputs", {{"output", ""}}}}), 2, "output needs the path");
  refused(line("a.mha", {{"inputs", {{"input", folder / "no.mha"}}}}), 3, "no.mha");
  refused(line("a.mha") + line("a.mha"), 2, "a.mha");
  refused("\n\n", 3, "no lines");
  expect_refusal({"submit", "--from", folder / "none.jsonl"}, 3, "none.jsonl");

  std::ofstream(folder / "jobs.jsonl") << line("a.mha", {{"priority", "stat"}, {"tags", {{"n", "1"}}}})
                                       << line("b.mha", {{"timeout_s", 5}, {"submitter", "other"}}) << "\n";
  const Finished taken = run({"sh", "-c",
                              "\"$0\" submit --from - --json --submitter us --priority research --queue "
                              "\"$1\" < \"$2\"",
                              KIBAN_COMMAND, url, folder / "jobs.jsonl"});
  ASSERT_EQ(taken.status, 0) << taken.err;
  const nlohmann::json receipts = nlohmann::json::parse(taken.out)["jobs"];
  ASSERT_EQ(receipts.size(), 2U);
  const nlohmann::json first = job(receipts[0]["id"]), second = job(receipts[1]["id"]);
  EXPECT_EQ(first["priority"], "stat");
  EXPECT_EQ(first["submission"]["submitter"], "us");
  EXPECT_EQ(second["priority"], "research");
  EXPECT_EQ(second["submission"]["submitter"], "other");
  EXPECT_EQ(second["submission"]["timeout_s"], 5.0);
}

TEST_F(QueueTest, StatusFilters) {
  const std::string a = submit(affine("a.mha", {"--submitter", "x", "--tag", "site=north"}));
  const std::string b = submit(affine("b.mha", {"--submitter", "y", "--tag", "site=south"}));
  const std::string c = submit(affine("c.mha", {"--submitter", "y"}));
  on_queue_run({"cancel", c});
  const auto ids = [&](std::vector<std::string> filter) {
    filter.insert(filter.begin(), "status");
    std::vector<std::string> found;
    const nlohmann::json all = json(filter);
    for (const nlohmann::json& job : all["jobs"]) found.push_back(job["id"]);
    return found;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids({}), (Ids{c, b, a})) << "the latest first";
  EXPECT_EQ(ids({"--most", "2"}), (Ids{c, b}));
  EXPECT_EQ(ids({"--state", "cancelled"}), Ids{c});
  EXPECT_EQ(ids({"--submitter", "y"}), (Ids{c, b}));
  EXPECT_EQ(ids({"--submitter", "y", "--state", "queued"}), Ids{b});
  EXPECT_EQ(ids({"--tag", "site=north"}), Ids{a});
  EXPECT_EQ(ids({"--operation", "ct.fdk"}), Ids{});
  expect_refusal({"status", "--state", "done"}, 2, "state is 'done'");
  expect_refusal({"status", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, 2, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  expect_refusal({"status", a, b}, 2, "unexpected argument " + b);
}

TEST_F(QueueTest, CancelRetryPauseResume) {
  const std::string parent = submit(affine("a.mha")), child = submit(affine("b.mha", {"--after", parent}));
  EXPECT_EQ(state(child), "waiting");
  EXPECT_EQ(json({"cancel", parent, "--why", "wrong patient"})["state"], "cancelled");
  EXPECT_NE(job(parent)["error"].get<std::string>().find("wrong patient"), std::string::npos);
  EXPECT_EQ(job(child)["state"], "cancelled");
  EXPECT_EQ(job(child)["fault_of"], parent);
  expect_refusal({"retry", child}, 2, parent);
  const Finished watched = on_queue_run({"watch", parent});
  EXPECT_EQ(watched.status, 1);
  EXPECT_NE(watched.err.find("wrong patient"), std::string::npos) << watched.err;

  EXPECT_EQ(on_queue_run({"retry", parent}).out, parent + " queued\n");
  EXPECT_EQ(state(child), "waiting");
  expect_refusal({"retry", parent}, 2, parent);
  expect_refusal({"retry"}, 2, "needs ID");
  expect_refusal({"cancel", "nobody"}, 2, "nobody");

  EXPECT_EQ(json({"pause"}), (nlohmann::json{{"paused", true}}));
  EXPECT_EQ(json({"queue"})["paused"], true);
  EXPECT_NE(on_queue_run({"queue"}).out.find("kiban resume"), std::string::npos);
  EXPECT_EQ(json({"resume"}), (nlohmann::json{{"paused", false}}));
  EXPECT_EQ(json({"queue"})["paused"], false);
}

TEST_F(QueueTest, Settings) {
  EXPECT_EQ(json({"queue", "--settings"})["settings"]["lease-s"], 60.0);
  const nlohmann::json set = json({"queue", "--set", "lease-s=30", "share-stat=55.5", "most-attempts=5"})["settings"];
  EXPECT_EQ(set["lease-s"], 30.0);
  EXPECT_EQ(set["share-stat"], 55.5);
  EXPECT_EQ(set["most-attempts"], 5);
  EXPECT_EQ(set["heartbeat-s"], 10.0) << "the others stay";
  expect_refusal({"queue", "--set", "leases=3"}, 2, "did you mean lease-s?");
  expect_refusal({"queue", "--set", "lease-s=-1"}, 2, "lease-s is -1 s");
  expect_refusal({"queue", "--set", "lease-s=20", "heartbeat-s=20"}, 2, "heartbeat");
  expect_refusal({"queue", "--set", "lease-s"}, 2, "NAME=VALUE");
  EXPECT_EQ(json({"queue", "--settings"})["settings"], set);
}

TEST_F(QueueTest, ErrorsAreOneJsonObject) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"status", "nobody", "--json"},
                                             {"submit", "ct.fdx", "--json"},
                                             {"prune", "--json"},
                                             {"backup", folder / "no/where", "--json"},
                                             {"replay", folder / "none.json", "--json"}}) {
    const Finished finished = kiban(command[0] == "replay" ? command : on_queue(command));
    ASSERT_TRUE(nlohmann::json::accept(finished.out)) << finished.out << finished.err;
    EXPECT_EQ(nlohmann::json::parse(finished.out)["error"]["code"], finished.status);
    EXPECT_NE(finished.status, 0);
    expect_one_line(finished);
  }
}

TEST_F(QueueTest, CtrlCEndsTheWaitingNotTheJob) {
  Guest process(kiban_command(on_queue(affine("out.mha", {"--wait"}))));
  ASSERT_TRUE(eventually([&] { return count("queued") == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it waits by now
  process.signal(SIGINT);
  const Finished finished = process.wait();
  EXPECT_EQ(finished.status, 128 + SIGINT) << finished.err;
  const std::string id = finished.out.substr(0, 26);
  EXPECT_NE(finished.err.find("kiban cancel " + id), std::string::npos) << finished.err;
  expect_one_line(finished);
  EXPECT_EQ(state(id), "queued");
}

}  // namespace
}  // namespace kiban::test
