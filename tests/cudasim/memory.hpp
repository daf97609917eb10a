#pragma once
#include <cstddef>
#include <map>
#include <string>

#include "cuda_runtime.h"

namespace cudasim {

/// The memory of the simulated device. Each allocation has pages of its own: it ends at a guard page, up to 63 bytes
/// short of it where its size is no multiple of 64, and nobody may touch it but kernels and copies while they run. The
/// bytes around it on its own pages are poisoned for AddressSanitizer, and otherwise watched for writes. New memory is
/// all ones (NaN).
class DeviceMemory {
 public:
  static DeviceMemory& instance();
  static constexpr std::size_t kBytes = std::size_t{8} << 30;

  cudaError_t allocate(void** memory, std::size_t bytes);
  cudaError_t release(void* memory);
  std::size_t free_bytes() const { return kBytes - used_; }

  /// Whether [memory, memory + bytes) lies in one allocation; `device` says whether it begins in one.
  bool contains(const void* memory, std::size_t bytes) const;
  bool is_device(const void* memory) const;

  /// While one of these lives, the host thread may touch device memory. Throws Fault if a write went astray meanwhile
  /// (`close`, the normal way out).
  class Open {
   public:
    explicit Open(DeviceMemory& memory);
    ~Open();
    void close();

   private:
    DeviceMemory& memory_;
    bool open_ = true;
  };

  /// For the report of a segmentation fault: async-signal-safe. Empty if the address is none of the device's.
  const char* explain(const void* address) const;

 private:
  struct Allocation {
    char* mapping;
    std::size_t pages_bytes;  ///< without the guard page
    std::size_t bytes;
  };
  void protect(int protection) const;
  const Allocation* find(const void* memory) const;
  static bool damaged(const Allocation& allocation, const char* begin);

  std::map<const char*, Allocation> allocations_;  // by address
  std::size_t used_ = 0;
  bool is_open_ = false;
};

}  // namespace cudasim
