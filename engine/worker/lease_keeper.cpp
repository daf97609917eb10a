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
    const std::vector<Heartbeat> beats = beats_();
    if (!beats.empty()) answers_(beats, queue_.heartbeat(beats));
    return pause;
  } catch (const Error& error) {
    log_.write("heartbeat_failed", {{"code", static_cast<int>(error.code())}});
    return kSoon;
  }
}

void LeaseKeeper::keep(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    lock.unlock();
    const double pause = std::clamp(beat(), 0.01, 3600.0);
    lock.lock();
    wake_.wait_for(lock, stop, std::chrono::duration<double>(pause), [] { return false; });
  }
}

}  // namespace kiban::engine
