#pragma once
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/engine/queue/queue_suite.hpp"

/// What is asked for: submissions, keys, output paths, jobs that wait for others, looking things up.
namespace kiban::engine::test {

class QueueSubmit : public QueueSuite {};

TEST_P(QueueSubmit, AJobIsFoundAsItWasAskedForAlsoAfterReopening) {
  Submission asked = request("dr.who@clinic", Priority::urgent);
  asked.operation = "ct.fdk";
  asked.operation_version = 3;
  asked.parameters = {{"size", {64, 64, 64}}, {"name", "käse \" \\ \n"}, {"spacing", 0.1}};
  asked.inputs = {{"stack", "/in/a b.mha"}};
  asked.outputs = {{"volume", "/out/ü.mha"}};
  asked.key = "study-1";
  asked.timeout_s = 12.5;
  asked.tags = {{"site", "kyoto"}};
  const std::string id = submit(asked);
  for (int times = 0; times < 2; ++times, reopen()) {
    const Job job = queue_->find(id);
    EXPECT_EQ(to_json(job.submission), to_json(asked));
    EXPECT_EQ(job.id, id);
    EXPECT_EQ(job.id.size(), 26U);
    EXPECT_EQ(job.state, JobState::queued);
    EXPECT_EQ(job.priority, Priority::urgent);
    EXPECT_EQ(job.submitted_us, clock_.wall);
    EXPECT_EQ(job.token, "");
  }
}

TEST_P(QueueSubmit, IdsRiseEvenWhereTheWallClockIsSetBack) {
  std::vector<std::string> ids;
  for (const double step : {0.0, 0.0, 1.0, -7200.0, 0.0, 3600.0, 1e6}) {
    clock_.wall += static_cast<std::int64_t>(step * 1e6);
    for (const Receipt& receipt : queue_->submit({request(), request()})) ids.push_back(receipt.id);
    reopen();
  }
  EXPECT_TRUE(std::ranges::is_sorted(ids));
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
  for (const std::string& id : ids) EXPECT_EQ(claim().job.id, id);  // and so is the order in which they run
}

TEST_P(QueueSubmit, TheSameKeyWithTheSameContentIsTheFirstJob) {
  Submission first = request();
  first.key = "k";
  first.parameters = {{"n", 1}};
  const std::string id = submit(first);
  Submission same = first;
  same.priority = Priority::stat;  // how soon is not what
  same.tags = {{"a", "b"}};
  const Receipt again = queue_->submit({same}).at(0);
  EXPECT_EQ(again.id, id);
  EXPECT_TRUE(again.existed);
  succeed(id);
  EXPECT_EQ(submit(first), id);

  Submission other = first;
  other.parameters = {{"n", 2}};
  EXPECT_NE(refusal([&] { submit(other); }).find(id), std::string::npos);
  Submission another_submitter = other;
  another_submitter.submitter = "bob";
  EXPECT_NE(submit(another_submitter), id);
  EXPECT_EQ(queue_->list({}).size(), 2U);
}

TEST_P(QueueSubmit, ABatchIsTakenWholeOrNotAtAll) {
  Submission bad = request();
  const auto refused = [&](const Submission& submission) {
    const std::string before = text_of(*queue_, submit(request()));
    const std::size_t jobs = queue_->list({}).size();
    refusal([&] { queue_->submit({request(), request(), submission}); });
    EXPECT_EQ(queue_->list({}).size(), jobs);
  };
  (bad = request()).submitter = "two words", refused(bad);
  (bad = request()).submitter = "", refused(bad);
  (bad = request()).submitter = std::string(65, 'a'), refused(bad);
  (bad = request()).operation = "x'; DROP TABLE job; --", refused(bad);
  (bad = request()).timeout_s = 0, refused(bad);
  (bad = request()).timeout_s = std::numeric_limits<double>::quiet_NaN(), refused(bad);
  (bad = request()).timeout_s = std::numeric_limits<double>::infinity(), refused(bad);
  (bad = request()).tags = {{"Name", "x"}}, refused(bad);
  (bad = request()).tags = {{"name", "Müller"}}, refused(bad);
  (bad = request()).inputs = {{"in", "relative"}}, refused(bad);
  (bad = request()).outputs = {{"out", ""}}, refused(bad);
  (bad = request()).outputs = {{"out", std::string("/a\0b", 4)}}, refused(bad);
  (bad = request()).outputs = {{"out", "/a\xff"}}, refused(bad);
  (bad = request()).outputs = {{"one", "/a"}, {"two", "/b/../a"}}, refused(bad);
  (bad = request()).after = {"01ARZ3NDEKTSV4RRFFQ69G5FAV"}, refused(bad);
  (bad = request()).after = {""}, refused(bad);
  (bad = request()).parameters = nlohmann::json::array(), refused(bad);
}

TEST_P(QueueSubmit, LiveJobsDoNotShareAnOutputPath) {
  const std::string first = submit(writing("/out/a.mha"));
  EXPECT_NE(refusal([&] { submit(writing("/out/a.mha", "bob")); }).find(first), std::string::npos);
  refusal([&] { submit(writing("/out/../out//a.mha")); });
  refusal([&] { queue_->submit({writing("/out/b.mha"), writing("/out/b.mha")}); });
  const Claim held = claim(first);
  refusal([&] { submit(writing("/out/a.mha")); });
  EXPECT_TRUE(finish(held.lease, Kind::succeeded));
  refusal([&] { submit(writing("/out/a.mha")); });  // not until it has its name
  queue_->published(first, "the folder is full");
  refusal([&] { submit(writing("/out/a.mha")); });
  queue_->published(first, "");
  const std::string second = submit(writing("/out/a.mha"));
  queue_->cancel(second, "not needed");
  const std::string third = submit(writing("/out/a.mha"));
  EXPECT_NE(refusal([&] { queue_->retry(second); }).find(third), std::string::npos);
  fail(third);
  queue_->retry(second);
  EXPECT_EQ(state(second), JobState::queued);
  EXPECT_NE(refusal([&] { queue_->retry(third); }).find(second), std::string::npos);
}

TEST_P(QueueSubmit, AFullQueueRefusesAndDropsNothing) {
  QueueSettings settings;
  settings.most_unfinished = 3;
  queue_->change_settings(settings);
  Submission keyed = request();
  keyed.key = "k";
  const std::string id = submit(keyed);
  refusal([&] { queue_->submit({request(), request(), request()}); });
  EXPECT_EQ(queue_->list({}).size(), 1U);
  queue_->submit({request(), request()});
  EXPECT_NE(refusal([&] { submit(request()); }).find("full"), std::string::npos);
  EXPECT_EQ(submit(keyed), id);  // asks for nothing new
  succeed(id);
  submit(request());
}

TEST_P(QueueSubmit, ListsTheLatestByWhatIsAskedFor) {
  Submission tagged = request("bob");
  tagged.tags = {{"site", "kyoto"}, {"kind", "a.b"}};
  tagged.operation = "ct.fdk";
  const std::string first = submit(request()), second = submit(tagged), third = submit(request("bob"));
  const auto ids = [&](const JobFilter& filter) {
    std::vector<std::string> found;
    for (const Job& job : queue_->list(filter)) found.push_back(job.id);
    return found;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids({}), (Ids{third, second, first}));
  EXPECT_EQ(ids({.most = 2}), (Ids{third, second}));
  EXPECT_EQ(ids({.most = 0}), Ids{});
  EXPECT_EQ(ids({.submitter = "bob"}), (Ids{third, second}));
  EXPECT_EQ(ids({.operation = "ct.fdk"}), Ids{second});
  EXPECT_EQ(ids({.tags = {{"site", "kyoto"}}}), Ids{second});
  EXPECT_EQ(ids({.tags = {{"site", "kyoto"}, {"kind", "a.b"}}}), Ids{second});
  EXPECT_EQ(ids({.tags = {{"site", "osaka"}}}), Ids{});
  EXPECT_EQ(ids({.submitter = "' OR 1 OR '"}), Ids{});
  EXPECT_EQ(ids({.tags = {{"x' OR '1", "y' OR 1 --"}}}), Ids{});
  fail(first);
  EXPECT_EQ(ids({.state = JobState::failed}), Ids{first});
  EXPECT_EQ(ids({.state = JobState::queued, .submitter = "alice"}), Ids{});
  refusal([&] { queue_->find("no such job"); });
  refusal([&] { queue_->cancel("no such job", ""); });
  refusal([&] { queue_->retry("no such job"); });
  refusal([&] { queue_->published("no such job", ""); });
}

TEST_P(QueueSubmit, ChildrenGoOnWhenEveryParentIsPublished) {
  const std::string a = submit(writing("/a")), b = submit(request());
  const std::string child = submit(after({a, b, a}));
  EXPECT_EQ(state(child), JobState::waiting);
  succeed(b);
  EXPECT_EQ(state(child), JobState::waiting);
  EXPECT_TRUE(finish(claim(a).lease, Kind::succeeded));
  EXPECT_EQ(state(child), JobState::waiting);
  queue_->published(a, "no such folder");
  EXPECT_EQ(state(child), JobState::waiting);
  queue_->published(a, "");
  queue_->published(a, "");  // whoever comes second changes nothing
  EXPECT_EQ(state(child), JobState::queued);
  EXPECT_EQ(state(submit(after({a, b}))), JobState::queued);  // nothing to wait for
}

TEST_P(QueueSubmit, AParentIsAsUrgentAsItsMostUrgentChild) {
  const std::string grandparent = submit(request("alice", Priority::research));
  const std::string parent = submit(after({grandparent}, Priority::research));
  const std::string other = submit(request("alice", Priority::routine));
  submit(after({parent, other}, Priority::stat));
  EXPECT_EQ(queue_->find(grandparent).priority, Priority::stat);
  EXPECT_EQ(queue_->find(parent).priority, Priority::stat);
  EXPECT_EQ(queue_->find(other).priority, Priority::stat);
  EXPECT_EQ(queue_->find(other).submission.priority, Priority::routine);
  const std::string urgent = submit(request("alice", Priority::urgent));
  EXPECT_EQ(claim().job.id, grandparent);
  const QueueCounts counts = queue_->counts();
  EXPECT_EQ(counts.classes[0].running, 1);
  EXPECT_EQ(counts.classes[0].queued, 1);
  EXPECT_EQ(counts.classes[0].waiting, 2);
  EXPECT_EQ(counts.classes[1].queued, 1);
  EXPECT_EQ(counts.classes[2].queued + counts.classes[3].queued + counts.classes[3].waiting, 0);
}

TEST_P(QueueSubmit, AFailureTakesAlongWhoWaitsAndARetryRevivesThem) {
  const std::string root = submit(request()), child = submit(after({root})), grandchild = submit(after({child}));
  const std::string bystander = submit(request()), cancelled = submit(after({root}));
  queue_->cancel(cancelled, "by hand");
  fail(root);
  for (const std::string& id : {child, grandchild}) {
    const Job job = queue_->find(id);
    EXPECT_EQ(job.state, JobState::cancelled);
    EXPECT_EQ(job.fault_of, root);
    EXPECT_NE(job.error.find(root), std::string::npos) << job.error;
    EXPECT_NE(refusal([&] { queue_->retry(id); }).find(root), std::string::npos);
  }
  EXPECT_EQ(state(bystander), JobState::queued);
  EXPECT_EQ(queue_->find(cancelled).error, "by hand");
  EXPECT_NE(refusal([&] { queue_->retry(cancelled); }).find(root), std::string::npos);
  const std::string late = submit(after({grandchild}));
  EXPECT_EQ(state(late), JobState::cancelled);
  EXPECT_EQ(queue_->find(late).fault_of, root);

  queue_->retry(root);
  EXPECT_EQ(state(root), JobState::queued);
  for (const std::string& id : {child, grandchild, late}) {
    EXPECT_EQ(state(id), JobState::waiting);
    EXPECT_EQ(queue_->find(id).fault_of, "");
    EXPECT_EQ(queue_->find(id).error, "");
  }
  EXPECT_EQ(state(cancelled), JobState::cancelled);
  refusal([&] { queue_->retry(root); });
  for (const std::string& id : {root, child, grandchild, late}) succeed(id);
  refusal([&] { queue_->retry(root); });
}

TEST_P(QueueSubmit, WhoWaitsForTwoThatFailedIsRevivedByBoth) {
  const std::string a = submit(request()), b = submit(request()), child = submit(after({a, b}));
  const std::string grandchild = submit(after({child}));
  fail(a);
  fail(b);
  EXPECT_EQ(queue_->find(grandchild).fault_of, a);
  queue_->retry(a);
  EXPECT_EQ(state(child), JobState::cancelled);
  EXPECT_EQ(queue_->find(child).fault_of, b);
  EXPECT_EQ(queue_->find(grandchild).fault_of, b);
  succeed(a);
  queue_->retry(b);
  succeed(b);
  EXPECT_EQ(state(child), JobState::queued);
  EXPECT_EQ(state(grandchild), JobState::waiting);
}

}  // namespace kiban::engine::test
