#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "engine/queue/job.hpp"

namespace kiban::engine {

struct BatchLimits {
  int most_jobs = 16;
  /// What all jobs that are loaded and not yet stored may take; 0: no limit.
  std::size_t host_bytes = 0, device_bytes = 0;
  double max_delay_s = 0.02;  ///< that the oldest job of a batch waits for company; 0 for stat whatever this says
  double most_seconds = 30;   ///< that a batch is expected to last
};

/// A job that is loaded, and may share a launch with others of its key.
struct Batchable {
  std::string token;      ///< of its attempt
  std::string batch_key;  ///< empty: shares with nobody
  Priority priority = Priority::routine;
  std::size_t host_bytes = 0, device_bytes = 0;
  double expected_s = 0;  ///< of its computation; 0: unknown
  std::int64_t arrived_us = 0;
};

/// Puts together what may share a launch. Knows no threads and no clock: it is told what time it is.
///
/// A batch is ready when it is full (by count, memory or expected time: one more such as its last would be too many),
/// when its oldest job has waited `max_delay_s`, when it holds a stat job, or when its job shares with nobody. Of those
/// that are ready the one with the most urgent job goes first, then the one with the oldest. Where more jobs of a key
/// are there than go at once, the most urgent go first. A stat job's batch takes along only what makes it no later:
/// jobs of its key that are there already. A job above a limit goes alone.
class Batcher {
 public:
  explicit Batcher(const BatchLimits& limits);

  void add(const Batchable& job);
  /// True if it was here.
  bool remove(const std::string& token);
  /// Tokens of the batch that goes next, in the order of arrival; empty: none is ready.
  ///   flush   nothing more will come, or the device would stand idle: do not wait for company
  std::vector<std::string> next(std::int64_t now_us, bool flush);
  /// When `next` may have something that it has not now, if nothing arrives; nullopt: never.
  std::optional<std::int64_t> next_due_us() const;
  std::size_t size() const { return jobs_.size(); }

 private:
  struct Group;
  std::vector<Group> groups() const;

  BatchLimits limits_;
  std::list<Batchable> jobs_;  ///< in the order of arrival
};

}  // namespace kiban::engine
