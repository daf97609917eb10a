// The mathematics, once, for host and device. No include guard: every backend includes it into a namespace of its own,
// where KIBAN_HD says how its functions are compiled. No product feeds a sum, so no compiler can fuse them.

/// A row (base i of a read) in float. With M = P S, I = ins Ĩ and D = del D̃ a cell takes five operations instead of
/// nine:
///   M[i,j] = P(i,j) S[i,j-1]          P = prior mm(i)
///   D̃[i,j] = c(i) D̃[i,j-1] + M[i,j-1]
/// and for the next row
///   Ĩ[i+1,j] = r Ĩ[i,j] + M[i,j]       r = c(i+1) ins(i) / ins(i+1)
///   S[i+1,j] = b D̃[i,j] + (a Ĩ[i,j] + M[i,j])    a = ins(i) (1 - c(i+1)) / mm(i+1), b = del(i) (1 - c(i+1)) / mm(i+1)
/// Where mm is 0, a factor is smaller than a float can be, or a ratio of two insertions so large that a value
/// overflows, the sum is not finite and the pair is computed again in double.
struct FloatRow {
  float match, mismatch;  // P for equal and for other bases
  float c, r, a, b;
  std::uint32_t code;
  float is_start;  // 1 for row 0, else 0
};

inline constexpr float kInfinite = std::numeric_limits<float>::infinity();

/// A factor that would be rounded to nothing is made infinite, which no finite sum survives.
KIBAN_HD inline float to_float(double value) {
  return value > 0.0 && value < 0x1p-126 ? kInfinite : static_cast<float>(value);
}

KIBAN_HD inline double match_transition(double insertion, double deletion) {
  const double gaps = insertion + deletion;
  return 1.0 - (gaps < 1.0 ? gaps : 1.0);
}

/// Qualities of the read's base i.
struct RowQualities {
  std::uint8_t base, insertion, deletion, gap;
};

/// Row i >= 1 of a read; `next` is row i + 1, or row i itself at the end, where r, a and b are not used.
KIBAN_HD inline FloatRow float_row(const double* phred, std::uint8_t code, RowQualities now, RowQualities next) {
  const double error = phred[now.base];
  const double mm = match_transition(phred[now.insertion], phred[now.deletion]);
  const double next_mm = match_transition(phred[next.insertion], phred[next.deletion]);
  const double opens = (1.0 - phred[next.gap]) / next_mm;
  FloatRow row;
  row.match = to_float((1.0 - error) * mm);
  row.mismatch = to_float(error / 3.0 * mm);
  row.c = to_float(phred[now.gap]);
  row.r = to_float(phred[next.gap] * (phred[now.insertion] / phred[next.insertion]));
  row.a = to_float(phred[now.insertion] * opens);
  row.b = to_float(phred[now.deletion] * opens);
  row.code = code;
  row.is_start = 0.0F;
  return row;
}

/// Row 0: D is the same in every column, and S of row 1 is b times it.
KIBAN_HD inline FloatRow start_row(const double* phred, RowQualities first) {
  const double mm = match_transition(phred[first.insertion], phred[first.deletion]);
  return {0.0F, 0.0F, 1.0F, 0.0F, 0.0F, to_float((1.0 - phred[first.gap]) / mm), 0, 1.0F};
}

/// Above row 0, where lanes or threads begin that have fewer rows than others: everything is zero and stays so.
KIBAN_HD inline FloatRow padding_row() { return {0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0, 0.0F}; }

/// A row in double, in the terms of the model itself: nothing can overflow.
struct DoubleRow {
  double match, mismatch, mm, from_gap, insertion, deletion, c;
};

KIBAN_HD inline DoubleRow double_row(const double* phred, RowQualities now) {
  const double error = phred[now.base], c = phred[now.gap];
  return {1.0 - error,
          error / 3.0,
          match_transition(phred[now.insertion], phred[now.deletion]),
          1.0 - c,
          phred[now.insertion],
          phred[now.deletion],
          c};
}

/// mantissa 2^exponent, the mantissa 0 or in [0.5, 1): it reaches further down than any read can.
struct Wide {
  double mantissa;
  std::int64_t exponent;
};

KIBAN_HD inline Wide wide(double value, std::int64_t exponent = 0) {
  int shift = 0;
  const double mantissa = frexp(value, &shift);
  return {mantissa, mantissa == 0.0 ? 0 : exponent + shift};
}

KIBAN_HD inline Wide operator*(Wide a, double b) { return wide(a.mantissa * b, a.exponent); }

KIBAN_HD inline Wide operator+(Wide a, Wide b) {
  if (a.mantissa == 0.0) return b;
  if (b.mantissa == 0.0) return a;
  if (a.exponent < b.exponent) {
    const Wide swapped = a;
    a = b;
    b = swapped;
  }
  const std::int64_t down = a.exponent - b.exponent;
  if (down > 60) return a;
  return wide(a.mantissa + ldexp(b.mantissa, -static_cast<int>(down)), a.exponent);
}

struct WideCell {
  Wide m, i, d;
};

/// Replaces row i - 1 by row i, in place. `corner_d` is D left of the first column of row i - 1.
KIBAN_HD inline void wide_row(DoubleRow row, std::uint8_t code, const std::uint8_t* codes, std::int64_t columns,
                              Wide corner_d, WideCell* cells) {
  const Wide zero = wide(0.0);
  WideCell corner{zero, zero, corner_d}, left{zero, zero, zero};
  for (std::int64_t j = 0; j < columns; ++j) {
    const WideCell above = cells[j];
    const double prior = (codes[j] & code) != 0 ? row.match : row.mismatch;
    cells[j].m = (corner.m * row.mm + (corner.i + corner.d) * row.from_gap) * prior;
    cells[j].i = above.m * row.insertion + above.i * row.c;
    cells[j].d = left.m * row.deletion + left.d * row.c;
    corner = above;
    left = cells[j];
  }
}

KIBAN_HD inline Wide wide_total(const WideCell* cells, std::int64_t columns) {
  Wide total = wide(0.0);
  for (std::int64_t j = 0; j < columns; ++j) total = total + (cells[j].m + cells[j].i);
  return total;
}
