#include "tests/cudasim/scheduler.hpp"

#include <numeric>
#include <utility>

#include "tests/cudasim/fault.hpp"

namespace cudasim {

Scheduler& Scheduler::instance() {
  static Scheduler scheduler;
  return scheduler;
}

void Scheduler::run(const dim3& grid, const dim3& block, const std::function<void()>& body, Order order) {
  grid_ = grid;
  block_ = block;
  body_ = &body;
  order_ = order;
  block_count_ = std::uint64_t{grid.x} * grid.y * grid.z;
  started_ = 0;
  turn_ = kBlocks - 1;
  taken_ = 0;
  idle_.clear();
  fault_.clear();
  // A stride that shares no factor with the count visits every block once.
  stride_ = 1 + random_() % block_count_;
  while (std::gcd(stride_, block_count_) != 1) ++stride_;
  position_ = random_() % block_count_;
  gridDim = grid;
  blockDim = block;

  main_.adopt_host_thread();
  prepare_stacks();
  for (Block& slot : blocks_) start_block(slot);
  Fiber::release(&begin_point_);
  Thread* first = pick();
  current_ = first;
  go_on_with(first, main_);  // and back here when no thread is left, or one is at fault
  Fiber::acquire(&end_point_);
  current_ = nullptr;
  if (!fault_.empty()) throw Fault(fault_);
}

bool Scheduler::start_block(Block& block) {
  if (started_ == block_count_) return false;
  std::uint64_t number = started_++;
  if (order_ == Order::reverse) number = block_count_ - 1 - number;
  if (order_ == Order::shuffled) number = position_ = (position_ + stride_) % block_count_;
  const uint3 index{static_cast<unsigned>(number % grid_.x), static_cast<unsigned>(number / grid_.x % grid_.y),
                    static_cast<unsigned>(number / grid_.x / grid_.y)};
  block.start(index, block_, order_, random_);
  return true;
}

Thread* Scheduler::pick() {
  for (std::size_t tried = 0; tried < kBlocks; ++tried) {
    turn_ = (turn_ + 1) % kBlocks;
    Block& block = blocks_[turn_];
    if (block.live() == 0 && !start_block(block)) continue;
    if (Thread* thread = block.next()) return thread;
  }
  for (const Block& block : blocks_)
    if (block.live() != 0 && fault_.empty()) fault_ = block.deadlock();
  return nullptr;
}

// Under ThreadSanitizer a stack serves the threads of one place in all blocks, and is there before any thread is: what
// a fiber allocates would seem to race with who frees it.
void Scheduler::prepare_stacks() {
  const std::size_t count = CUDASIM_TSAN ? kBlocks * block_.x * block_.y * block_.z : 0;
  while (taken_ < count) take_stack();
}

Fiber* Scheduler::take_stack() {
  if (taken_ == fibers_.size()) fibers_.push_back(std::make_unique<Fiber>(&Scheduler::fiber_entry));
  fibers_[taken_]->restart();
  return fibers_[taken_++].get();
}

Fiber* Scheduler::stack_for(Thread& thread) {
  if (CUDASIM_TSAN) {
    const auto slot = static_cast<std::size_t>(thread.block - blocks_);
    return fibers_[slot * block_.x * block_.y * block_.z + thread.linear].get();
  }
  if (idle_.empty()) return take_stack();
  Fiber* fiber = idle_.back().fiber;
  idle_.pop_back();
  return fiber;
}

void Scheduler::go_on_with(Thread* next, Fiber& from) {
  Fiber* to = &main_;
  if (next) {
    if (!next->fiber) next->fiber = stack_for(*next);
    to = next->fiber;
    threadIdx = next->index;
    blockIdx = next->block->index();
  } else {
    Fiber::release(&end_point_);
  }
  current_ = next;
  if (to == &from) return;
  ++switches_;
  Fiber::switch_to(from, *to);
}

void Scheduler::fiber_entry() {
  Fiber::arrived();
  instance().serve();
}

void Scheduler::serve() {
  for (;;) {
    Fiber& self = *current_->fiber;
    Fiber::acquire(&begin_point_);
    call_body();
    exit_current();
    Thread* next = pick();
    if (!CUDASIM_TSAN) {
      if (next && !next->fiber)
        next->fiber = &self;
      else
        idle_.push_back({&self});
    }
    go_on_with(next, self);
  }
}

void Scheduler::call_body() {
  bool threw = false;
  try {
    (*body_)();
  } catch (...) {
    threw = true;
  }
  if (threw) fail("a kernel threw an exception");
}

void Scheduler::exit_current() {
  Fiber::release(&end_point_);
  if (!current_->block->exit(*current_)) fail(current_->block->fault());
}

void Scheduler::park() {
  Fiber& self = *current_->fiber;
  Fiber::release(&end_point_);  // for if it is never resumed, because another thread is at fault
  go_on_with(pick(), self);
}

void Scheduler::fail(std::string_view sentence) {
  if (fault_.empty()) fault_ = sentence;
  Fiber& self = *current_->fiber;
  go_on_with(nullptr, self);
  __builtin_unreachable();  // this launch is over, and its stacks are forgotten
}

void Scheduler::barrier(const Where& where) {
  Thread& self = *current_;
  void* point = self.block->barrier_point();
  Fiber::release(point);
  if (!self.block->arrive_at_barrier(self, where)) fail(self.block->fault());
  park();
  Fiber::acquire(point);
}

void Scheduler::yield() {
  if (!current_) return;
  current_->block->requeue(*current_);
  park();
}

const std::uint64_t* Scheduler::exchange(const char* collective, unsigned mask, std::uint64_t value, bool orders) {
  Thread& self = *current_;
  void* point = orders && mask ? self.block->collective_point(self, mask) : nullptr;
  if (point) Fiber::release(point);
  if (!self.block->arrive_at_collective(self, collective, mask, value)) fail(self.block->fault());
  park();
  if (point) Fiber::acquire(point);
  return self.block->received(self);
}

void* Scheduler::shared_memory(std::size_t bytes, std::size_t alignment) {
  Block& block = *current_->block;
  const bool first = !block.has_shared_memory();
  void* memory = block.shared_memory(bytes, alignment);
  if (!memory) fail("a kernel asks for shared memory of two sizes; put it all into one struct");
  if (first) Fiber::release(block.shared_point());  // it was this thread that filled it
  Fiber::acquire(block.shared_point());
  return memory;
}

void block_barrier(const Where& where) { Scheduler::instance().barrier(where); }
void yield() { Scheduler::instance().yield(); }
const std::uint64_t* exchange(const char* collective, unsigned mask, std::uint64_t value, bool orders) {
  return Scheduler::instance().exchange(collective, mask, value, orders);
}
void* shared_memory(std::size_t bytes, std::size_t alignment) {
  return Scheduler::instance().shared_memory(bytes, alignment);
}
unsigned lane() { return Scheduler::instance().lane(); }
std::size_t switches() { return Scheduler::instance().switches(); }

}  // namespace cudasim
