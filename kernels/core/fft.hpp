#pragma once
#include <complex>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/core/array.hpp"

namespace kiban {

/// Real-to-complex transforms of `batch` rows of `length` floats and back, both unscaled (a round trip multiplies by
/// `length`). On a CPU pocketfft, in the calling thread; on a GPU cuFFT; on `sim` pocketfft as deferred work of the
/// stream.
///   rows     [batch, length]
///   spectra  [batch, length/2 + 1]
class RealFft {
 public:
  /// Errors: internal (length < 1, or batch < 0) · device.
  RealFft(Stream& stream, std::int64_t batch, std::int64_t length);
  void forward(Stream& stream, Span<const float, 2> rows, Span<std::complex<float>, 2> spectra) const;
  /// Overwrites `spectra`, as cuFFT does.
  void inverse(Stream& stream, Span<std::complex<float>, 2> spectra, Span<float, 2> rows) const;

 private:
  void check(Span<const float, 2> rows, Span<const std::complex<float>, 2> spectra) const;

  std::int64_t batch_, length_;
  Device device_;
  std::shared_ptr<void> plan_;  ///< of the device; empty on a CPU
};

/// Real transforms on a CPU of as many rows as a vector has lanes, in place, one row a lane:  data [sample, lane].
/// Forward leaves FFTPACK's half-complex order: re 0, re 1, im 1, re 2, im 2, ... Unscaled. A plan may be used by many
/// threads at once. The vector is the widest of the instruction set that is pinned or found.
class LaneFft {
 public:
  /// Errors: internal (length < 1).
  explicit LaneFft(std::int64_t length);
  std::int64_t lanes() const { return lanes_; }
  /// `data`: length x lanes floats, aligned to 64 bytes.
  void forward(float* data) const { execute_(plan_.get(), data, true); }
  void inverse(float* data) const { execute_(plan_.get(), data, false); }

 private:
  std::int64_t lanes_;
  std::shared_ptr<void> plan_;
  void (*execute_)(const void* plan, float* data, bool forward);
};

/// Real part of the discrete Fourier transform of real samples:  sums[k] = sum_j samples[j] cos(2 pi j k / n)
///   samples [n]
///   returns [n/2 + 1]
/// Errors: internal (no sample). Cost: n log n, in the calling thread; for tables that are made once.
/// Exactness: double, a few rounding errors of the sum of |samples|.
std::vector<double> cosine_sums(std::span<const double> samples);

}  // namespace kiban
