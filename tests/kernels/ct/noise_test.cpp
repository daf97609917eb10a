#include "kernels/ct/noise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "cudasim/launch.h"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

using std::cos, std::exp, std::floor, std::log, std::sqrt;
#define KIBAN_HD
#include "kernels/ct/noise_math-inl.hpp"
#undef KIBAN_HD

/// The answers published with the generator's authors' library.
TEST(Philox, GivesTheKnownAnswers) {
  const struct {
    RandomBits counter;
    std::uint32_t key0, key1;
    RandomBits answer;
  } known[] = {
      {{{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
       0xffffffff,
       0xffffffff,
       {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       0xa4093822,
       0x299f31d0,
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const auto& row : known) {
    const RandomBits bits = philox(row.counter, row.key0, row.key1);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(bits.word[i], row.answer.word[i]);
  }
}

std::vector<float> noisy(Device device, float p, double photons, std::uint64_t seed, const Shape<3>& shape,
                         std::int64_t first = 0, int threads = 0) {
  Stream stream(device, threads);
  Array<float, 3> projections =
      test::to_device<3>(stream, std::vector<float>(static_cast<std::size_t>(element_count<3>(shape)), p), shape);
  add_poisson_noise(stream, photons, seed, first, projections.span());
  return test::to_host(stream, projections);
}

std::vector<double> counts_of(const std::vector<float>& projections, double photons) {
  std::vector<double> counts;
  for (const float p : projections) counts.push_back(std::round(photons * std::exp(-static_cast<double>(p))));
  return counts;
}

/// ln P(count).
double log_probability(double mean, double count) { return count * std::log(mean) - mean - std::lgamma(count + 1); }

class Noise : public testing::TestWithParam<Device> {};

/// Chi-squared over cells that each expect at least 25 counts: the cells of a sample follow Poisson's own formula.
/// Below the mean of 32 the sampler inverts, above it expands; both sides of the border are here.
TEST_P(Noise, CountsFollowThePoissonDistribution) {
  constexpr double kPhotons = 1e4;
  const Shape<3> shape{2, 200, 250};
  const auto samples = static_cast<double>(element_count<3>(shape));
  for (const double mean : {1.5, 8.0, 31.0, 33.0, 400.0}) {
    const auto p = static_cast<float>(std::log(kPhotons / mean));
    const double exact = kPhotons * std::exp(-static_cast<double>(p));
    const std::vector<double> counts = counts_of(noisy(GetParam(), p, kPhotons, 7, shape), kPhotons);
    std::vector<double> seen(1000, 0.0);
    for (const double count : counts) seen.at(static_cast<std::size_t>(count)) += 1;
    double chi_squared = 0, expected = 0, found = 0;
    int cells = 0;
    for (int count = 0; count < 1000; ++count) {
      // No count and one count report the same line integral.
      expected += samples * std::exp(log_probability(exact, count));
      found += seen[static_cast<std::size_t>(count)];
      if (count == 0 || (expected < 25 && count < 999)) continue;
      chi_squared += (found - expected) * (found - expected) / std::max(expected, 1.0);
      ++cells;
      expected = found = 0;
    }
    // Wilson and Hilferty: the cube root of chi-squared per cell is nearly normal; five standard deviations either way.
    const double spread = 2.0 / (9 * cells);
    const double z = (std::cbrt(chi_squared / cells) - (1 - spread)) / std::sqrt(spread);
    EXPECT_LT(std::abs(z), 5) << "mean " << mean << ": chi-squared " << chi_squared << " of " << cells << " cells";
  }
}

TEST_P(Noise, OfManyPhotonsIsTheLineIntegralWithTheVarianceOfItsCounts) {
  constexpr double kPhotons = 1e6;
  const Shape<3> shape{1, 256, 256};
  const auto n = static_cast<double>(element_count<3>(shape));
  const std::vector<float> values = noisy(GetParam(), 2.0f, kPhotons, 3, shape);
  double mean = 0, variance = 0;
  for (const float v : values) mean += v / n;
  for (const float v : values) variance += (v - mean) * (v - mean) / n;
  const double expected = 1 / (kPhotons * std::exp(-2.0));
  EXPECT_NEAR(mean, 2.0 + 0.5 * expected, 5 * std::sqrt(expected / n));
  EXPECT_NEAR(variance / expected, 1, 5 * std::sqrt(2 / n));
}

TEST_P(Noise, OfAPixelDependsOnItsNumberAndTheSeedAlone) {
  const Shape<3> shape{5, 33, 71};
  const std::vector<float> whole = noisy(GetParam(), 1.0f, 1e4, 11, shape, 0, 1);
  EXPECT_EQ(noisy(GetParam(), 1.0f, 1e4, 11, shape, 0, 2), whole);
  const std::vector<float> last = noisy(GetParam(), 1.0f, 1e4, 11, {2, 33, 71}, 3);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), whole.begin() + 3 * 33 * 71));
  for (const std::uint64_t other : {std::uint64_t{12}, std::uint64_t{11} + (std::uint64_t{1} << 32)})
    EXPECT_NE(noisy(GetParam(), 1.0f, 1e4, other, shape), whole);
}

TEST_P(Noise, BehindEverythingIsOneCount) {
  const std::vector<float> values = noisy(GetParam(), 1000.0f, 1e4, 1, {1, 4, 4});
  for (const float v : values) EXPECT_FLOAT_EQ(v, static_cast<float>(std::log(1e4)));
}

TEST_P(Noise, LeavesWhatIsNotANumber) {
  for (const float v : noisy(GetParam(), std::numeric_limits<float>::quiet_NaN(), 1e4, 1, {1, 2, 2}))
    EXPECT_TRUE(std::isnan(v));
}

/// Counts are whole: where two libraries' logarithms differ in the last bit, a count may differ by one, and rarely
/// does.
TEST_P(Noise, IsThatOfTheCpu) {
  const Shape<3> shape{3, 64, 65};
  for (const float p : {0.0f, 3.0f, 8.0f}) {
    const std::vector<double> here = counts_of(noisy(GetParam(), p, 3e4, 5, shape), 3e4);
    const std::vector<double> there = counts_of(noisy(Device{}, p, 3e4, 5, shape), 3e4);
    int unlike = 0;
    for (std::size_t i = 0; i < here.size(); ++i) unlike += here[i] != there[i];
    EXPECT_LE(unlike, 1) << p;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Noise, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

TEST(NoiseOnSim, IsTheSameInAnyOrderOfThreads) {
  const std::vector<float> first = noisy(parse_device("sim"), 2.0f, 1e4, 9, {4, 32, 32});
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_EQ(noisy(parse_device("sim"), 2.0f, 1e4, 9, {4, 32, 32}), first);
  }
}

TEST(NoiseErrors, OfPhotonsThatCannotBeCounted) {
  for (const double photons : {0.0, -5.0, 0.5, 1e13, std::numeric_limits<double>::quiet_NaN()}) {
    try {
      noisy(Device{}, 1.0f, photons, 1, {1, 2, 2});
      ADD_FAILURE() << "accepted " << photons;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
    }
  }
}

}  // namespace
}  // namespace kiban::ct
