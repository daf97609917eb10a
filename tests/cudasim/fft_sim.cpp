// The twin of kernels/core/cuda/fft_cufft.cpp: pocketfft, as deferred work of the stream.
#include <algorithm>
#include <limits>

#include "cuda_runtime.h"
#include "kernels/core/device_hooks.hpp"
#include "kernels/core/fft.hpp"

namespace kiban::sim {
namespace {

struct Plan {
  Stream host{Device{}, 1};
  Shape<2> rows, spectra;
  RealFft fft;
  Plan(std::int64_t batch, std::int64_t length)
      : rows{batch, length}, spectra{batch, length / 2 + 1}, fft(host, batch, length) {}
};

}  // namespace

void* fft_create(int, std::int64_t batch, std::int64_t length) { return new Plan(batch, length); }

void fft_destroy(int, void* plan) noexcept {
  cudaDeviceSynchronize();  // queued transforms refer to it
  delete static_cast<Plan*>(plan);
}

void fft_forward(int, void* stream, void* plan, const float* rows, std::complex<float>* spectra) {
  Plan& p = *static_cast<Plan*>(plan);
  cudasim::enqueue(static_cast<cudaStream_t>(stream), [&p, rows, spectra] {
    p.fft.forward(p.host, Span<const float, 2>(rows, p.rows), Span<std::complex<float>, 2>(spectra, p.spectra));
  });
}

void fft_inverse(int, void* stream, void* plan, std::complex<float>* spectra, float* rows) {
  Plan& p = *static_cast<Plan*>(plan);
  cudasim::enqueue(static_cast<cudaStream_t>(stream), [&p, rows, spectra] {
    const Span<std::complex<float>, 2> input(spectra, p.spectra);
    p.fft.inverse(p.host, input, Span<float, 2>(rows, p.rows));
    const float lost = std::numeric_limits<float>::quiet_NaN();  // cuFFT may overwrite its input, so nobody may use it
    std::fill_n(spectra, input.size(), std::complex<float>(lost, lost));
  });
}

}  // namespace kiban::sim
