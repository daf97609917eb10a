#pragma once
#include <cstddef>

// The files that are not instrumented themselves are told by the build (cmake/KibanCudaSim.cmake).
#ifndef CUDASIM_TSAN
#ifdef __SANITIZE_THREAD__
#define CUDASIM_TSAN 1
#else
#define CUDASIM_TSAN 0
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CUDASIM_ASAN 1
#else
#define CUDASIM_ASAN 0
#endif

namespace cudasim {

/// A stack of its own inside one host thread, or (the first constructor) the stack that the host thread came with.
/// The sanitizers are told of every switch: AddressSanitizer which stack is in use, ThreadSanitizer that another thread
/// of the program goes on, and that nothing orders the two.
class Fiber {
 public:
  Fiber();
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Forgets where it was; the next switch to it calls its entry.
  void restart();
  /// The host thread now stands on this stack (first constructor).
  void adopt_host_thread();
  static void switch_to(Fiber& from, Fiber& to);
  /// The first thing that an entry does.
  static void arrived();

  /// Happens-before for ThreadSanitizer, and nothing without it: what came before release(x) comes before what follows
  /// acquire(x).
  static void release(void* point);
  static void acquire(void* point);

 private:
  void (*entry_)() = nullptr;
  char* mapping_ = nullptr;  ///< guard page, then the stack
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  void* stack_pointer_ = nullptr;  ///< or the ucontext_t
  void* asan_fake_stack_ = nullptr;
  void* tsan_fiber_ = nullptr;
};

}  // namespace cudasim
