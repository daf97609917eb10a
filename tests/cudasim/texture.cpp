#include <cstring>
#include <vector>

#include "cuda_runtime.h"
#include "tests/cudasim/memory.hpp"
#include "tests/cudasim/stream.hpp"

/// Texture memory: no address that a kernel could use. All ones (NaN) at first.
struct cudaArray {
  cudaExtent extent;
  std::vector<float> texels;
};

namespace {

using cudasim::DeviceMemory;
using cudasim::Streams;
using Lock = std::lock_guard<std::mutex>;

bool fits(const cudaExtent& extent, unsigned flags) {
  const std::size_t side = flags == cudaArrayLayered ? 32768 : 16384, depth = flags == cudaArrayLayered ? 2048 : 16384;
  return extent.width >= 1 && extent.height >= 1 && extent.depth >= 1 && extent.width <= side &&
         extent.height <= side && extent.depth <= depth;
}

bool copyable(const cudaMemcpy3DParms& p) {
  const bool whole = !p.srcArray && !p.dstPtr.ptr && p.dstArray && p.srcPos.x + p.srcPos.y + p.srcPos.z == 0 &&
                     p.dstPos.x + p.dstPos.y + p.dstPos.z == 0;
  if (!whole) return false;
  const cudaExtent& room = p.dstArray->extent;
  const cudaExtent& e = p.extent;
  if (e.width > room.width || e.height > room.height || e.depth > room.depth ||
      p.srcPtr.pitch < e.width * sizeof(float) || p.srcPtr.ysize < e.height || e.width * e.height * e.depth == 0)
    return false;
  const std::size_t rows = (e.depth - 1) * p.srcPtr.ysize + e.height;
  const std::size_t bytes = (rows - 1) * p.srcPtr.pitch + e.width * sizeof(float);
  const bool on_device = DeviceMemory::instance().is_device(p.srcPtr.ptr);
  if (p.kind == cudaMemcpyDeviceToDevice && !on_device) return false;
  if (p.kind == cudaMemcpyHostToDevice && on_device) return false;
  return !on_device || DeviceMemory::instance().contains(p.srcPtr.ptr, bytes);
}

void copy_rows(const cudaMemcpy3DParms& p) {
  const cudaExtent& room = p.dstArray->extent;
  for (std::size_t z = 0; z < p.extent.depth; ++z)
    for (std::size_t y = 0; y < p.extent.height; ++y)
      std::memcpy(&p.dstArray->texels[(z * room.height + y) * room.width],
                  static_cast<const char*>(p.srcPtr.ptr) + (z * p.srcPtr.ysize + y) * p.srcPtr.pitch,
                  p.extent.width * sizeof(float));
}

}  // namespace

cudaError_t cudaMalloc3DArray(cudaArray_t* array, const cudaChannelFormatDesc* channel, cudaExtent extent,
                              unsigned flags) {
  if (!fits(extent, flags)) return cudaErrorInvalidValue;
  if (channel->x != 32 || channel->y + channel->z + channel->w != 0) return cudaErrorNotSupported;
  *array = new cudaArray{extent, {}};
  (*array)->texels.resize(extent.width * extent.height * extent.depth);
  std::memset((*array)->texels.data(), 0xFF, (*array)->texels.size() * sizeof(float));
  return cudaSuccess;
}

cudaError_t cudaFreeArray(cudaArray_t array) {
  const cudaError_t status = cudaDeviceSynchronize();
  delete array;
  return status;
}

cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* parameters, cudaStream_t stream) {
  const Lock lock(Streams::instance().mutex());
  CUstream_st* found = Streams::instance().find(stream);
  if (!found) return cudaErrorInvalidResourceHandle;
  if (!copyable(*parameters)) return cudaErrorInvalidValue;
  found->work.push_back([p = *parameters] { copy_rows(p); });
  return cudaSuccess;
}

cudaError_t cudaCreateTextureObject(cudaTextureObject_t* object, const cudaResourceDesc* resource,
                                    const cudaTextureDesc* description, const cudaResourceViewDesc*) {
  for (const cudaTextureAddressMode mode : description->addressMode)
    if (mode != cudaAddressModeBorder) return cudaErrorNotSupported;
  if (description->normalizedCoords) return cudaErrorNotSupported;
  const cudaArray& array = *resource->res.array.array;
  auto* texture = new cudasim_texture{array.texels.data(), static_cast<int>(array.extent.width),
                                      static_cast<int>(array.extent.height), static_cast<int>(array.extent.depth),
                                      description->filterMode == cudaFilterModeLinear};
  *object = reinterpret_cast<cudaTextureObject_t>(texture);
  return cudaSuccess;
}

cudaError_t cudaDestroyTextureObject(cudaTextureObject_t object) {
  const cudaError_t status = cudaDeviceSynchronize();
  delete reinterpret_cast<cudasim_texture*>(object);
  return status;
}
