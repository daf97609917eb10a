#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/core/array.hpp"
#include "kernels/core/backends.hpp"
#include "kernels/variant/pairhmm.hpp"

namespace kiban::variant {

/// 10^(-quality/10) for every quality: made once, on the host, so that all devices have the same bits.
struct PhredTable {
  double probability[256];
};
const PhredTable& phred_table();

/// A read may be this long to be computed in float first.
inline constexpr std::int64_t kFloatRows = 512;

/// Of one read and one haplotype.
struct ReadAndHaplotype {
  std::int32_t read = 0, haplotype = 0;
};

/// What every backend works on.
struct PairHmmProblem {
  explicit PairHmmProblem(const PairHmmRegions& regions);

  PairHmmRegions regions;
  /// [base] A 1, C 2, G 4, T 8, any other 15: equal if they share a bit.
  std::vector<std::uint8_t> read_codes, haplotype_codes;
  std::vector<ReadAndHaplotype> pairs;  ///< [pair]
  std::int64_t longest_haplotype = 0;

  std::int64_t rows(std::int64_t pair) const { return length(regions.reads.begin, pairs[at(pair)].read); }
  std::int64_t columns(std::int64_t pair) const { return length(regions.haplotypes.begin, pairs[at(pair)].haplotype); }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  static std::int64_t length(std::span<const std::int64_t> begin, std::int32_t i) {
    return begin[at(i) + 1] - begin[at(i)];
  }
};

/// A likelihood is total 2^-exponent.
struct ScaledSum {
  double total = 0;
  std::int64_t exponent = 0;
};

/// Sums are scaled by 2^exponent.
inline constexpr int kFloatExponent = 120, kDoubleExponent = 1020;
inline constexpr double kFloatScale = 0x1p120, kDoubleScale = 0x1p1020;
/// Below, what was rounded to zero on the way may count.
inline constexpr double kLeastFloatSum = 1e-28, kLeastDoubleSum = 1e-280;
/// Above any sum of floats that did not overflow.
inline constexpr double kMostFloatSum = 1e39;

/// Whether a read of so many bases is done with its sum in float. False for a sum that is not a number.
KIBAN_HOST_DEVICE constexpr bool float_suffices(std::int64_t rows, double sum) {
  return rows <= kFloatRows && sum >= kLeastFloatSum && sum <= kMostFloatSum;
}

/// What a backend keeps for a row in float; and on a GPU for a column of a pair in double, or with exponents, for as
/// many pairs at a time as there is room for.
inline constexpr std::size_t kRowBytes = 32, kColumnBytes = 48, kColumnsRoom = 256 << 20;

///   sums   [pair]
KIBAN_BACKENDS(pairhmm_sums, Stream& stream, const PairHmmProblem& problem, std::span<ScaledSum> sums)

}  // namespace kiban::variant
