#pragma once
#include <string>

#include "kernels/core/error.hpp"
#include "kernels/core/stream.hpp"

/// Declares the backends of one function. `cuda` is absent from a build without nvcc and `sim` from everything but
/// tests: weak symbols make an absent backend a null pointer, so that no caller has an #ifdef.
#define KIBAN_BACKENDS(function, ...)       \
  namespace cpu {                           \
  void function(__VA_ARGS__);               \
  }                                         \
  namespace cuda {                          \
  [[gnu::weak]] void function(__VA_ARGS__); \
  }                                         \
  namespace sim {                           \
  [[gnu::weak]] void function(__VA_ARGS__); \
  }

/// The backend of `function` for the device of `stream`. Errors: device (this build has none).
#define KIBAN_BACKEND_FOR(stream, function) \
  (::kiban::backend_for((stream).device(), #function, &cpu::function, &cuda::function, &sim::function))

namespace kiban {

template <class Function>
Function* backend_for(Device device, const char* what, Function* on_cpu, Function* on_cuda, Function* on_sim) {
  Function* found = device.kind == DeviceKind::cpu ? on_cpu : device.kind == DeviceKind::cuda ? on_cuda : on_sim;
  if (!found) throw Error(ErrorCode::device, std::string(what) + " has no " + name(device) + " version in this build");
  return found;
}

}  // namespace kiban
