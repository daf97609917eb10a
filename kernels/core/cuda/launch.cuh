#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/core/cuda/check.hpp"
#include "kernels/core/stream.hpp"

/// What `*-inl.hpp` files put before a function that both the host and a GPU call.
#define KIBAN_HD __host__ __device__
/// A function of the GPU only.
#define KIBAN_DEVICE __device__ __forceinline__

namespace kiban::gpu {
inline namespace KIBAN_CUDA_NAMESPACE {

/// The cudaStream_t of a stream.
inline cudaStream_t native(const Stream& stream) { return static_cast<cudaStream_t>(stream.native()); }

/// kernel<<<grid, block>>>(arguments...) on `stream`, whose device becomes the current one. Asynchronous.
/// Errors: device (the launch was refused; what fails inside the kernel shows at `synchronize`).
template <class... Parameter, class... Argument>
void launch(const Stream& stream, dim3 grid, dim3 block, void (*kernel)(Parameter...), const Argument&... arguments) {
  KIBAN_CUDA_CHECK(cudaSetDevice(stream.device().index));
#ifdef KIBAN_CUDASIM
  cudasim::launch(native(stream), grid, block, kernel, static_cast<Parameter>(arguments)...);
#else
  // clang-format off
  kernel<<<grid, block, 0, native(stream)>>>(static_cast<Parameter>(arguments)...);
  // clang-format on
#endif
  KIBAN_CUDA_CHECK(cudaGetLastError());
}

/// Blocks of `block` threads that cover `count` items.
inline unsigned blocks_for(std::int64_t count, unsigned block) {
  return static_cast<unsigned>((count + block - 1) / block);
}

/// The shared memory of the calling block: one named struct a kernel, not initialised (NaN in the simulator).
template <class S>
KIBAN_DEVICE S& block_shared() {
#ifdef KIBAN_CUDASIM
  return cudasim::block_shared<S>();
#else
  __shared__ S shared;
  return shared;
#endif
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::gpu
