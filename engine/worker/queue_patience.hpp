#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/queue/queue.hpp"
#include "engine/worker/worker_log.hpp"

namespace kiban::engine {

/// Calls of one kind to a queue that may be full, read-only or locked for a while: after a failure the next is not made
/// for 0.1 s to 2 s. What does not pass with time is thrown on.
class QueuePatience {
 public:
  QueuePatience(const char* call, const Clock& clock, WorkerLog& log) : call_(call), clock_(clock), log_(log) {}

  /// True if `body` was called and did not fail.
  template <class Body>
  bool attempt(const Body& body) {
    if (clock_.boot_us() < again_us_) return false;
    try {
      body();
    } catch (const DamagedQueue&) {
      throw;
    } catch (const Error& error) {
      pause_us_ = std::clamp<std::int64_t>(2 * pause_us_, 100'000, 2'000'000);
      again_us_ = clock_.boot_us() + pause_us_;
      error_ = error;
      log_.write("queue_trouble", {{"call", call_}, {"code", static_cast<int>(error.code())}});
      return false;
    }
    if (error_) log_.write("queue_recovered", {{"call", call_}});
    error_.reset();
    pause_us_ = again_us_ = 0;
    return true;
  }

  /// Of the last call, if it failed.
  const std::optional<Error>& error() const { return error_; }

 private:
  const char* call_;
  const Clock& clock_;
  WorkerLog& log_;
  std::optional<Error> error_;
  std::int64_t pause_us_ = 0, again_us_ = 0;
};

}  // namespace kiban::engine
