#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/worker/executor_slot.hpp"
#include "engine/worker/lease_keeper.hpp"
#include "engine/worker/publisher.hpp"
#include "engine/worker/queue_patience.hpp"
#include "engine/worker/stat_allowance.hpp"
#include "engine/worker/worker.hpp"

namespace kiban::engine {

/// What a worker knows, for worker.cpp and worker_loop.cpp alone. Three threads: the loop, which alone claims, finishes
/// and begins executors; the keeper of the leases; and the watcher, which waits for nobody and kills. Publishing has
/// its own.
struct Worker::State {
  State(Queue& of, const WorkerOptions& with, std::FILE* log_file)
      : queue(of),
        options(with),
        log(log_file),
        finishing("finish", clock, log),
        claiming("claim", clock, log),
        tending("tend", clock, log) {}

  // worker.cpp: the beginning, and the other threads.
  void run(const std::function<bool()>& stop);
  void make_slots();
  void wait_until_ready(const std::function<bool()>& stop);
  std::vector<Heartbeat> beats();
  void answered(const std::vector<Heartbeat>& beats, const std::vector<HeartbeatAnswer>& answers);
  void watch(const std::stop_token& stop);

  // worker_loop.cpp: what the loop does, in this order.
  void wait_for_news();
  void exchange_with_executors();
  void on_ended(HeldJob& job, Outcome outcome);
  void commit();
  void settle(const Outcome& outcome, bool counted);
  void settle_unsure();
  void remove_discarded();
  void drain();
  bool finished();
  void tend();
  void claim();
  void claim_some(const ClaimTerms& terms);
  void take(const Claim& claim);
  bool idle_for_long();
  bool idle();
  /// One batch computes, one is being loaded, one stored.
  std::size_t window() const { return 3 * static_cast<std::size_t>(options.limits.most_jobs); }

  Queue& queue;
  WorkerOptions options;
  const Clock& clock = machine_clock();
  WorkerLog log;
  QueueSettings settings;
  std::filesystem::path results;

  std::mutex mutex;  ///< of `held` and what is in `slots`; never held while the queue or a disk is waited for
  std::map<std::string, HeldJob> held;  ///< by token
  std::vector<std::unique_ptr<ExecutorSlot>> slots;

  // Of the loop alone.
  std::vector<Outcome> ended;                    ///< the queue is to be told
  std::vector<Assignment> unsure;                ///< the queue says that they do not count; did it not hear us before?
  std::vector<std::filesystem::path> discarded;  ///< folders of attempts that came to nothing
  QueuePatience finishing, claiming, tending;
  std::optional<StatAllowance> allowance;
  std::optional<Publisher> publisher;
  bool draining = false;
  bool may_have_jobs = true, may_have_stat = true;  ///< the queue, for all that is known
  std::int64_t seen_change = -1, looked_us = 0;
  std::int64_t tend_us = 0;
  std::int64_t idle_since_us = 0, asked_idle_us = 0;  ///< 0: not idle
};

}  // namespace kiban::engine
