#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/queue/queue.hpp"

namespace kiban::cli {

/// Waits until a queue changes, without asking it much.
class Changes {
 public:
  explicit Changes(const engine::Queue& queue) : queue_(queue), seen_(queue.change_count()) {}
  /// Returns when the queue has changed since the last call, or after a second. False: a signal asks to stop.
  bool wait();

 private:
  const engine::Queue& queue_;
  std::int64_t seen_;
};

/// Waits until nothing more will happen to these jobs, their outputs at their places, or until a signal asks to stop;
/// watch_signals() must have been called.
///   changed   called with a job when it is first seen, and when its state, stage or fraction is another one
/// Returns the jobs as they then are. Errors: usage (no such job).
std::vector<engine::Job> follow(const engine::Queue& queue, const std::vector<std::string>& ids,
                                const std::function<void(const engine::Job&)>& changed);

/// Waits for these jobs with a progress bar and prints how they ended: a text, or with `as_json` an object a line.
/// Returns the exit status of the first that did not succeed. After a signal (watch_signals() must have been called)
/// the jobs go on: says how to stop them.
int wait_for(const engine::Queue& queue, const std::vector<std::string>& ids, bool as_json);

}  // namespace kiban::cli
