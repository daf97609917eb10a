#include <cufft.h>
#include <dlfcn.h>

#include <memory>
#include <string>

#include "kernels/core/cuda/check.hpp"
#include "kernels/core/device_hooks.hpp"

namespace kiban::cuda {
namespace {

/// cuFFT, opened when the first plan is made: linked in, it would keep Kiban from starting where CUDA is not installed.
struct Library {
  decltype(&cufftPlan1d) plan = nullptr;
  decltype(&cufftDestroy) destroy = nullptr;
  decltype(&cufftSetStream) set_stream = nullptr;
  decltype(&cufftExecR2C) forward = nullptr;
  decltype(&cufftExecC2R) inverse = nullptr;

  Library() {
    const std::string name = "libcufft.so." + std::to_string(CUFFT_VER_MAJOR);
    void* opened = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!opened) opened = dlopen((std::string(KIBAN_CUDA_LIBRARIES) + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
    const auto find = [&](auto& function, const char* symbol) {
      if (opened) function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(opened, symbol));
      if (!function)
        throw Error(ErrorCode::device,
                    "no " + name + " with " + symbol + " on this machine; install CUDA's cuFFT, or take --device cpu");
    };
    find(plan, "cufftPlan1d");
    find(destroy, "cufftDestroy");
    find(set_stream, "cufftSetStream");
    find(forward, "cufftExecR2C");
    find(inverse, "cufftExecC2R");
  }
};

const Library& library() {
  static const Library opened;
  return opened;
}

struct Plans {
  cufftHandle forward = 0, inverse = 0;
  ~Plans() {
    if (forward) library().destroy(forward);
    if (inverse) library().destroy(inverse);
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
  const int rows = static_cast<int>(batch), n = static_cast<int>(length);
  if (rows != batch || n != length) throw Error(ErrorCode::internal, "a transform beyond what cuFFT counts in an int");
  const Library& cufft = library();
  auto plans = std::make_unique<Plans>();
  check_fft(cufft.plan(&plans->forward, n, CUFFT_R2C, rows), "cufftPlan1d(R2C)");
  check_fft(cufft.plan(&plans->inverse, n, CUFFT_C2R, rows), "cufftPlan1d(C2R)");
  return plans.release();
}

void fft_destroy(int device, void* plan) noexcept {
  cudaSetDevice(device);
  delete static_cast<Plans*>(plan);
}

void fft_forward(int device, void* stream, void* plan, const float* rows, std::complex<float>* spectra) {
  KIBAN_CUDA_CHECK(cudaSetDevice(device));
  const cufftHandle handle = static_cast<Plans*>(plan)->forward;
  check_fft(library().set_stream(handle, static_cast<cudaStream_t>(stream)), "cufftSetStream");
  check_fft(library().forward(handle, const_cast<float*>(rows), reinterpret_cast<cufftComplex*>(spectra)),
            "cufftExecR2C");
}

void fft_inverse(int device, void* stream, void* plan, std::complex<float>* spectra, float* rows) {
  KIBAN_CUDA_CHECK(cudaSetDevice(device));
  const cufftHandle handle = static_cast<Plans*>(plan)->inverse;
  check_fft(library().set_stream(handle, static_cast<cudaStream_t>(stream)), "cufftSetStream");
  check_fft(library().inverse(handle, reinterpret_cast<cufftComplex*>(spectra), rows), "cufftExecC2R");
}

}  // namespace kiban::cuda
