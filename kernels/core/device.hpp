#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kiban {

/// `sim` runs the CUDA kernels on the CPU, one fiber a thread; it exists in tests only.
enum class DeviceKind { cpu, cuda, sim };

/// Where work runs. A value.
struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  auto operator<=>(const Device&) const = default;
};

/// `cpu`, `cuda:0`, `sim`.
std::string name(Device device);

/// Reads `auto` (the first CUDA device, else the CPU), `cpu`, `cuda`, `cuda:N` or `sim`.
/// Errors: usage (not a device's name) · device (this build, driver or machine has no such device; says which of the
/// three).
Device parse_device(std::string_view text);

/// Errors: device (nothing can run on `device`: this build, driver or machine has none such, or this is a forked child;
/// says which, in the words of parse_device).
void require_device(Device device);

struct DeviceDescription {
  Device device;
  std::string model;         ///< marketing name of the processor
  std::size_t memory_bytes;  ///< memory of the device
  std::size_t free_bytes;    ///< of which free now
  std::string detail;        ///< instruction set, or compute capability
};

/// Bytes of host memory that this process can still take: MemAvailable of /proc/meminfo, or what its control groups
/// leave, the lower.
std::int64_t available_memory_bytes();

/// Every device on which this process can run, the CPU first. Never fails: a broken driver is a shorter list.
std::vector<DeviceDescription> devices();

/// Why no CUDA device is listed: "built without CUDA", "no driver", "driver 12.4 is older than ...", or empty if there
/// is one.
std::string cuda_absence();

}  // namespace kiban
