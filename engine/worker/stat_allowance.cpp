#include "engine/worker/stat_allowance.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kiban::engine {

StatAllowance::StatAllowance(const std::array<double, kPriorities>& shares)
    : share_(shares[0] / std::max(1e-9, std::accumulate(shares.begin(), shares.end(), 0.0))) {}

void StatAllowance::charge(Priority priority, double device_seconds, std::int64_t now_us) {
  constexpr double kMemory_s = 60, kLeast_s = 1e-4;  // a job that takes no time takes a turn
  const double faded = last_us_ ? std::exp(-static_cast<double>(now_us - last_us_) * 1e-6 / kMemory_s) : 0;
  last_us_ = now_us;
  const double charged = std::max(device_seconds, kLeast_s);
  all_ = all_ * faded + charged;
  stat_ = stat_ * faded + (priority == Priority::stat ? charged : 0);
}

bool StatAllowance::more() const {
  constexpr double kClearlyBelow = 0.8;  // at its share it is where the queue's own order keeps it
  return stat_ <= kClearlyBelow * share_ * all_;
}

}  // namespace kiban::engine
