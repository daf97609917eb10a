#include "tests/cudasim/fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#if CUDASIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if CUDASIM_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

#if defined(__x86_64__) && defined(__linux__)
#define CUDASIM_ASM 1
// Saves what the System V ABI asks a callee to keep, and goes on where the other stack left off. Signal masks and
// floating point modes stay as they are: kernels change neither.
extern "C" void cudasim_switch(void** from, void* to);
asm(R"(.text
.globl cudasim_switch
.hidden cudasim_switch
.type cudasim_switch,@function
cudasim_switch:
 pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
 movq %rsp,(%rdi)
 movq %rsi,%rsp
 popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
 ret
.size cudasim_switch,.-cudasim_switch
)");
#else
#define CUDASIM_ASM 0
#include <ucontext.h>
#endif

namespace cudasim {
namespace {

// Sanitized frames are several times larger.
constexpr std::size_t kStackBytes = (CUDASIM_ASAN || CUDASIM_TSAN ? 256 : 64) * 1024;

std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

#if CUDASIM_ASAN
Fiber* leaving = nullptr;  // the fiber that the running switch came from
#endif

}  // namespace

Fiber::Fiber() {
#if !CUDASIM_ASM
  stack_pointer_ = new ucontext_t;
#endif
}

Fiber::Fiber(void (*entry)()) : Fiber() {
  entry_ = entry;
  size_ = kStackBytes;
  void* memory =
      mmap(nullptr, page() + size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<char*>(memory);
  mprotect(mapping_, page(), PROT_NONE);
  bottom_ = mapping_ + page();
#if CUDASIM_TSAN
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
  restart();
}

Fiber::~Fiber() {
#if CUDASIM_TSAN
  if (mapping_) __tsan_destroy_fiber(tsan_fiber_);
#endif
#if !CUDASIM_ASM
  delete static_cast<ucontext_t*>(stack_pointer_);
#endif
  if (mapping_) munmap(mapping_, page() + size_);
}

void Fiber::restart() {
#if CUDASIM_ASAN
  __asan_unpoison_memory_region(bottom_, size_);  // frames that were left without returning
  asan_fake_stack_ = nullptr;
#endif
#if CUDASIM_ASM
  // What cudasim_switch pops: six registers, the entry, and above it the null return address of the outermost frame.
  auto** top = reinterpret_cast<void**>(mapping_ + page() + size_);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry_);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  stack_pointer_ = top;
#else
  auto* context = static_cast<ucontext_t*>(stack_pointer_);
  getcontext(context);
  context->uc_stack.ss_sp = const_cast<void*>(bottom_);
  context->uc_stack.ss_size = size_;
  context->uc_link = nullptr;
  makecontext(context, entry_, 0);
#endif
}

void Fiber::adopt_host_thread() {
#if CUDASIM_TSAN
  tsan_fiber_ = __tsan_get_current_fiber();
#endif
}

__attribute__((noinline, no_sanitize("thread", "address"))) void Fiber::switch_to(Fiber& from, Fiber& to) {
#if CUDASIM_ASAN
  leaving = &from;
  __sanitizer_start_switch_fiber(&from.asan_fake_stack_, to.bottom_, to.size_);
#endif
#if CUDASIM_TSAN
  __tsan_switch_to_fiber(to.tsan_fiber_, __tsan_switch_to_fiber_no_sync);
#endif
#if CUDASIM_ASM
  cudasim_switch(&from.stack_pointer_, to.stack_pointer_);
#else
  swapcontext(static_cast<ucontext_t*>(from.stack_pointer_), static_cast<ucontext_t*>(to.stack_pointer_));
#endif
#if CUDASIM_ASAN
  __sanitizer_finish_switch_fiber(from.asan_fake_stack_, &leaving->bottom_, &leaving->size_);
#endif
}

__attribute__((no_sanitize("thread", "address"))) void Fiber::arrived() {
#if CUDASIM_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &leaving->bottom_, &leaving->size_);
#endif
}

void Fiber::release([[maybe_unused]] void* point) {
#if CUDASIM_TSAN
  __tsan_release(point);
#endif
}

void Fiber::acquire([[maybe_unused]] void* point) {
#if CUDASIM_TSAN
  __tsan_acquire(point);
#endif
}

}  // namespace cudasim
