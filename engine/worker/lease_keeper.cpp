#include "engine/worker/lease_keeper.hpp"

#include <algorithm>
#include <chrono>

namespace kiban::engine {

LeaseKeeper::LeaseKeeper(Queue& queue, WorkerLog& log, Beats beats, Answers answers)
    : queue_(queue),
      log_(log),
      beats_(std::move(beats)),
      answers_(std::move(answers)),
      thread_([this](const std::stop_token& stop) { keep(stop); }) {}

LeaseKeeper::~LeaseKeeper() { thread_.request_stop(); }

double LeaseKeeper::beat() {
  constexpr double kSoon = 0.5;  // after a failure: the lease does not wait
  try {
    const double pause = queue_.settings().heartbeat_s;
    told_ = beats_();
    if (!told_.empty()) answers_(told_, queue_.heartbeat(told_));
    return pause;
  } catch (const Error& error) {
    log_.write("heartbeat_failed", {{"code", static_cast<int>(error.code())}});
    return kSoon;
  } catch (const std::exception&) {  // memory ran out
    log_.write("heartbeat_failed", {{"code", static_cast<int>(ErrorCode::internal)}});
    return kSoon;
  }
}

bool LeaseKeeper::has_news() const {
  const auto same = [](const Heartbeat& one, const Heartbeat& other) {
    const auto percent = [](double fraction) { return static_cast<int>(100 * fraction); };
    return one.lease.token == other.lease.token && one.stage == other.stage &&
           percent(one.fraction) == percent(other.fraction);
  };
  return !std::ranges::equal(beats_(), told_, same);
}

void LeaseKeeper::keep(const std::stop_token& stop) {
  using Seconds = std::chrono::duration<double>;
  constexpr Seconds kGlance{1};
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    lock.unlock();
    Seconds pause(std::clamp(beat(), 0.01, 3600.0));
    lock.lock();
    for (bool due = false; !due && !stop.stop_requested(); pause -= kGlance) {
      wake_.wait_for(lock, stop, std::min(pause, kGlance), [] { return false; });
      due = pause <= kGlance || has_news();
    }
  }
}

}  // namespace kiban::engine
