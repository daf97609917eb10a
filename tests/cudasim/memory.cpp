#include "tests/cudasim/memory.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tests/cudasim/fault.hpp"
#include "tests/cudasim/fiber.hpp"

#if CUDASIM_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace cudasim {
namespace {

constexpr std::size_t kAlignment = 64;  // CUDA gives 256; Kiban's arrays promise 64
constexpr unsigned char kFill = 0xFF;

std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

#if !CUDASIM_ASAN && !CUDASIM_TSAN
void print(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

// Says whose memory it was, and lets the process die of it as it would have. The sanitizers have reports of their own.
void report_segmentation_fault(int signal, siginfo_t* info, void*) {
  const char* explanation = DeviceMemory::instance().explain(info->si_addr);
  if (*explanation) {
    print("cudasim: ");
    print(explanation);
    print("\n");
  }
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  sigaction(signal, &normal, nullptr);
}

void watch_segmentation_faults() {
  static char stack[64 * 1024];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);  // a fiber may fault for want of stack
  struct sigaction action {};
  action.sa_sigaction = report_segmentation_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
}
#else
void watch_segmentation_faults() {}
#endif

}  // namespace

DeviceMemory& DeviceMemory::instance() {
  static DeviceMemory memory;
  return memory;
}

cudaError_t DeviceMemory::allocate(void** memory, std::size_t bytes) {
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (bytes > free_bytes()) return cudaErrorMemoryAllocation;
  static const bool watched = (watch_segmentation_faults(), true);
  (void)watched;
  const std::size_t pages_bytes = (bytes + page() - 1) / page() * page();
  void* mapped = mmap(nullptr, pages_bytes + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return cudaErrorMemoryAllocation;
  auto* mapping = static_cast<char*>(mapped);
  char* begin = mapping + pages_bytes - (bytes + kAlignment - 1) / kAlignment * kAlignment;
  std::memset(mapping, kFill, pages_bytes);
#if CUDASIM_ASAN
  __asan_poison_memory_region(mapping, static_cast<std::size_t>(begin - mapping));
  __asan_poison_memory_region(begin + bytes, static_cast<std::size_t>(mapping + pages_bytes - begin) - bytes);
#endif
  mprotect(mapping + pages_bytes, page(), PROT_NONE);
  if (!is_open_) mprotect(mapping, pages_bytes, PROT_NONE);
  allocations_[begin] = {mapping, pages_bytes, bytes};
  used_ += bytes;
  *memory = begin;
  return cudaSuccess;
}

cudaError_t DeviceMemory::release(void* memory) {
  if (!memory) return cudaSuccess;
  const auto found = allocations_.find(static_cast<char*>(memory));
  if (found == allocations_.end()) return cudaErrorInvalidDevicePointer;
  const Allocation& allocation = found->second;
#if CUDASIM_ASAN
  __asan_unpoison_memory_region(allocation.mapping, allocation.pages_bytes);
#endif
  munmap(allocation.mapping, allocation.pages_bytes + page());
  used_ -= allocation.bytes;
  allocations_.erase(found);
  return cudaSuccess;
}

const DeviceMemory::Allocation* DeviceMemory::find(const void* memory) const {
  const auto* address = static_cast<const char*>(memory);
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return nullptr;
  --after;
  return address < after->second.mapping + after->second.pages_bytes ? &after->second : nullptr;
}

bool DeviceMemory::is_device(const void* memory) const { return find(memory) != nullptr; }

bool DeviceMemory::contains(const void* memory, std::size_t bytes) const {
  const auto* address = static_cast<const char*>(memory);
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return false;
  --after;
  const auto offset = static_cast<std::size_t>(address - after->first);
  return offset <= after->second.bytes && bytes <= after->second.bytes - offset;
}

const char* DeviceMemory::explain(const void* address) const {
  const auto* at = static_cast<const char*>(address);
  for (const auto& [begin, allocation] : allocations_) {
    const char* guard = allocation.mapping + allocation.pages_bytes;
    if (at >= guard && at < guard + page()) return "out of bounds: access beyond the end of device memory";
    if (at >= allocation.mapping && at < guard) return "the host touched device memory; copy it first";
  }
  return "";
}

void DeviceMemory::protect(int protection) const {
  for (const auto& [begin, allocation] : allocations_) mprotect(allocation.mapping, allocation.pages_bytes, protection);
}

bool DeviceMemory::damaged(const Allocation& allocation, const char* begin) {
#if CUDASIM_ASAN
  (void)allocation, (void)begin;  // poisoned, so reported at the access itself
  return false;
#else
  const auto* all = reinterpret_cast<const unsigned char*>(allocation.mapping);
  const auto* first = reinterpret_cast<const unsigned char*>(begin);
  const auto changed = [](unsigned char byte) { return byte != kFill; };
  return std::any_of(all, first, changed) ||
         std::any_of(first + allocation.bytes, all + allocation.pages_bytes, changed);
#endif
}

DeviceMemory::Open::Open(DeviceMemory& memory) : memory_(memory) {
  memory_.protect(PROT_READ | PROT_WRITE);
  memory_.is_open_ = true;
}

DeviceMemory::Open::~Open() {
  if (!open_) return;
  memory_.protect(PROT_NONE);
  memory_.is_open_ = false;
}

void DeviceMemory::Open::close() {
  for (auto& [begin, allocation] : memory_.allocations_) {
    if (!damaged(allocation, begin)) continue;
    std::memset(allocation.mapping, kFill, static_cast<std::size_t>(begin - allocation.mapping));
    std::memset(const_cast<char*>(begin) + allocation.bytes, kFill,
                static_cast<std::size_t>(allocation.mapping + allocation.pages_bytes - begin) - allocation.bytes);
    throw Fault("out of bounds: something wrote just outside a device allocation of " +
                std::to_string(allocation.bytes) + " bytes");
  }
  memory_.protect(PROT_NONE);
  memory_.is_open_ = false;
  open_ = false;
}

}  // namespace cudasim
