#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "tests/cudasim/fiber.hpp"

namespace cudasim {

enum class ThreadState { ready, at_barrier, at_collective, exited };

class Block;

/// One CUDA thread.
struct Thread {
  Block* block = nullptr;
  Fiber* fiber = nullptr;  ///< the stack it stands on; null before its first turn
  uint3 index{};
  unsigned linear = 0;
  ThreadState state = ThreadState::ready;
  Where where{};                ///< of the barrier it waits at
  const char* collective = "";  ///< and of the warp collective
  unsigned mask = 0;
  unsigned lane() const { return linear % 32; }
};

/// Who waits for whom inside one block. Says which thread may go on next, and knows nothing of stacks.
///
/// Under ThreadSanitizer threads are ordered by what orders them on a GPU: a barrier, __syncwarp, the start of the
/// grid. Sync points alternate, or a thread that is already on its way to the next barrier would seem to be before one
/// that has not yet left this one.
class Block {
 public:
  Block();
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// Begins a block: all its threads are ready, in `order`; its shared memory is unset.
  void start(const uint3& index, const dim3& size, Order order, std::minstd_rand& random);
  std::size_t live() const { return live_; }
  const uint3& index() const { return index_; }

  /// The next thread that may run, off the queue; null if there is none.
  Thread* next();
  /// Puts a running thread at the end of the queue.
  void requeue(Thread& thread) { push(thread); }

  // What a thread does. False if it may not: see `fault`.
  bool arrive_at_barrier(Thread& thread, const Where& where);
  bool arrive_at_collective(Thread& thread, const char* name, unsigned mask, std::uint64_t value);
  bool exit(Thread& thread);

  /// What the lanes of this thread's last collective brought.
  const std::uint64_t* received(const Thread& thread) const { return received_[thread.linear].data(); }
  void* barrier_point() { return &barrier_points_[barriers_ % 2]; }
  void* collective_point(const Thread& thread, unsigned mask);
  void* shared_point() { return &shared_point_; }

  /// Bytes at the end of the arena, right before a guard page. Null if an earlier call had another size.
  void* shared_memory(std::size_t bytes, std::size_t alignment);
  bool has_shared_memory() const { return shared_bytes_ != 0; }

  /// Why nobody can go on.
  std::string deadlock() const;
  const std::string& fault() const { return fault_; }

 private:
  struct Entry {
    Thread* thread;
  };
  struct Warp {
    std::array<std::uint64_t, 32> values;
    unsigned arrived, present;
    unsigned rounds[32];  // collectives so far of the groups whose lowest lane this is
    char points[32][2];
  };
  void push(Thread& thread) { queue_[(first_ + queued_++) % queue_.size()].thread = &thread; }
  void push_released();
  bool release_barrier();
  bool release_collective(Warp& warp, std::size_t first, unsigned mask, const Thread* running);
  std::string title(const Thread& thread) const;
  /// False. The sentence stays here, for the stack of the thread at fault is never unwound.
  bool fault(std::string sentence);

  uint3 index_{};
  Order order_ = Order::forward;
  std::minstd_rand* random_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::array<std::uint64_t, 32>> received_;
  std::vector<Entry> queue_;  // a ring
  std::vector<Entry> released_;
  std::size_t first_ = 0, queued_ = 0, live_ = 0, waiting_ = 0, barriers_ = 0;
  char barrier_points_[2] = {};
  char shared_point_ = 0;
  char* arena_ = nullptr;
  std::size_t shared_bytes_ = 0;
  std::string fault_;
};

}  // namespace cudasim
