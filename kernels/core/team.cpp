#include "kernels/core/team.hpp"

#include <hwy/cache_control.h>

#include <utility>

namespace kiban {

void Team::meet() {
  const std::uint32_t round = round_.load();
  if (round == kFailed) throw Left();
  if (came_.fetch_add(1) + 1 == size_) {
    came_.store(0, std::memory_order_relaxed);
    // Nobody can have failed meanwhile: all are here.
    round_.store((round + 1) % kFailed);
    round_.notify_all();
    return;
  }
  // Steps take microseconds, and waking a thread does, too: so the core is kept at first, then lent to whoever needs
  // it, and given up when this takes longer than any step of a team at work.
  constexpr int kSpins = 200, kYields = 200;
  std::uint32_t now = round;
  for (int k = 0; k < kSpins + kYields && now == round; ++k) {
    if (k < kSpins)
      hwy::Pause();
    else
      std::this_thread::yield();
    now = round_.load(std::memory_order_acquire);
  }
  if (now == round) {
    round_.wait(round);
    now = round_.load(std::memory_order_acquire);
  }
  if (now == kFailed) throw Left();
}

void Team::fail(std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  round_.store(kFailed);
  round_.notify_all();
}

}  // namespace kiban
