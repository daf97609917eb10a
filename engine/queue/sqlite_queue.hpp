#pragma once
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/fault_point.hpp"
#include "engine/queue/queue.hpp"
#include "engine/queue/sqlite_change.hpp"
#include "engine/queue/sqlite_connection.hpp"
#include "engine/queue/sqlite_location.hpp"

namespace kiban::engine {

/// The queue of one machine: one file of SQLite's in WAL mode. Two connections, so that who looks never waits for who
/// writes; what each call has changed is one transaction, flushed when it returns.
class SqliteQueue final : public Queue {
 public:
  SqliteQueue(const std::filesystem::path& file, const Clock& clock);
  ~SqliteQueue() override;

  std::vector<Receipt> submit(const std::vector<Submission>& submissions) override;
  Job find(const std::string& id) const override;
  std::vector<Job> list(const JobFilter& filter) const override;
  QueueCounts counts() const override;
  void cancel(const std::string& id, const std::string& why) override;
  void retry(const std::string& id) override;
  void pause(bool paused) override;

  std::vector<Claim> claim(const ClaimTerms& terms) override;
  std::vector<HeartbeatAnswer> heartbeat(const std::vector<Heartbeat>& beats) override;
  std::vector<bool> finish(const std::vector<Outcome>& outcomes) override;
  double tend() override;
  std::vector<Job> unpublished(int most) const override;
  using Queue::published;
  void published(const std::vector<PublishOutcome>& publications) override;
  std::int64_t change_count() const override;

  QueueSettings settings() const override;
  void change_settings(const QueueSettings& settings) override;
  std::filesystem::path results() const override;
  void backup(const std::filesystem::path& file) const override;
  Pruned prune(double older_than_s) override;

 private:
  /// The two names of a change at which tests break in.
  struct Points {
    const char* before_commit;
    const char* committed;
  };
  template <class Action>
  auto change(const Action& action, const Points& points = {"change.before_commit", "change.committed"});
  template <class Action>
  auto look(const Action& action) const;
  bool has_work(const ClaimTerms& terms) const;
  bool has_due() const;
  double next_due_s() const;
  std::vector<std::string> prune_rows(std::int64_t before_us);
  std::vector<std::filesystem::path> abandoned_folders(double older_than_s) const;
  bool is_named(const std::string& id, const std::string& token) const;
  void begin_journal();
  void require_read_through();

  std::filesystem::path file_;
  const Clock& clock_;
  OpenFile open_;
  mutable std::mutex write_mutex_, read_mutex_;
  mutable std::unique_ptr<Connection> writer_, reader_;
  bool read_through_ = false;
};

template <class Action>
auto SqliteQueue::look(const Action& action) const {
  open_.require_own_process();
  const std::lock_guard lock(read_mutex_);
  return action(*reader_);
}

template <class Action>
auto SqliteQueue::change(const Action& action, const Points& points) {
  open_.require_own_process();
  const std::lock_guard lock(write_mutex_);
  Transaction transaction(*writer_);
  Change change(*writer_, clock_);
  const auto commit = [&] {
    change.flush();
    fault_point(points.before_commit);
    transaction.commit();
    fault_point(points.committed);
  };
  if constexpr (std::is_void_v<decltype(action(change))>) {
    action(change);
    commit();
  } else {
    auto result = action(change);
    commit();
    return result;
  }
}

}  // namespace kiban::engine
