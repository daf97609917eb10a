#pragma once
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/queue/queue.hpp"
#include "engine/registry.hpp"
#include "engine/worker/batcher.hpp"

namespace kiban::engine {

struct WorkerOptions {
  std::string name;                       ///< empty: host and process
  std::vector<std::string> devices;       ///< names; empty: every CUDA device, or else the CPU. One executor each
  int threads = 0;                        ///< of the machine, shared by the executors; 0: every core
  std::string simd = "auto";
  BatchLimits limits;
  double exit_when_idle_s = std::numeric_limits<double>::infinity();  ///< without a job queued or running
  std::size_t most_executor_bytes = 0;    ///< resident; an executor above it is killed; 0: 90 % of what is free
  std::vector<std::string> executor_command;  ///< begins the executor; empty: this program's file, "executor"
};

/// Takes jobs from a queue, has them run, commits and publishes their results, until it is told to stop. Holds the
/// leases, and never touches a device: one executor process per device does, begun with a fresh program, killed and
/// begun anew at will.
///
/// - Claims ahead of the executors by no more than keeps them busy; a stat job is always claimed at once.
/// - Every `heartbeat_s` it prolongs its leases; at its own deadline it kills what holds a job whose lease it could not
///   prolong, and forgets it.
/// - If an executor dies, what it had opened runs again, each alone in a fresh one, and only a job that kills alone is
///   charged; what it had not opened is simply handed out again.
/// - An executor that computes a batch for longer than its jobs' timeouts allow, or grows beyond its memory, is killed.
///
/// Logs, one JSON object a line on `log`: ids, codes, stages and times; never values, paths or names.
class Worker {
 public:
  Worker(Queue& queue, const WorkerOptions& options, std::FILE* log);
  ~Worker();
  /// Returns when idle for long enough, or when `stop` says so: then it drains, what computes is finished, the rest is
  /// given back.
  void run(const std::function<bool()>& stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The other side: reads assignments from `input`, tells events on `output`, JSON lines both; returns at the end of the
/// input, after draining. The body of `kiban executor`.
int run_executor(const Registry& registry, const nlohmann::json& options, int input, int output);

}  // namespace kiban::engine
