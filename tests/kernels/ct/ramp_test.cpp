#include "kernels/ct/ramp.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/core/error.hpp"

namespace kiban::ct {
namespace {

constexpr double kPi = std::numbers::pi;

/// One value of the response without a window, by the definition: the sum over the ramp's samples.
double ramp_at(std::int64_t k, std::int64_t padded, double spacing_mm) {
  long double sum = 0.25L;
  for (std::int64_t n = 1; n < padded; n += 2) {
    const auto odd = kPi * static_cast<double>(std::min(n, padded - n));
    const auto turns = static_cast<double>(k * n % padded) / static_cast<double>(padded);
    sum -= static_cast<long double>(std::cos(2 * kPi * turns)) / (odd * odd);
  }
  return static_cast<double>(sum) / spacing_mm;
}

TEST(RampResponse, IsTheTransformOfTheRampsSamples) {
  for (const std::int64_t columns : {1, 2, 3, 8, 45, 64, 125, 700}) {
    const std::int64_t padded = padded_length(columns);
    const std::vector<double> response = ramp_response(columns, padded, 0.7, Window::ram_lak, 1);
    ASSERT_EQ(static_cast<std::int64_t>(response.size()), padded / 2 + 1);
    for (std::int64_t k = 0; k <= padded / 2; ++k)
      EXPECT_NEAR(response[static_cast<std::size_t>(k)], ramp_at(k, padded, 0.7), 1e-12 * 0.5 / 0.7)
          << columns << " columns, " << k;
  }
}

/// An odd half: the sample at half the period is its own mirror.
TEST(RampResponse, CountsTheSampleAtHalfThePeriodOnce) {
  for (const std::int64_t padded : {2, 6, 10, 18, 30})
    EXPECT_NEAR(ramp_response(padded / 2, padded, 1, Window::ram_lak, 1)[0], ramp_at(0, padded, 1), 1e-13) << padded;
}

/// As a plane of 10^10 cosines it would not end in a test's time.
TEST(RampResponse, OfAPanelOfAMillionColumns) {
  const std::int64_t columns = 1000000, padded = padded_length(columns);
  const std::vector<double> response = ramp_response(columns, padded, 0.01, Window::hann, 0.5);
  for (const std::int64_t k : {std::int64_t{0}, std::int64_t{1}, padded / 9, padded / 5, padded / 4}) {
    const double window = 0.5 + 0.5 * std::cos(kPi * static_cast<double>(k) / (0.25 * static_cast<double>(padded)));
    EXPECT_NEAR(response[static_cast<std::size_t>(k)], window * ramp_at(k, padded, 0.01), 1e-12 * 0.5 / 0.01) << k;
  }
  EXPECT_EQ(response[static_cast<std::size_t>(padded / 4 + 1)], 0) << "beyond the cutoff";
}

TEST(RampResponse, RefusesWhatIsNoFilter) {
  for (const double cutoff : {0.0, -1.0, 1.1, std::nan("")})
    EXPECT_THROW(ramp_response(8, 16, 1, Window::hann, cutoff), Error) << cutoff;
  EXPECT_THROW(ramp_response(8, 14, 1, Window::hann, 1), Error);
}

TEST(PaddedLength, IsTheNextEvenProductOfSmallPrimes) {
  const std::pair<std::int64_t, std::int64_t> lengths[] = {{1, 2}, {2, 4}, {4, 8}, {5, 10}, {65, 144}, {1000, 2000}};
  for (const auto& [columns, length] : lengths) EXPECT_EQ(padded_length(columns), length);
}

}  // namespace
}  // namespace kiban::ct
