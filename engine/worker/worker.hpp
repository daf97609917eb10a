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
  std::string name;                  ///< empty: host and process
  std::vector<std::string> devices;  ///< names; empty: every CUDA device, or else the CPU. One executor each
  int threads = 0;                   ///< of the machine, shared by the executors; 0: every core
  std::string simd = "auto";
  BatchLimits limits;
  /// Without a job waiting, queued or running. A result that can have its name only later is left to another worker.
  double exit_when_idle_s = std::numeric_limits<double>::infinity();
  std::size_t most_executor_bytes = 0;        ///< resident; an executor above it is killed; 0: 90 % of what is free
  std::vector<std::string> executor_command;  ///< begins the executor; empty: this program's file, "executor".
                                              ///< Its options follow as one argument, a JSON object
};

/// Takes jobs from a queue, has them run, commits and publishes their results, until it is told to stop. Holds the
/// leases, and never touches a device: one executor process per device does, begun with a fresh program, killed and
/// begun anew at will.
///
/// - Claims ahead of the executors by no more than keeps them busy; a stat job is claimed at once all the same,
///   unless stat jobs have had about their share of the device already.
/// - Every `heartbeat_s` it prolongs its leases; at its own deadline it kills what holds a job whose lease it could not
///   prolong, and forgets it.
/// - If an executor dies, what it had opened runs again, each alone in a fresh one, and only a job that kills alone is
///   charged; what it had not opened is simply handed out again.
/// - An executor is killed when it computes for longer than the largest timeout of the batch's jobs and none of them
///   begins or leaves the device; when it has opened jobs, computes nothing and tells nothing for as long; when it
///   grows beyond its memory; when it does not heed a request to cancel within 30 s.
/// - While the queue cannot be written, ended attempts are kept and told again until it can; the fence decides.
///
/// Logs, one JSON object a line on `log`: ids, codes, stages and times; never values, paths or names.
class Worker {
 public:
  Worker(Queue& queue, const WorkerOptions& options, std::FILE* log);
  ~Worker();
  /// Returns when idle for long enough, or when `stop` says so: then it drains, what computes is finished, the rest is
  /// given back. To be called from a thread that lives as long as the call: executors die with it.
  /// Errors: input (the queue is corrupt; or, when it was to stop, could not be told what had ended) · usage, device
  /// (an executor cannot begin: no such device or instruction set).
  void run(const std::function<bool()>& stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The other side, the body of `kiban executor OPTIONS`: reads assignments from `input`, tells events on `output`, JSON
/// lines both; returns the exit status at the end of the input, after draining. Dies with its parent, and ignores what
/// a terminal or a service manager sends to the whole group: the worker decides.
///   options   the object that the worker passes as an argument; {"probe": true} only tells which devices there are
///   input, output   0 and 1; what else the process prints goes to standard error from here on
int run_executor(const Registry& registry, const nlohmann::json& options, int input, int output);

}  // namespace kiban::engine
