#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "engine/registry.hpp"
#include "engine/worker/assignment.hpp"
#include "engine/worker/batcher.hpp"
#include "kernels/core/device.hpp"

namespace kiban::engine {

struct PipelineOptions {
  Device device;
  int threads = 0;     ///< of the machine, for all stages together; 0: every core
  BatchLimits limits;  ///< memory 0: 80 % of what is free when the pipeline is made
};

/// Runs assignments on one device: one thread loads, one computes, one stores, so that the device works while the next
/// batch is loaded and the last one written. Between them lies no more than the memory of the limits allows; what
/// could never fit fails with the numbers. Assignments are loaded most urgent first, and a stat job overtakes batches
/// that are loaded already.
///
/// An attempt: `load` and `plan` of its operation, with outputs redirected into its folder; `prefetch` where there is
/// room; `run`, or `run_together` with others of its batch key; `store`; digests of inputs and outputs; manifest.json;
/// files and folders flushed. On anything but success its folder is removed.
///
/// Only an operation that can `run_together` has its works wait for company. A batch that fails as a whole is begun
/// again, each job alone. Whether a failure is tried again, its code says, and its errno where it has one: full or
/// write-protected disks postpone a job, trouble of the device and memory that ran out may pass, bad input fails.
///
/// Results are byte-identical whatever shares a batch.
class Pipeline {
 public:
  /// Called by any thread of the pipeline, one at a time; must not throw, nor call `drain`.
  using Listener = std::function<void(const Event&)>;

  Pipeline(const Registry& registry, const PipelineOptions& options, Listener listener);
  /// Waits for what computes; gives the rest back.
  ~Pipeline();

  void add(Assignment assignment);
  /// The attempt ends as cancelled as soon as it notices, at the latest between two pieces of parallel work.
  void cancel(const std::string& token);
  /// Gives back what does not compute yet, and returns when all else has ended.
  void drain();
  /// Assignments that have not ended.
  int unfinished() const;
  /// Seconds for which the device computed, so far.
  double busy_seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kiban::engine
