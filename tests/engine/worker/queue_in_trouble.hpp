#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "engine/queue/queue.hpp"

namespace kiban::engine::test {

/// A queue whose disk fills up and empties again as the test wants.
class QueueInTrouble : public Queue {
 public:
  explicit QueueInTrouble(Queue& sound) : sound_(sound) {}

  std::atomic<bool> claims_fail{false}, heartbeats_fail{false}, finishes_fail{false}, damaged{false};
  std::atomic<bool> next_answer_is_lost{false};  ///< `finish` does what it should, and then says that it could not
  std::atomic<int> failures{0};

  std::vector<Receipt> submit(const std::vector<Submission>& all) override { return sound_.submit(all); }
  Job find(const std::string& id) const override { return sound_.find(id); }
  std::vector<Job> list(const JobFilter& filter) const override { return sound_.list(filter); }
  QueueCounts counts() const override { return sound_.counts(); }
  void cancel(const std::string& id, const std::string& why) override { sound_.cancel(id, why); }
  void retry(const std::string& id) override { sound_.retry(id); }
  void pause(bool paused) override { sound_.pause(paused); }
  std::vector<Claim> claim(const ClaimTerms& terms) override {
    if (damaged) throw DamagedQueue("the queue is damaged; restore it");
    fail_if(claims_fail);
    return sound_.claim(terms);
  }
  std::vector<HeartbeatAnswer> heartbeat(const std::vector<Heartbeat>& beats) override {
    fail_if(heartbeats_fail);
    return sound_.heartbeat(beats);
  }
  std::vector<bool> finish(const std::vector<Outcome>& outcomes) override {
    fail_if(finishes_fail);
    const std::vector<bool> answers = sound_.finish(outcomes);
    fail_if(next_answer_is_lost.exchange(false));
    return answers;
  }
  double tend() override { return sound_.tend(); }
  std::vector<Job> unpublished(int most) const override { return sound_.unpublished(most); }
  using Queue::published;
  void published(const std::vector<PublishOutcome>& publications) override { sound_.published(publications); }
  std::int64_t change_count() const override { return sound_.change_count(); }
  QueueSettings settings() const override { return sound_.settings(); }
  void change_settings(const QueueSettings& settings) override { sound_.change_settings(settings); }
  std::filesystem::path results() const override { return sound_.results(); }
  void backup(const std::filesystem::path& file) const override { sound_.backup(file); }
  Pruned prune(double older_than_s) override { return sound_.prune(older_than_s); }

 private:
  void fail_if(bool failing) {
    if (!failing) return;
    ++failures;
    throw Error(ErrorCode::input, "the disk of the queue is full; free some space");
  }

  Queue& sound_;
};

}  // namespace kiban::engine::test
