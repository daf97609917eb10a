#pragma once
#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/core/device.hpp"

// What the core asks of a GPU's runtime, twice: `kiban::cuda::` is linked in when nvcc built the library,
// `kiban::sim::` by the tests' simulator. Weak: an absent half is a null address (`if (cuda::device_count)`). Streams
// are cudaStream_t as void*, so that no caller needs CUDA's headers. Work and copies are ordered on their stream and
// asynchronous to the host.
//
//   device_absence      why there is no device ("no driver", "driver 12.4 is older than ..."), empty if there is one;
//                       asks the driver only, and comes before every other call
//   device_count        0 when device_absence() has a reason
//   stream_synchronize  waits, and reports what failed on the stream since the last call
//   stream_wait         later work of `stream` starts after all work so far of `other`, a stream of the same device;
//   the
//                       host does not wait
//   device_copy         each of `to` and `from` in host memory or of any device
//   fft_create          plans for `batch` rows of `length` floats and length/2+1 complex numbers each, unscaled. A plan
//                       owns its workspace, so it serves one stream at a time
//   fft_inverse         may overwrite the spectra (cuFFT does)
//
// Errors: device, from all but the first two, and from the ones that destroy: those never throw.
#define KIBAN_DEVICE_HOOKS(backend)                                                                                \
  namespace kiban::backend {                                                                                       \
  [[gnu::weak]] std::string device_absence();                                                                      \
  [[gnu::weak]] int device_count();                                                                                \
  [[gnu::weak]] DeviceDescription device_describe(int device);                                                     \
  [[gnu::weak]] void* device_allocate(int device, std::size_t bytes);                                              \
  [[gnu::weak]] void device_release(int device, void* memory) noexcept;                                            \
  [[gnu::weak]] void device_synchronize(int device);                                                               \
  [[gnu::weak]] void* stream_create(int device);                                                                   \
  [[gnu::weak]] void stream_destroy(int device, void* stream) noexcept;                                            \
  [[gnu::weak]] void stream_synchronize(int device, void* stream);                                                 \
  [[gnu::weak]] void stream_wait(int device, void* stream, void* other);                                           \
  [[gnu::weak]] void device_copy(int device, void* stream, void* to, const void* from, std::size_t bytes);         \
  [[gnu::weak]] void device_zero(int device, void* stream, void* memory, std::size_t bytes);                       \
  [[gnu::weak]] void* fft_create(int device, std::int64_t batch, std::int64_t length);                             \
  [[gnu::weak]] void fft_destroy(int device, void* plan) noexcept;                                                 \
  [[gnu::weak]] void fft_forward(int device, void* stream, void* plan, const float* rows,                          \
                                 std::complex<float>* spectra);                                                    \
  [[gnu::weak]] void fft_inverse(int device, void* stream, void* plan, std::complex<float>* spectra, float* rows); \
  }

KIBAN_DEVICE_HOOKS(cuda)
KIBAN_DEVICE_HOOKS(sim)

/// The hook `f` of the device, which is not the CPU; null where this build has none.
#define KIBAN_HOOK(device, f) ((device).kind == ::kiban::DeviceKind::sim ? &::kiban::sim::f : &::kiban::cuda::f)
