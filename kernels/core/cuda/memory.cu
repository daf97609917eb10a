#include <cstdint>
#include <string>

#include "kernels/core/cuda/check.hpp"
#include "kernels/core/device_hooks.hpp"

namespace kiban::KIBAN_CUDA_NAMESPACE {
namespace {

cudaStream_t native(void* stream) { return static_cast<cudaStream_t>(stream); }

void use(int device) { KIBAN_CUDA_CHECK(cudaSetDevice(device)); }

std::string mebibytes(std::size_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

}  // namespace

int device_count() {
  int count = 0;
  if (!device_absence().empty() || cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return count;
}

DeviceDescription device_describe(int device) {
  use(device);
  cudaDeviceProp properties{};
  KIBAN_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  std::size_t free = 0, total = 0;
  KIBAN_CUDA_CHECK(cudaMemGetInfo(&free, &total));
#ifdef KIBAN_CUDASIM
  const DeviceKind kind = DeviceKind::sim;
#else
  const DeviceKind kind = DeviceKind::cuda;
#endif
  return {{kind, device},
          properties.name,
          total,
          free,
          "compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor)};
}

void* device_allocate(int device, std::size_t bytes) {
  use(device);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    KIBAN_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    throw Error(ErrorCode::device, "the GPU has too little memory: " + mebibytes(bytes) + " asked, " + mebibytes(free) +
                                       " of " + mebibytes(total) + " free; take a smaller volume, or --device cpu");
  }
  gpu::check(status, "cudaMalloc");
  return memory;
}

void device_release(int device, void* memory) noexcept {
  cudaSetDevice(device);
  cudaFree(memory);
}

void device_synchronize(int device) {
  use(device);
  KIBAN_CUDA_CHECK(cudaDeviceSynchronize());
}

void* stream_create(int device) {
  use(device);
  cudaStream_t stream = nullptr;
  KIBAN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

void stream_destroy(int device, void* stream) noexcept {
  cudaSetDevice(device);
  cudaStreamDestroy(native(stream));
}

void stream_synchronize(int device, void* stream) {
  use(device);
  KIBAN_CUDA_CHECK(cudaStreamSynchronize(native(stream)));
}

void stream_wait(int device, void* stream, void* other) {
  use(device);
  cudaEvent_t event = nullptr;
  KIBAN_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  cudaError_t status = cudaEventRecord(event, native(other));
  if (status == cudaSuccess) status = cudaStreamWaitEvent(native(stream), event, 0);
  cudaEventDestroy(event);  // lives on until the wait is over
  gpu::check(status, "cudaStreamWaitEvent");
}

void device_copy(int device, void* stream, void* to, const void* from, std::size_t bytes) {
  use(device);
  KIBAN_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, native(stream)));
}

void device_zero(int device, void* stream, void* memory, std::size_t bytes) {
  use(device);
  KIBAN_CUDA_CHECK(cudaMemsetAsync(memory, 0, bytes, native(stream)));
}

}  // namespace kiban::KIBAN_CUDA_NAMESPACE
