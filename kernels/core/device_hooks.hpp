#pragma once
#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/core/device.hpp"

/// What the core asks of a GPU's runtime, twice: `kiban::cuda::` is linked in when nvcc built the library,
/// `kiban::sim::` by the tests' simulator. Weak: an absent half is a null address (`if (cuda::device_count)`). Streams
/// are cudaStream_t as void*, so that no caller needs CUDA's headers. Work and copies are ordered on their stream and
/// asynchronous to the host. Errors: device, from every function but `device_absence` and `device_count`.
#define KIBAN_DEVICE_HOOKS(backend)                                                                                  \
  namespace kiban::backend {                                                                                         \
  /* Why there is no device: "no driver", "driver 12.4 is older than ..."; empty if there is one. Asks the driver    \
   * only, */                                                                                                        \
  /* and comes before every other call. */                                                                           \
  [[gnu::weak]] std::string device_absence();                                                                        \
  /* 0 when device_absence() has a reason. */                                                                        \
  [[gnu::weak]] int device_count();                                                                                  \
  [[gnu::weak]] DeviceDescription device_describe(int device);                                                       \
  [[gnu::weak]] void* device_allocate(int device, std::size_t bytes);                                                \
  [[gnu::weak]] void device_release(int device, void* memory);                                                       \
  [[gnu::weak]] void* stream_create(int device);                                                                     \
  [[gnu::weak]] void stream_destroy(int device, void* stream);                                                       \
  /* Waits, and reports what failed on the stream since the last call. */                                            \
  [[gnu::weak]] void stream_synchronize(int device, void* stream);                                                   \
  /* Later work of `stream` starts after all work so far of `other`, of the same device; the host does not wait. */  \
  [[gnu::weak]] void stream_wait(int device, void* stream, void* other);                                             \
  /* Each of `to` and `from` in host memory or of any device. */                                                     \
  [[gnu::weak]] void device_copy(int device, void* stream, void* to, const void* from, std::size_t bytes);           \
  [[gnu::weak]] void device_zero(int device, void* stream, void* memory, std::size_t bytes);                         \
  /* Plans for `batch` rows of `length` floats and length/2+1 complex numbers each, unscaled; owns its workspace, so \
   * one */                                                                                                          \
  /* plan serves one stream at a time. `fft_inverse` may overwrite the spectra (cuFFT does). */                      \
  [[gnu::weak]] void* fft_create(int device, std::int64_t batch, std::int64_t length);                               \
  [[gnu::weak]] void fft_destroy(int device, void* plan);                                                            \
  [[gnu::weak]] void fft_forward(int device, void* stream, void* plan, const float* rows,                            \
                                 std::complex<float>* spectra);                                                      \
  [[gnu::weak]] void fft_inverse(int device, void* stream, void* plan, std::complex<float>* spectra, float* rows);   \
  }

KIBAN_DEVICE_HOOKS(cuda)
KIBAN_DEVICE_HOOKS(sim)
