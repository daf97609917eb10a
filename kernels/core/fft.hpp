#pragma once
#include <complex>
#include <cstdint>
#include <memory>

#include "kernels/core/array.hpp"

namespace kiban {

/// Real-to-complex transforms of `batch` rows of `length` floats and back, both unscaled (a round trip multiplies by
/// `length`). On a CPU pocketfft, one thread: callers run one plan on many threads. On a GPU cuFFT; on `sim` pocketfft as
/// deferred work of the stream.
///   rows     [batch, length]
///   spectra  [batch, length/2 + 1]
class RealFft {
 public:
  /// Errors: internal (length < 1) · device.
  RealFft(Stream& stream, std::int64_t batch, std::int64_t length);
  void forward(Stream& stream, Span<const float, 2> rows, Span<std::complex<float>, 2> spectra) const;
  void inverse(Stream& stream, Span<const std::complex<float>, 2> spectra, Span<float, 2> rows) const;

 private:
  std::int64_t batch_, length_;
  Device device_;
  std::shared_ptr<void> plan_;  ///< the cuFFT plans; empty on a CPU
};

}  // namespace kiban
