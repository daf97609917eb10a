#pragma once
#include <array>
#include <cstdint>

#include "engine/queue/queue.hpp"

namespace kiban::engine {

/// Whether a worker whose hands are full takes a stat job all the same: while stat jobs had clearly less than their
/// share of its device time of late. Under a flood of them the queue's own order decides, or nobody else would ever
/// run.
class StatAllowance {
 public:
  explicit StatAllowance(const std::array<double, kPriorities>& shares);
  void charge(Priority priority, double device_seconds, std::int64_t now_us);
  bool more() const;

 private:
  double share_;
  double stat_ = 0, all_ = 0;  ///< seconds, fading
  std::int64_t last_us_ = 0;
};

}  // namespace kiban::engine
