#include "kernels/ct/ramp.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "kernels/core/error.hpp"
#include "kernels/core/fft.hpp"

namespace kiban::ct {
namespace {

constexpr double kPi = std::numbers::pi;

/// Weight of the frequency `x` (1 = Nyquist) under a window whose support ends at `cutoff`.
double window_weight(Window window, double x, double cutoff) {
  if (x > cutoff) return 0;
  const double t = x / cutoff;
  switch (window) {
    case Window::ram_lak:
      return 1;
    case Window::shepp_logan:
      return t == 0 ? 1 : std::sin(kPi * t / 2) / (kPi * t / 2);
    case Window::cosine:
      return std::cos(kPi * t / 2);
    case Window::hamming:
      return 0.54 + 0.46 * std::cos(kPi * t);
    case Window::hann:
      return 0.5 + 0.5 * std::cos(kPi * t);
  }
  return 1;
}

}  // namespace

std::int64_t padded_length(std::int64_t columns) {
  for (std::int64_t length = columns < 2 ? 2 : 2 * columns - 1;; ++length) {
    if (length % 2 != 0) continue;
    std::int64_t rest = length;
    for (const std::int64_t prime : {2, 3, 5})
      while (rest % prime == 0) rest /= prime;
    if (rest == 1) return length;
  }
}

std::vector<double> ramp_response(std::int64_t columns, std::int64_t padded, double spacing_mm, Window window,
                                  double cutoff) {
  if (!(cutoff > 0 && cutoff <= 1))
    throw Error(ErrorCode::usage, fmt::format("the filter's cutoff is {}; it must be above 0 and at most 1", cutoff));
  if (padded < 2 * columns - 1) throw Error(ErrorCode::internal, "the ramp filter's padding is too short");
  // All `padded` samples are taken: a kernel cut at the row's length would ring. They are even, so that their transform
  // is real.
  std::vector<double> samples(static_cast<std::size_t>(padded));  // h d^2
  samples[0] = 0.25;
  for (std::int64_t n = 1; n <= padded / 2; n += 2) {
    const double odd = kPi * static_cast<double>(n);
    samples[static_cast<std::size_t>(n)] = samples[static_cast<std::size_t>(padded - n)] = -1 / (odd * odd);
  }
  std::vector<double> response = cosine_sums(samples);
  for (std::size_t k = 0; k < response.size(); ++k) {
    const double x = static_cast<double>(k) / static_cast<double>(padded / 2);
    response[k] *= window_weight(window, x, cutoff) / spacing_mm;
  }
  return response;
}

}  // namespace kiban::ct
