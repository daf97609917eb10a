#pragma once
#include <cstdint>

#include "kernels/core/cuda/launch.cuh"

namespace kiban::gpu {
inline namespace KIBAN_CUDA_NAMESPACE {

/// A stack of float images for the texture units: bilinear, zero outside, coordinates in pixels. The centre of pixel i
/// is at i + 0.5, and an image fades to zero within one pixel of its border:  tex2DLayered<float>(object(), u + 0.5f, v
/// + 0.5f, k). Exactness: the units round the fractions of u and v to 8 bits.
class LayeredTexture {
 public:
  /// Errors: device (memory, or extents beyond 32768 x 32768 x 2048).
  LayeredTexture(const Stream& stream, std::int64_t layers, std::int64_t rows, std::int64_t columns)
      : stream_(stream),
        extent_(make_cudaExtent(static_cast<std::size_t>(columns), static_cast<std::size_t>(rows),
                                static_cast<std::size_t>(layers))) {
    KIBAN_CUDA_CHECK(cudaSetDevice(stream.device().index));
    const cudaChannelFormatDesc channel = cudaCreateChannelDesc<float>();
    KIBAN_CUDA_CHECK(cudaMalloc3DArray(&array_, &channel, extent_, cudaArrayLayered));
    cudaResourceDesc resource{};
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array_;
    cudaTextureDesc description{};
    description.addressMode[0] = description.addressMode[1] = description.addressMode[2] = cudaAddressModeBorder;
    description.filterMode = cudaFilterModeLinear;
    description.readMode = cudaReadModeElementType;
    if (const cudaError_t status = cudaCreateTextureObject(&object_, &resource, &description, nullptr)) {
      cudaFreeArray(array_);
      check(status, "cudaCreateTextureObject");
    }
  }
  ~LayeredTexture() {
    cudaSetDevice(stream_.device().index);
    cudaStreamSynchronize(native(stream_));  // kernels may still be reading it
    cudaDestroyTextureObject(object_);
    cudaFreeArray(array_);
  }
  LayeredTexture(const LayeredTexture&) = delete;
  LayeredTexture& operator=(const LayeredTexture&) = delete;

  /// Copies the first `layers` images in, ordered on the stream of the texture.
  ///   pixels   device memory [layer, layer_rows, row_pitch]: the first `rows` rows and `columns` columns of each layer
  void load(const float* pixels, std::int64_t layers, std::int64_t layer_rows, std::int64_t row_pitch) {
    cudaMemcpy3DParms copy{};
    copy.srcPtr = make_cudaPitchedPtr(const_cast<float*>(pixels), static_cast<std::size_t>(row_pitch) * sizeof(float),
                                      static_cast<std::size_t>(row_pitch), static_cast<std::size_t>(layer_rows));
    copy.dstArray = array_;
    copy.extent = make_cudaExtent(extent_.width, extent_.height, static_cast<std::size_t>(layers));
    copy.kind = cudaMemcpyDeviceToDevice;
    KIBAN_CUDA_CHECK(cudaSetDevice(stream_.device().index));
    KIBAN_CUDA_CHECK(cudaMemcpy3DAsync(&copy, native(stream_)));
  }

  cudaTextureObject_t object() const { return object_; }

 private:
  Stream stream_;
  cudaExtent extent_;
  cudaArray_t array_ = nullptr;
  cudaTextureObject_t object_ = 0;
};

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::gpu
