#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "cuda_runtime.h"
#include "tests/cudasim/fault.hpp"
#include "tests/cudasim/memory.hpp"
#include "tests/cudasim/scheduler.hpp"
#include "tests/cudasim/stream.hpp"

namespace cudasim {
namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local std::string last_fault;

cudaError_t keep(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  if (status == cudaErrorLaunchFailure) last_fault = Streams::instance().fault();
  return status;
}

bool kind_fits(cudaMemcpyKind kind, bool to_device, bool from_device) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
      return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
      return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

cudaError_t queue_copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, CUstream_st* stream) {
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  const DeviceMemory& memory = DeviceMemory::instance();
  const bool to_device = memory.is_device(to), from_device = memory.is_device(from);
  if (!kind_fits(kind, to_device, from_device) || (to_device && !memory.contains(to, bytes)) ||
      (from_device && !memory.contains(from, bytes)))
    return cudaErrorInvalidValue;
  stream->work.push_back([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

bool launchable(const dim3& grid, const dim3& block) {
  const auto in = [](unsigned n, unsigned limit) { return n >= 1 && n <= limit; };
  return in(grid.x, 0x7FFFFFFF) && in(grid.y, 65535) && in(grid.z, 65535) && in(block.x, 1024) && in(block.y, 1024) &&
         in(block.z, 64) && block.x * block.y * block.z <= 1024;
}

}  // namespace

using Lock = std::lock_guard<std::mutex>;
static Streams& streams() { return Streams::instance(); }

ScopedOrder::ScopedOrder(Order order) {
  const Lock lock(streams().mutex());
  before_ = std::exchange(streams().order, order);
}
ScopedOrder::~ScopedOrder() {
  const Lock lock(streams().mutex());
  streams().order = before_;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  const Lock lock(streams().mutex());
  CUstream_st* found = streams().find(stream);
  if (found)
    found->work.push_back(std::move(work));
  else
    keep(cudaErrorInvalidResourceHandle);
}

void launch_threads(cudaStream_t stream, dim3 grid, dim3 block, std::function<void()> body) {
  if (!launchable(grid, block)) {
    keep(cudaErrorInvalidConfiguration);
    return;
  }
  enqueue(stream, [=, body = std::move(body)] { Scheduler::instance().run(grid, block, body, streams().order); });
}

}  // namespace cudasim

using cudasim::DeviceMemory;
using cudasim::keep;
using cudasim::Lock;
using cudasim::streams;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return keep(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return keep(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "simulated CUDA device");
  properties->totalGlobalMem = DeviceMemory::kBytes;
  properties->major = 8;
  properties->multiProcessorCount = 1;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const Lock lock(streams().mutex());
  *free = DeviceMemory::instance().free_bytes();
  *total = DeviceMemory::kBytes;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const Lock lock(streams().mutex());
  return keep(streams().synchronize_all());
}

cudaError_t cudaGetLastError() { return std::exchange(cudasim::last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return cudasim::last_error; }

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevicePointer:
      return "cudaErrorInvalidDevicePointer";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorNotSupported:
      return "cudaErrorNotSupported";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  if (error == cudaErrorLaunchFailure) return cudasim::last_fault.c_str();
  if (error == cudaErrorMemoryAllocation) return "out of memory";
  if (error == cudaErrorInvalidConfiguration) return "invalid configuration argument";
  return cudaGetErrorName(error);
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const Lock lock(streams().mutex());
  return keep(DeviceMemory::instance().allocate(memory, bytes));
}

// Waits for everything, as CUDA's does.
cudaError_t cudaFree(void* memory) {
  const Lock lock(streams().mutex());
  const cudaError_t before = streams().synchronize_all();
  const cudaError_t status = DeviceMemory::instance().release(memory);
  return keep(before ? before : status);
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return keep(*memory || bytes == 0 ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* memory) {
  const cudaError_t status = cudaDeviceSynchronize();
  std::free(memory);
  return status;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Lock lock(streams().mutex());
  return keep(cudasim::queue_copy(to, from, bytes, kind, streams().find(stream)));
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t status = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return status ? status : cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  const Lock lock(streams().mutex());
  CUstream_st* found = streams().find(stream);
  if (!found) return keep(cudaErrorInvalidResourceHandle);
  if (bytes == 0) return cudaSuccess;
  if (!DeviceMemory::instance().contains(memory, bytes)) return keep(cudaErrorInvalidValue);
  found->work.push_back([=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (flags != cudaStreamNonBlocking) return keep(cudaErrorNotSupported);
  const Lock lock(streams().mutex());
  *stream = streams().create();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(streams().mutex());
  if (!stream || !streams().find(stream)) return keep(cudaErrorInvalidResourceHandle);
  return keep(streams().destroy(stream));
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(streams().mutex());
  CUstream_st* found = streams().find(stream);
  return keep(found ? streams().synchronize(*found) : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock(streams().mutex());
  CUstream_st* found = streams().find(stream);
  if (!found) return keep(cudaErrorInvalidResourceHandle);
  streams().wait(*found, event->ticket);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;  // whoever waits for it holds its ticket
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(streams().mutex());
  CUstream_st* found = streams().find(stream);
  if (!found) return keep(cudaErrorInvalidResourceHandle);
  event->ticket = streams().record(*found);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(streams().mutex());
  return keep(event->ticket ? streams().synchronize(*event->ticket) : cudaSuccess);
}
