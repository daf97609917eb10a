#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

#include "tests/reference/variant.hpp"

namespace kiban::reference {
namespace {

/// A probability as it is.
struct Plain {
  long double value = 0;
  Plain() = default;
  explicit Plain(long double p) : value(p) {}
  Plain operator*(Plain other) const { return Plain(value * other.value); }
  Plain operator+(Plain other) const { return Plain(value + other.value); }
  long double log10() const { return std::log10(value); }
};

/// A probability as its natural logarithm.
struct Logarithm {
  long double value = -std::numeric_limits<long double>::infinity();
  Logarithm() = default;
  explicit Logarithm(long double p) : value(std::log(p)) {}
  Logarithm operator*(Logarithm other) const {
    Logarithm product;
    product.value = value + other.value;
    return product;
  }
  Logarithm operator+(Logarithm other) const {
    const long double more = std::max(value, other.value), less = std::min(value, other.value);
    if (std::isinf(less)) return more == value ? *this : other;
    Logarithm sum;
    sum.value = more + std::log1p(std::exp(less - more));
    return sum;
  }
  long double log10() const { return value / std::log(10.0L); }
};

long double phred(std::uint8_t quality) { return std::pow(10.0L, -quality / 10.0L); }

char letter(char base) {
  const char upper = static_cast<char>(std::toupper(static_cast<unsigned char>(base)));
  return std::string("ACGT").find(upper) == std::string::npos ? 'N' : upper;
}

template <class Number>
long double likelihood(const Read& read, const std::string& haplotype) {
  const std::size_t columns = haplotype.size();
  const std::vector<Number> nothing(columns + 1);
  std::vector<Number> m = nothing, i = nothing, d(columns + 1, Number(1.0L / static_cast<long double>(columns)));
  for (std::size_t row = 0; row < read.bases.size(); ++row) {
    const long double error = phred(read.base_quality[row]), c = phred(read.gap_quality[row]);
    const long double insertion = phred(read.insertion_quality[row]), deletion = phred(read.deletion_quality[row]);
    const Number mm(1 - std::min(1.0L, insertion + deletion)), from_gap(1 - c);
    std::vector<Number> new_m = nothing, new_i = nothing, new_d = nothing;
    for (std::size_t j = 1; j <= columns; ++j) {
      const char x = letter(read.bases[row]), y = letter(haplotype[j - 1]);
      const Number prior(x == y || x == 'N' || y == 'N' ? 1 - error : error / 3);
      new_m[j] = prior * (m[j - 1] * mm + (i[j - 1] + d[j - 1]) * from_gap);
      new_i[j] = m[j] * Number(insertion) + i[j] * Number(c);
      new_d[j] = new_m[j - 1] * Number(deletion) + new_d[j - 1] * Number(c);
    }
    m = new_m, i = new_i, d = new_d;
  }
  Number sum;
  for (std::size_t j = 1; j <= columns; ++j) sum = sum + (m[j] + i[j]);
  return sum.log10();
}

}  // namespace

double pairhmm(const Read& read, const std::string& haplotype) {
  const long double plain = likelihood<Plain>(read, haplotype);
  return static_cast<double>(plain > -4800 ? plain : likelihood<Logarithm>(read, haplotype));
}

}  // namespace kiban::reference
