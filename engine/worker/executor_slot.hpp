#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/queue/clock.hpp"
#include "engine/worker/executor_process.hpp"
#include "engine/worker/held_job.hpp"
#include "engine/worker/worker_log.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {

struct ExecutorTerms {
  std::vector<std::string> command;
  nlohmann::json options;      ///< for run_executor
  std::size_t window = 32;     ///< jobs that it has in its hands at once; a stat job is handed over all the same
  std::size_t most_bytes = 0;  ///< resident
};

/// The place of one executor: begins its process, hands jobs over, hears how they end, kills it when it must, and sorts
/// out who was to blame. The caller sees to it that one thread at a time is in here; the one that calls `step` must be
/// always the same. Nothing here waits for the executor.
class ExecutorSlot {
 public:
  /// Called once for each job that was added, when nothing more will happen to it here; of a lost one the outcome means
  /// nothing.
  using Ended = std::function<void(HeldJob&, Outcome)>;

  ExecutorSlot(ExecutorTerms terms, const Clock& clock, WorkerLog& log, Ended ended);

  void add(HeldJob& job);
  std::size_t load() const { return waiting_.size() + handed_.size(); }
  /// More that it would take now.
  std::size_t room() const;
  bool ready() const { return ready_; }
  /// Why it could not begin, if it never could.
  const std::optional<Error>& refusal() const { return refusal_; }
  const ExecutorProcess* process() const { return process_.get(); }

  /// Hears what the executor has told, or of its death.
  void receive();
  /// Begins a process where there is none, and hands over what may be handed over.
  void step();
  /// Kills the process if it has broken its limits, or holds a job whose lease has run out.
  void watch();
  /// Its lease is cancelled or lost: it stops when it notices, or is killed.
  void stop(HeldJob& job);
  /// Takes nothing on any more, and ends what does not compute yet as given back.
  void drain();

 private:
  enum class Cause { crash, deadline, heedless, timeout, memory };
  struct Kill {
    Cause cause = Cause::crash;
    std::vector<HeldJob*> suspects;  ///< of a timeout
    std::string sentence;            ///< for the one to blame
  };
  using Jobs = std::vector<HeldJob*>;

  void begin();
  void could_not_begin(const Error& error);
  void hand_over();
  void hand(HeldJob& job);
  void wait_again(HeldJob& job);
  void drop_stopped();
  void hear(const std::string& line);
  void hear(const Event& event);
  bool broke_the_device(HeldJob& job, const Outcome& outcome);
  void begin_batch(int size);
  void died();
  Jobs suspects_of(const Kill& kill);
  void charge(HeldJob& job, const std::string& sentence);
  void end(HeldJob& job, Outcome::Kind kind);
  void kill(Cause cause, Jobs suspects = {}, std::string sentence = {});
  bool watch_leases(std::int64_t now);
  bool watch_times(std::int64_t now);
  void watch_memory();
  Jobs handed_in(HeldJob::Phase first, HeldJob::Phase last) const;

  ExecutorTerms terms_;
  const Clock& clock_;
  WorkerLog& log_;
  Ended ended_;
  std::deque<HeldJob*> waiting_;  ///< stat first, then who runs again, then in the order of arrival
  Jobs handed_;                   ///< in the order of handing over
  std::unique_ptr<ExecutorProcess> process_;
  bool ready_ = false;     ///< the process has said so
  bool used_ = false;      ///< it was given a job
  bool reserved_ = false;  ///< for one job that runs alone
  bool draining_ = false;
  int to_begin_ = 0;  ///< jobs of the batch that begins, which have not told yet
  std::optional<Kill> kill_;
  std::optional<Error> refusal_;
  std::string refused_with_;  ///< what the process said, before it was ready
  int refused_code_ = 0;
  bool ever_ready_ = false;
  int failed_starts_ = 0, deaths_with_nothing_opened_ = 0;
  std::int64_t started_us_ = 0, start_again_us_ = 0;
  std::int64_t heard_us_ = 0;           ///< the executor told something, last
  std::int64_t device_changed_us_ = 0;  ///< a job began or left the device, last
};

}  // namespace kiban::engine
