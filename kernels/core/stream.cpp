#include "kernels/core/stream.hpp"

#include <oneapi/tbb/task_arena.h>
#include <sched.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "kernels/core/device_hooks.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/fork.hpp"

namespace kiban {
namespace {

/// Cores that this process may use: a batch system's or a container's CPU set counts, not the machine's size.
int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// More threads than cores would only take turns, and oneTBB says so on stderr. A forked child has none of oneTBB's
/// threads, but maybe a lock that one of them held.
int threads_for(int budget) {
  if (forked()) return 1;
  return budget > 0 ? std::min(budget, usable_cores()) : usable_cores();
}

}  // namespace

struct Stream::State {
  Device device;
  int threads;
  void* native = nullptr;
  std::optional<oneapi::tbb::task_arena> arena;  ///< of more than one thread

  State(Device on, int thread_budget) : device(on), threads(threads_for(thread_budget)) {
    if (thread_budget < 0) throw Error(ErrorCode::usage, "the number of threads must not be negative");
    if (threads > 1) arena.emplace(threads);
    if (device.kind == DeviceKind::cpu) return;
    require_device(device);
    native = KIBAN_HOOK(device, stream_create)(device.index);
  }
  ~State() {
    if (native) KIBAN_HOOK(device, stream_destroy)(device.index, native);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Stream::Stream(Device device, int threads) : state_(std::make_shared<State>(device, threads)) {}
Device Stream::device() const { return state_->device; }
int Stream::threads() const { return state_->threads; }
void* Stream::native() const { return state_->native; }

void Stream::synchronize() {
  if (state_->native) KIBAN_HOOK(state_->device, stream_synchronize)(state_->device.index, state_->native);
}

void Stream::execute(const std::function<void()>& body) const {
  if (state_->arena)
    state_->arena->execute(body);
  else
    body();
}

}  // namespace kiban
