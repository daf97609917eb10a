#pragma once
#include <cuda_runtime.h>

#include <string>

#include "kernels/core/error.hpp"

/// Every .cu is compiled twice: by nvcc into the library (`cuda`) and, with the simulator's cuda_runtime.h, into the
/// tests
/// (`sim`). What it defines lives in a namespace of this name, or the linker would keep one of the two twins.
#ifdef KIBAN_CUDASIM
#define KIBAN_CUDA_NAMESPACE sim
#else
#define KIBAN_CUDA_NAMESPACE cuda
#endif

namespace kiban::gpu {
inline namespace KIBAN_CUDA_NAMESPACE {

/// Errors: device (`status` is not success), naming the call. Clears the error, or the next launch would be blamed for
/// it.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw Error(ErrorCode::device, std::string("the GPU failed: ") + cudaGetErrorString(status) + " (" +
                                     cudaGetErrorName(status) + ") in " + call +
                                     "; run `kiban devices` to see what is there, or take --device cpu");
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::gpu

#define KIBAN_CUDA_CHECK(call) ::kiban::gpu::check((call), #call)
