#pragma once
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cudasim/block.hpp"

namespace cudasim {

/// Runs grids, one at a time, on the calling host thread. Two blocks are under way at any time and take turns, thread
/// by thread. A stack goes from thread to thread as long as none of them waits, so a kernel without barriers and
/// atomics costs no switches; under ThreadSanitizer each thread keeps a stack of its own, or its accesses could not be
/// told apart.
class Scheduler {
 public:
  static Scheduler& instance();

  /// Throws Fault.
  void run(const dim3& grid, const dim3& block, const std::function<void()>& body, Order order);

  // Called from within a kernel, by the running thread.
  void barrier(const Where& where);
  void yield();
  const std::uint64_t* exchange(const char* collective, unsigned mask, std::uint64_t value, bool orders);
  void* shared_memory(std::size_t bytes, std::size_t alignment);
  unsigned lane() const { return current_ ? current_->lane() : 0; }

  std::size_t switches() const { return switches_; }

 private:
  static constexpr std::size_t kBlocks = 2;
  struct Pooled {
    Fiber* fiber;
  };

  static void fiber_entry();
  void serve();
  void call_body();
  Thread* pick();
  bool start_block(Block& block);
  void go_on_with(Thread* next, Fiber& from);
  void prepare_stacks();
  Fiber* take_stack();
  Fiber* stack_for(Thread& thread);
  void park();
  void exit_current();
  [[noreturn]] void fail(std::string_view sentence);

  Fiber main_;
  Block blocks_[kBlocks];
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Pooled> idle_;
  std::size_t taken_ = 0;  // of fibers_, in this launch

  dim3 grid_, block_;
  const std::function<void()>* body_ = nullptr;
  Order order_ = Order::forward;
  std::minstd_rand random_;
  std::uint64_t block_count_ = 0, started_ = 0, stride_ = 1, position_ = 0;
  std::size_t turn_ = 0, switches_ = 0;
  Thread* current_ = nullptr;
  std::string fault_;
  char begin_point_ = 0, end_point_ = 0;
};

}  // namespace cudasim
