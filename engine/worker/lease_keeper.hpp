#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/queue/queue.hpp"
#include "engine/worker/worker_log.hpp"

namespace kiban::engine {

/// Prolongs leases from a thread of its own, so that nothing else that a worker waits for can let them run out. A job
/// that has moved on is told of once a second, for those who watch it.
class LeaseKeeper {
 public:
  using Beats = std::function<std::vector<Heartbeat>()>;
  using Answers = std::function<void(const std::vector<Heartbeat>&, const std::vector<HeartbeatAnswer>&)>;

  /// Both are called from the thread: `beats` says what is held, `answers` is told what the queue said.
  LeaseKeeper(Queue& queue, WorkerLog& log, Beats beats, Answers answers);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

 private:
  void keep(const std::stop_token& stop);
  /// How long to wait until the next time, at most.
  double beat();
  bool has_news() const;

  Queue& queue_;
  WorkerLog& log_;
  Beats beats_;
  Answers answers_;
  std::vector<Heartbeat> told_;  ///< with the last beat
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace kiban::engine
