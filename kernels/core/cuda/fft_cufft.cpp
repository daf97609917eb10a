#include <cufft.h>

#include <memory>
#include <string>

#include "kernels/core/cuda/check.hpp"
#include "kernels/core/device_hooks.hpp"

namespace kiban::cuda {
namespace {

struct Plans {
  cufftHandle forward = 0, inverse = 0;
  ~Plans() {
    if (forward) cufftDestroy(forward);
    if (inverse) cufftDestroy(inverse);
  }
};

void check_fft(cufftResult status, const char* call) {
  if (status != CUFFT_SUCCESS)
    throw Error(ErrorCode::device, std::string("cuFFT failed in ") + call + " with status " + std::to_string(status) +
                                       (status == CUFFT_ALLOC_FAILED ? ", too little GPU memory" : "") +
                                       "; take smaller panels, or --device cpu");
}

}  // namespace

void* fft_create(int device, std::int64_t batch, std::int64_t length) {
  KIBAN_CUDA_CHECK(cudaSetDevice(device));
  auto plans = std::make_unique<Plans>();
  const int rows = static_cast<int>(batch), n = static_cast<int>(length);
  if (rows != batch || n != length) throw Error(ErrorCode::internal, "a transform beyond what cuFFT counts in an int");
  check_fft(cufftPlan1d(&plans->forward, n, CUFFT_R2C, rows), "cufftPlan1d(R2C)");
  check_fft(cufftPlan1d(&plans->inverse, n, CUFFT_C2R, rows), "cufftPlan1d(C2R)");
  return plans.release();
}

void fft_destroy(int device, void* plan) noexcept {
  cudaSetDevice(device);
  delete static_cast<Plans*>(plan);
}

void fft_forward(int device, void* stream, void* plan, const float* rows, std::complex<float>* spectra) {
  KIBAN_CUDA_CHECK(cudaSetDevice(device));
  const cufftHandle handle = static_cast<Plans*>(plan)->forward;
  check_fft(cufftSetStream(handle, static_cast<cudaStream_t>(stream)), "cufftSetStream");
  check_fft(cufftExecR2C(handle, const_cast<float*>(rows), reinterpret_cast<cufftComplex*>(spectra)), "cufftExecR2C");
}

void fft_inverse(int device, void* stream, void* plan, std::complex<float>* spectra, float* rows) {
  KIBAN_CUDA_CHECK(cudaSetDevice(device));
  const cufftHandle handle = static_cast<Plans*>(plan)->inverse;
  check_fft(cufftSetStream(handle, static_cast<cudaStream_t>(stream)), "cufftSetStream");
  check_fft(cufftExecC2R(handle, reinterpret_cast<cufftComplex*>(spectra), rows), "cufftExecC2R");
}

}  // namespace kiban::cuda
