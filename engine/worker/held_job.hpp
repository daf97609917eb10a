#pragma once
#include <cstdint>
#include <string>

#include "engine/worker/assignment.hpp"

namespace kiban::engine {

/// An attempt whose lease a worker holds, from the claim until the queue has heard how it ended. Times on the boot
/// clock.
struct HeldJob {
  enum class Phase {
    waiting,    ///< for an executor
    handed,     ///< to an executor that has not looked at it
    opened,     ///< the executor has it in its hands
    computing,  ///< on the device
    leaving,    ///< computed, its result is being stored
    ended,      ///< the queue is to be told
  };

  Assignment assignment;
  std::int64_t deadline_us = 0;  ///< of the lease
  Phase phase = Phase::waiting;
  std::string stage;
  double fraction = 0;
  std::int64_t began_us = 0;          ///< on the device
  std::int64_t asked_to_stop_us = 0;  ///< the executor was, then; 0: not
  bool cancel_asked = false;
  bool lost = false;  ///< it is somebody else's, or nobody's: whatever comes of it, the queue is not told

  bool in_hands() const { return phase >= Phase::opened && phase < Phase::ended; }
};

}  // namespace kiban::engine
