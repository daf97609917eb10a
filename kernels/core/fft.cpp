#include "kernels/core/fft.hpp"

// Everything of the standard library that pocketfft uses comes before the target regions below, so that none of it is
// compiled for an instruction set that the machine may lack.
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <queue>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels/core/device_hooks.hpp"

#define POCKETFFT_NO_MULTITHREADING  // our threads call it; two pools would fight

#define KIBAN_FFT_NAMESPACE pocketfft_baseline
#define KIBAN_FFT_LANES 4
#include "kernels/core/fft_pocketfft-inl.hpp"

#if HWY_ARCH_X86 && defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2")
#define KIBAN_FFT_NAMESPACE pocketfft_avx2
#define KIBAN_FFT_LANES 8
#include "kernels/core/fft_pocketfft-inl.hpp"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq")
#define KIBAN_FFT_NAMESPACE pocketfft_avx512
#define KIBAN_FFT_LANES 16
#include "kernels/core/fft_pocketfft-inl.hpp"
#pragma GCC pop_options
#endif

namespace kiban {
namespace {

std::size_t checked_length(std::int64_t length) {
  if (length < 1) throw Error(ErrorCode::internal, "a Fourier transform needs at least one sample");
  return static_cast<std::size_t>(length);
}

}  // namespace

LaneFft::LaneFft(std::int64_t length) {
  const std::size_t n = checked_length(length);
#if HWY_ARCH_X86 && defined(__GNUC__)
  const auto supported = hwy::SupportedTargets();
  if (supported & HWY_AVX3) {
    lanes_ = 16, plan_ = pocketfft_avx512::make_plan(n), execute_ = pocketfft_avx512::execute;
    return;
  }
  if (supported & HWY_AVX2) {
    lanes_ = 8, plan_ = pocketfft_avx2::make_plan(n), execute_ = pocketfft_avx2::execute;
    return;
  }
#endif
  lanes_ = 4, plan_ = pocketfft_baseline::make_plan(n), execute_ = pocketfft_baseline::execute;
}

RealFft::RealFft(Stream& stream, std::int64_t batch, std::int64_t length)
    : batch_(batch), length_(static_cast<std::int64_t>(checked_length(length))), device_(stream.device()) {
  if (batch < 0) throw Error(ErrorCode::internal, "a Fourier transform of a negative number of rows");
  if (device_.kind == DeviceKind::cpu) return;
  const Device device = device_;
  plan_ = {KIBAN_HOOK(device, fft_create)(device.index, batch, length), [device](void* plan) {
             KIBAN_HOOK(device, fft_destroy)(device.index, plan);
           }};
}

void RealFft::check(Span<const float, 2> rows, Span<const std::complex<float>, 2> spectra) const {
  if (rows.shape() != Shape<2>{batch_, length_} || spectra.shape() != Shape<2>{batch_, length_ / 2 + 1})
    throw Error(ErrorCode::internal, "a Fourier transform was given arrays of another shape than it was planned for");
}

void RealFft::forward(Stream& stream, Span<const float, 2> rows, Span<std::complex<float>, 2> spectra) const {
  check(rows, spectra);
  const auto in = rows.on(device_);
  const auto out = spectra.on(device_);
  if (device_.kind != DeviceKind::cpu) {
    KIBAN_HOOK(device_, fft_forward)(device_.index, stream.native(), plan_.get(), in.data, out.data);
    return;
  }
  const auto n = static_cast<std::size_t>(length_);
  const auto rows_count = static_cast<std::size_t>(batch_);
  ::pocketfft_baseline::r2c(
      {rows_count, n}, {static_cast<std::ptrdiff_t>(n * sizeof(float)), sizeof(float)},
      {static_cast<std::ptrdiff_t>((n / 2 + 1) * sizeof(std::complex<float>)), sizeof(std::complex<float>)},
      std::size_t{1}, true, in.data, out.data, 1.F);
}

void RealFft::inverse(Stream& stream, Span<std::complex<float>, 2> spectra, Span<float, 2> rows) const {
  check(rows, spectra);
  const auto in = spectra.on(device_);
  const auto out = rows.on(device_);
  if (device_.kind != DeviceKind::cpu) {
    KIBAN_HOOK(device_, fft_inverse)(device_.index, stream.native(), plan_.get(), in.data, out.data);
    return;
  }
  const auto n = static_cast<std::size_t>(length_);
  const auto rows_count = static_cast<std::size_t>(batch_);
  ::pocketfft_baseline::c2r(
      {rows_count, n},
      {static_cast<std::ptrdiff_t>((n / 2 + 1) * sizeof(std::complex<float>)), sizeof(std::complex<float>)},
      {static_cast<std::ptrdiff_t>(n * sizeof(float)), sizeof(float)}, std::size_t{1}, false, in.data, out.data, 1.F);
}

std::vector<double> cosine_sums(std::span<const double> samples) {
  const std::size_t n = checked_length(static_cast<std::int64_t>(samples.size()));
  std::vector<std::complex<double>> spectrum(n / 2 + 1);
  ::pocketfft_baseline::r2c({n}, {sizeof(double)}, {sizeof(std::complex<double>)}, std::size_t{0}, true, samples.data(),
                            spectrum.data(), 1.0);
  std::vector<double> sums;
  sums.reserve(spectrum.size());
  for (const std::complex<double>& value : spectrum) sums.push_back(value.real());
  return sums;
}

}  // namespace kiban
