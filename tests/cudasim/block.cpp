#include "tests/cudasim/block.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#if CUDASIM_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace cudasim {
namespace {

constexpr std::size_t kArena = 64 * 1024;  // and a guard of the same size, whatever the pages of the machine are

std::string triple(const uint3& i) {
  char text[40];
  std::snprintf(text, sizeof text, "(%u,%u,%u)", i.x, i.y, i.z);
  return text;
}

std::string place(const Where& where) { return std::string(where.file_name()) + ":" + std::to_string(where.line()); }

std::string hexadecimal(unsigned mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

}  // namespace

Block::Block() {
  void* memory = mmap(nullptr, 2 * kArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  arena_ = static_cast<char*>(memory);
  mprotect(arena_ + kArena, kArena, PROT_NONE);
}

Block::~Block() {
#if CUDASIM_ASAN
  __asan_unpoison_memory_region(arena_, kArena);
#endif
  munmap(arena_, 2 * kArena);
}

void Block::start(const uint3& index, const dim3& size, Order order, std::minstd_rand& random) {
  index_ = index;
  order_ = order;
  random_ = &random;
  const std::size_t count = std::size_t{size.x} * size.y * size.z;
  if (threads_.size() != count) {
    threads_.assign(count, Thread{});
    warps_.resize((count + 31) / 32);
    received_.resize(count);
    queue_.resize(count);
    released_.reserve(count);
  }
  first_ = queued_ = waiting_ = 0;
  live_ = count;
  released_.clear();
  unsigned linear = 0;
  for (unsigned z = 0; z < size.z; ++z)
    for (unsigned y = 0; y < size.y; ++y)
      for (unsigned x = 0; x < size.x; ++x, ++linear) {
        Thread& thread = threads_[linear];
        thread.block = this;
        thread.fiber = nullptr;
        thread.index = {x, y, z};
        thread.linear = linear;
        released_.push_back({&thread});
      }
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    const std::size_t lanes = std::min<std::size_t>(32, count - 32 * w);
    warps_[w].arrived = 0;
    warps_[w].present = lanes == 32 ? ~0u : (1u << lanes) - 1;
  }
  shared_bytes_ = 0;
  push_released();
}

void Block::push_released() {
  if (order_ == Order::reverse) std::reverse(released_.begin(), released_.end());
  if (order_ == Order::shuffled) std::shuffle(released_.begin(), released_.end(), *random_);
  for (const Entry& entry : released_) {
    entry.thread->state = ThreadState::ready;
    push(*entry.thread);
  }
  released_.clear();
}

Thread* Block::next() {
  if (queued_ == 0) return nullptr;
  Thread* thread = queue_[first_].thread;
  first_ = (first_ + 1) % queue_.size();
  --queued_;
  return thread;
}

bool Block::arrive_at_barrier(Thread& thread, const Where& where) {
  thread.state = ThreadState::at_barrier;
  thread.where = where;
  return ++waiting_ == live_ ? release_barrier() : true;
}

bool Block::release_barrier() {
  const Thread* one = nullptr;
  for (const Thread& thread : threads_) {
    if (thread.state != ThreadState::at_barrier) continue;
    if (!one) one = &thread;
    if (thread.where.line() != one->where.line() || std::strcmp(thread.where.file_name(), one->where.file_name()) != 0)
      return fault("divergent barrier: " + title(*one) + " waits at the __syncthreads of " + place(one->where) +
                   " while thread " + triple(thread.index) + " waits at that of " + place(thread.where));
  }
  waiting_ = 0;
  ++barriers_;
  for (Thread& thread : threads_)
    if (thread.state == ThreadState::at_barrier) released_.push_back({&thread});
  push_released();
  return true;
}

bool Block::arrive_at_collective(Thread& thread, const char* name, unsigned mask, std::uint64_t value) {
  if (!(mask >> thread.lane() & 1))
    return fault("wrong warp mask: " + title(thread) + ", lane " + std::to_string(thread.lane()) + ", calls " + name +
                 " with mask " + hexadecimal(mask) + ", which it is not in");
  const std::size_t w = thread.linear / 32;
  Warp& warp = warps_[w];
  warp.values[thread.lane()] = value;
  warp.arrived |= 1u << thread.lane();
  thread.mask = mask;
  thread.collective = name;
  thread.state = ThreadState::at_collective;
  return release_collective(warp, 32 * w, mask, &thread);
}

bool Block::release_collective(Warp& warp, std::size_t first, unsigned mask, const Thread* running) {
  const unsigned wanted = mask & warp.present;
  if ((warp.arrived & wanted) != wanted) return true;
  const Thread& one = running ? *running : threads_[first + static_cast<unsigned>(std::countr_zero(wanted))];
  std::array<std::uint64_t, 32> values;
  values.fill(~std::uint64_t{0});
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(wanted >> lane & 1)) continue;
    const Thread& other = threads_[first + lane];
    if (other.mask != mask)
      return fault("wrong warp mask: " + title(one) + " calls " + one.collective + " with mask " + hexadecimal(mask) +
                   ", lane " + std::to_string(lane) + " with mask " + hexadecimal(other.mask));
    if (std::strcmp(other.collective, one.collective) != 0)
      return fault("divergent warp: " + title(one) + " calls " + one.collective + " while lane " +
                   std::to_string(lane) + " calls " + other.collective);
    values[lane] = warp.values[lane];
  }
  for (unsigned lane = 0; lane < 32; ++lane)
    if (wanted >> lane & 1) received_[first + lane] = values;
  // Only this group: others of the warp may be waiting for lanes that have not come.
  warp.arrived &= ~wanted;
  ++warp.rounds[std::countr_zero(mask)];
  for (unsigned lane = 0; lane < 32; ++lane)
    if (wanted >> lane & 1) released_.push_back({&threads_[first + lane]});
  push_released();
  return true;
}

bool Block::exit(Thread& thread) {
  thread.state = ThreadState::exited;
  --live_;
  const std::size_t w = thread.linear / 32;
  Warp& warp = warps_[w];
  warp.present &= ~(1u << thread.lane());
  // Those who waited for nobody but this thread go on: a thread that has exited is not waited for.
  if (live_ > 0 && waiting_ == live_) return release_barrier();
  for (unsigned lane = 0; lane < 32 && warp.arrived != 0; ++lane) {
    if (!(warp.arrived >> lane & 1)) continue;
    if (!release_collective(warp, 32 * w, threads_[32 * w + lane].mask, nullptr)) return false;
  }
  return true;
}

void* Block::collective_point(const Thread& thread, unsigned mask) {
  Warp& warp = warps_[thread.linear / 32];
  const int lowest = std::countr_zero(mask);
  return &warp.points[lowest][warp.rounds[lowest] % 2];
}

void* Block::shared_memory(std::size_t bytes, std::size_t alignment) {
  const std::size_t size = (bytes + alignment - 1) / alignment * alignment;
  char* begin = arena_ + kArena - size;
  if (shared_bytes_ == bytes) return begin;
  if (shared_bytes_ != 0) return nullptr;
  shared_bytes_ = bytes;
#if CUDASIM_TSAN
  // Fresh pages: the block before in this arena has nothing to do with this one.
  mmap(arena_, kArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
#endif
#if CUDASIM_ASAN
  __asan_unpoison_memory_region(arena_, kArena);
  std::memset(begin, 0xFF, bytes);
  __asan_poison_memory_region(arena_, kArena - size);
  if (size > bytes) __asan_poison_memory_region(begin + bytes, size - bytes);
#else
  std::memset(begin, 0xFF, bytes);
#endif
  return begin;
}

bool Block::fault(std::string sentence) {
  fault_ = std::move(sentence);
  return false;
}

std::string Block::title(const Thread& thread) const {
  return "thread " + triple(thread.index) + " of block " + triple(index_);
}

std::string Block::deadlock() const {
  for (const Thread& thread : threads_) {
    if (thread.state == ThreadState::at_barrier)
      return "divergent barrier: " + title(thread) + " waits at the __syncthreads of " + place(thread.where) +
             " with " + std::to_string(waiting_) + " of " + std::to_string(live_) +
             " live threads; the others never come";
  }
  for (const Thread& thread : threads_) {
    if (thread.state == ThreadState::at_collective)
      return "wrong warp mask: " + title(thread) + " waits at " + thread.collective + " with mask " +
             hexadecimal(thread.mask) + " for lanes that never come";
  }
  return "the block stands still";
}

}  // namespace cudasim
