#include <cuda_runtime.h>
#include <dlfcn.h>

#include <string>

#include "kernels/core/device_hooks.hpp"

namespace kiban::cuda {
namespace {

std::string dotted(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

// Through the loader and by the driver's own interface, for a runtime that meets an older driver fails in every call
// with a code that says little.
std::string ask_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);  // stays open: the runtime will use it
  if (!driver) return "no NVIDIA driver (libcuda.so.1) on this machine";
  const auto initialise = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto driver_version = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDriverGetVersion"));
  const auto count_devices = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  if (!initialise || !driver_version || !count_devices) return "libcuda.so.1 is not an NVIDIA driver";
  int version = 0;
  if (driver_version(&version) != 0) return "the NVIDIA driver does not tell its version";
  // Within a major version an older driver will do: CUDA Compatibility, "Minor Version Compatibility".
  if (version / 1000 < CUDART_VERSION / 1000)
    return "the NVIDIA driver supports CUDA " + dotted(version) + ", older than the " + dotted(CUDART_VERSION) +
           " of this build; update the driver";
  if (const int status = initialise(0); status != 0)
    return status == 100 ? "the NVIDIA driver sees no device"
                         : "the NVIDIA driver does not start (cuInit: " + std::to_string(status) + ")";
  int count = 0;
  if (count_devices(&count) != 0 || count == 0) return "the NVIDIA driver sees no device";
  return "";
}

}  // namespace

std::string device_absence() {
  static const std::string reason = ask_driver();
  return reason;
}

}  // namespace kiban::cuda
