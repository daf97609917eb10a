#include "kernels/core/stream.hpp"

#include <oneapi/tbb/task_arena.h>
#include <sched.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

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

/// Arenas that no stream uses. oneTBB never gives back all the memory of an arena that has worked (7 KiB of each,
/// 2021.8), which a process with many short runs would notice.
class IdleArenas {
 public:
  using Arena = std::unique_ptr<oneapi::tbb::task_arena>;

  Arena take(int threads) {
    const std::lock_guard lock(mutex_);
    std::vector<Arena>& idle = of_threads_[threads];
    if (idle.empty()) return std::make_unique<oneapi::tbb::task_arena>(threads);
    Arena arena = std::move(idle.back());
    idle.pop_back();
    return arena;
  }
  void give_back(int threads, Arena arena) {
    const std::lock_guard lock(mutex_);
    of_threads_[threads].push_back(std::move(arena));
  }

 private:
  std::mutex mutex_;
  std::map<int, std::vector<Arena>> of_threads_;
};

/// Never destroyed: oneTBB may be gone by then.
IdleArenas& idle_arenas() {
  static IdleArenas& all = *new IdleArenas;
  return all;
}

}  // namespace

struct Stream::State {
  Device device;
  int threads;
  void* native = nullptr;
  IdleArenas::Arena arena;  ///< of more than one thread
  std::function<void()> check;

  State(Device on, int thread_budget) : device(on), threads(threads_for(thread_budget)) {
    if (thread_budget < 0) throw Error(ErrorCode::usage, "the number of threads must not be negative");
    if (threads > 1) arena = idle_arenas().take(threads);
    if (device.kind == DeviceKind::cpu) return;
    require_device(device);
    native = KIBAN_HOOK(device, stream_create)(device.index);
  }
  ~State() {
    // In a forked child another thread may hold the lock for ever, and the arena's threads are not there.
    if (arena && forked()) static_cast<void>(arena.release());
    if (arena) idle_arenas().give_back(threads, std::move(arena));
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

void Stream::check_between_pieces(std::function<void()> check) { state_->check = std::move(check); }
void Stream::check() const {
  if (state_->check) state_->check();
}

void synchronize(Device device) {
  if (device.kind != DeviceKind::cpu) KIBAN_HOOK(device, device_synchronize)(device.index);
}

void Stream::execute(const std::function<void()>& body) const {
  if (state_->arena)
    state_->arena->execute(body);
  else
    body();
}

}  // namespace kiban
