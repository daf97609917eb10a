// How a CPU walks it: one pair a lane, so that nothing moves between lanes. Some rows of the read stay in registers
// while the columns stream by; between strips of rows only S and Ĩ of the last row pass through memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/variant/pairhmm_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/core/array.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/variant/flush_subnormals.hpp"
#include "kernels/variant/pairhmm_cpu.hpp"

HWY_BEFORE_NAMESPACE();
namespace kiban::variant::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

#define KIBAN_HD HWY_ATTR
#include "kernels/variant/fused-inl.hpp"
#include "kernels/variant/pairhmm_math-inl.hpp"
#undef KIBAN_HD

static_assert(sizeof(FloatRow) == kRowBytes);
using Floats = hn::CappedTag<float, static_cast<std::size_t>(kMostLanes)>;
using Codes = hn::RebindToSigned<Floats>;
using Vector = hn::Vec<Floats>;
constexpr std::size_t kLanes = hn::MaxLanes(Floats());
// Rows of a strip: three vectors each stay in registers, the coefficients come from the first cache.
constexpr int kStripRows = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
// Eight lanes and more hold the priors of all five codes: a look-up instead of a comparison.
#if HWY_TARGET == HWY_SCALAR || HWY_MAX_BYTES < 32
#define KIBAN_PRIOR_TABLE 0
#else
#define KIBAN_PRIOR_TABLE 1
#endif

// Of a look-up only as many bits of a code count as there are lanes: enough to tell 1, 2, 4, 8 and 15 apart.
constexpr std::int32_t kSharedBits = KIBAN_PRIOR_TABLE ? static_cast<std::int32_t>(kLanes) - 1 : 15;

/// The rows of a strip, an array for each coefficient, so that each is a vector in memory.
template <int rows>
struct Strip {
  HWY_ALIGN float c[rows][kLanes], r[rows][kLanes], a[rows][kLanes], b[rows][kLanes];
  // Where the read is shared, `match` is a table of the priors of all codes, if that fits.
  HWY_ALIGN float match[rows][kLanes], mismatch[rows][kLanes];
  HWY_ALIGN std::int32_t code[rows][kLanes];
  HWY_ALIGN float start[rows][kLanes];
};

/// What a group's strips have in common.
struct Walk {
  const std::int32_t* HWY_RESTRICT codes;  // [column, lane]
  std::int64_t columns;
  float* HWY_RESTRICT s;  // [column, lane] of the row above the strip, then of its last
  float* HWY_RESTRICT i;
  HWY_ALIGN float initial[kLanes];         // D of row 0
  HWY_ALIGN float carried[kLanes];         // S of the strip's first row in column 0
  HWY_ALIGN std::int32_t lengths[kLanes];  // of the haplotypes
  HWY_ALIGN float sum_m[kLanes], sum_i[kLanes];
};

template <bool shares_read>
HWY_ATTR HWY_INLINE Vector prior(Vector match, const float* mismatch, const std::int32_t* code, hn::Vec<Codes> base) {
  const Floats floats;
  if constexpr (shares_read && KIBAN_PRIOR_TABLE) {
    return hn::TableLookupLanes(match, hn::IndicesFromVec(floats, base));
  } else {
    const Codes codes;
    const auto equal = hn::Ne(hn::And(base, hn::Load(codes, code)), hn::Zero(codes));
    return hn::IfThenElse(hn::RebindMask(floats, equal), match, hn::Load(floats, mismatch));
  }
}

template <bool shares_read, int rows, bool last>
HWY_ATTR HWY_NOINLINE void walk_strip(const Strip<rows>& strip, Walk& walk, bool first) {
  const Floats floats;
  const Codes codes;
  // Copies: the compiler would otherwise load the strip anew after every store to `s` and `i`.
  Vector match[rows], c[rows], r[rows], a[rows], b[rows], m[rows], d[rows], s[rows];
  const Vector initial = hn::Load(floats, walk.initial);
  Vector carried = hn::Load(floats, walk.carried);
  for (int k = 0; k < rows; ++k) {
    match[k] = hn::Load(floats, strip.match[k]);
    c[k] = hn::Load(floats, strip.c[k]);
    r[k] = hn::Load(floats, strip.r[k]);
    a[k] = hn::Load(floats, strip.a[k]);
    b[k] = hn::Load(floats, strip.b[k]);
    m[k] = hn::Zero(floats);
    d[k] = hn::Mul(initial, hn::Load(floats, strip.start[k]));
    s[k] = carried;
    carried = hn::Mul(d[k], b[k]);
  }
  hn::Store(carried, floats, walk.carried);
  Vector sum_m = hn::Zero(floats), sum_i = hn::Zero(floats);
  const auto lengths = hn::Load(codes, walk.lengths);
  const std::int64_t columns = walk.columns;
  const std::int32_t* HWY_RESTRICT bases = walk.codes;
  float* HWY_RESTRICT s_memory = walk.s;
  float* HWY_RESTRICT i_memory = walk.i;
  for (std::int64_t j = 0; j < columns; ++j, bases += kLanes, s_memory += kLanes, i_memory += kLanes) {
    const auto base = hn::Load(codes, bases);
    Vector s_above = first ? hn::Zero(floats) : hn::Load(floats, s_memory);
    Vector i = first ? hn::Zero(floats) : hn::Load(floats, i_memory);
    Vector i_last = i;
    for (int k = 0; k < rows; ++k) {
      const Vector p = prior<shares_read>(match[k], strip.mismatch[k], strip.code[k], base);
      d[k] = fused(floats, d[k], c[k], m[k]);
      m[k] = hn::Mul(s[k], p);
      s[k] = s_above;
      i_last = i;
      s_above = fused(floats, d[k], b[k], fused(floats, i, a[k], m[k]));
      i = fused(floats, i, r[k], m[k]);
    }
    if constexpr (last) {
      const auto inside = hn::RebindMask(floats, hn::Gt(lengths, hn::Set(codes, static_cast<std::int32_t>(j))));
      sum_m = hn::Add(sum_m, hn::IfThenElseZero(inside, m[rows - 1]));
      sum_i = hn::Add(sum_i, hn::IfThenElseZero(inside, i_last));
    } else {
      hn::Store(s_above, floats, s_memory);
      hn::Store(i, floats, i_memory);
    }
  }
  hn::Store(sum_m, floats, walk.sum_m);
  hn::Store(sum_i, floats, walk.sum_i);
}

/// `from[lane]` is the first of the strip's rows of that lane; where the read is shared, lane 0 speaks for all.
template <bool shares_read, int rows>
HWY_ATTR void fill_strip(const FloatRow* const* from, Strip<rows>& strip) {
  const Floats floats;
  const Codes codes;
  const std::size_t lanes = hn::Lanes(floats);
  for (int k = 0; k < rows; ++k) {
    if constexpr (shares_read) {
      const FloatRow& row = from[0][k];
      hn::Store(hn::Set(floats, row.c), floats, strip.c[k]);
      hn::Store(hn::Set(floats, row.r), floats, strip.r[k]);
      hn::Store(hn::Set(floats, row.a), floats, strip.a[k]);
      hn::Store(hn::Set(floats, row.b), floats, strip.b[k]);
      hn::Store(hn::Set(floats, row.is_start), floats, strip.start[k]);
      const auto code = hn::Set(codes, static_cast<std::int32_t>(row.code));
#if KIBAN_PRIOR_TABLE
      // Lane t answers for the code whose lowest bits are t: of 8 lanes, lane 0 for 8 and lane 7 for 15.
      const auto lane = hn::Iota(codes, 0);
      const auto answers =
          hn::Lanes(floats) == 8
              ? hn::IfThenElse(hn::Eq(lane, hn::Zero(codes)), hn::Set(codes, 8),
                               hn::IfThenElse(hn::Eq(lane, hn::Set(codes, 7)), hn::Set(codes, 15), lane))
              : lane;
      const auto equal = hn::Ne(hn::And(code, answers), hn::Zero(codes));
      hn::Store(
          hn::IfThenElse(hn::RebindMask(floats, equal), hn::Set(floats, row.match), hn::Set(floats, row.mismatch)),
          floats, strip.match[k]);
#else
      hn::Store(hn::Set(floats, row.match), floats, strip.match[k]);
      hn::Store(hn::Set(floats, row.mismatch), floats, strip.mismatch[k]);
      hn::Store(code, codes, strip.code[k]);
#endif
    } else {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const FloatRow& row = from[lane][k];
        strip.match[k][lane] = row.match;
        strip.mismatch[k][lane] = row.mismatch;
        strip.c[k][lane] = row.c;
        strip.r[k][lane] = row.r;
        strip.a[k][lane] = row.a;
        strip.b[k][lane] = row.b;
        strip.code[k][lane] = static_cast<std::int32_t>(row.code);
        strip.start[k][lane] = row.is_start;
      }
    }
  }
}

template <bool shares_read, int rows>
HWY_ATTR void do_strip(const FloatRow* const* from, Walk& walk, bool first, bool last) {
  Strip<rows> strip;
  fill_strip<shares_read>(from, strip);
  last ? walk_strip<shares_read, rows, true>(strip, walk, first)
       : walk_strip<shares_read, rows, false>(strip, walk, first);
}

/// `do_strip` of one row, two rows, ...
template <bool shares_read, int... before>
constexpr auto strips_of(std::integer_sequence<int, before...>) {
  return std::array{&do_strip<shares_read, before + 1>...};
}

/// The rows of all reads: for each, row 0 and its own.
struct RowTable {
  std::vector<FloatRow> rows;
  const PairHmmProblem& problem;
  explicit RowTable(const PairHmmProblem& given) : problem(given) {
    rows.resize(problem.read_codes.size() + problem.regions.reads.begin.size());
  }
  FloatRow* of(std::int64_t read) {
    return rows.data() + problem.regions.reads.begin[static_cast<std::size_t>(read)] + read;
  }
};

HWY_ATTR void make_rows(RowTable& table, std::int64_t read) {
  const Reads& reads = table.problem.regions.reads;
  const double* const phred = phred_table().probability;
  const auto begin = static_cast<std::size_t>(reads.begin[static_cast<std::size_t>(read)]);
  const auto end = static_cast<std::size_t>(reads.begin[static_cast<std::size_t>(read) + 1]);
  if (begin == end) return;
  const auto qualities = [&](std::size_t i) {
    return RowQualities{reads.base_quality[i], reads.insertion_quality[i], reads.deletion_quality[i],
                        reads.gap_quality[i]};
  };
  FloatRow* row = table.of(read);
  *row++ = start_row(phred, qualities(begin));
  for (std::size_t i = begin; i < end; ++i)
    *row++ = float_row(phred, table.problem.read_codes[i], qualities(i), qualities(i + 1 < end ? i + 1 : i));
}

/// Codes [column, lane] of haplotypes side by side, so many of their bits.
HWY_ATTR void transpose_codes(const PairHmmProblem& problem, const std::int32_t* haplotypes, std::int64_t columns,
                              std::int32_t bits, std::int32_t* codes) {
  constexpr auto lanes = static_cast<std::int64_t>(kLanes);
  const auto& begin = problem.regions.haplotypes.begin;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const auto h = static_cast<std::size_t>(haplotypes[lane]);
    const std::uint8_t* from = problem.haplotype_codes.data() + begin[h];
    const std::int64_t length = begin[h + 1] - begin[h];
    std::int32_t* const to = codes + lane;
    for (std::int64_t j = 0; j < length; ++j) to[j * lanes] = from[j] & bits;
    for (std::int64_t j = length; j < columns; ++j) to[j * lanes] = 0;
  }
}

/// Memory of one thread.   [column, lane]
struct Scratch {
  Array<float, 2> s, i;
  Array<std::int32_t, 2> codes;
  explicit Scratch(std::int64_t columns) : s({columns, kLanes}), i({columns, kLanes}), codes({columns, kLanes}) {}
};

/// Before the first row. Returns the rows of the longest read, without row 0.
HWY_ATTR std::int64_t begin_walk(const PairHmmProblem& problem, const LaneGroup& group, const LaneGroups& groups,
                                 const std::int32_t* shared_codes, Scratch& scratch, Walk& walk) {
  walk.s = scratch.s.host().data;
  walk.i = scratch.i.host().data;
  walk.columns = 0;
  std::int64_t most_rows = 0;
  std::int32_t haplotypes[kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::int32_t pair = group.pairs[lane];
    const std::int64_t columns = problem.columns(pair);
    haplotypes[lane] = problem.pairs[static_cast<std::size_t>(pair)].haplotype;
    walk.columns = std::max(walk.columns, columns);
    most_rows = std::max(most_rows, problem.rows(pair));
    walk.lengths[lane] = static_cast<std::int32_t>(columns);
    walk.initial[lane] = static_cast<float>(kFloatScale / static_cast<double>(columns));
    walk.carried[lane] = 0;
  }
  if (group.shares_read) {
    walk.codes = shared_codes + groups.haplotypes[static_cast<std::size_t>(group.shared_codes)].begin;
  } else {
    transpose_codes(problem, haplotypes, walk.columns, 15, scratch.codes.host().data);
    walk.codes = scratch.codes.host().data;
  }
  return most_rows;
}

/// Rows [row, end) of a lane, row 0 among them. Lanes end together: a read with fewer rows than others, by `missing`,
/// begins with padding, which is made in `padded`.
HWY_ATTR const FloatRow* lane_rows(const FloatRow* own, std::int64_t missing, std::int64_t row, std::int64_t end,
                                   FloatRow* padded) {
  if (row >= missing) return own + (row - missing);
  for (std::int64_t k = row; k < end; ++k) padded[k - row] = k < missing ? padding_row() : own[k - missing];
  return padded;
}

HWY_ATTR void sum_group(const PairHmmProblem& problem, const LaneGroup& group, RowTable& table,
                        const LaneGroups& groups, const std::int32_t* shared_codes, Scratch& scratch,
                        std::span<ScaledSum> sums) {
  Walk walk;
  const std::int64_t most_rows = begin_walk(problem, group, groups, shared_codes, scratch, walk);
  const std::int64_t rows = most_rows + 1, strips = (rows + kStripRows - 1) / kStripRows;
  const std::size_t lanes = group.shares_read ? 1 : kLanes;
  for (std::int64_t strip = 0, row = 0; strip < strips; ++strip) {
    const std::int64_t end = rows * (strip + 1) / strips;
    FloatRow padded[kLanes][kStripRows];
    const FloatRow* from[kLanes];
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const std::int32_t pair = group.pairs[lane];
      from[lane] = lane_rows(table.of(problem.pairs[static_cast<std::size_t>(pair)].read),
                             most_rows - problem.rows(pair), row, end, padded[lane]);
    }
    constexpr std::make_integer_sequence<int, kStripRows> counts{};
    static constexpr auto shared = strips_of<true>(counts), packed = strips_of<false>(counts);
    const auto walk_rows = (group.shares_read ? shared : packed)[static_cast<std::size_t>(end - row - 1)];
    walk_rows(from, walk, strip == 0, strip + 1 == strips);
    row = end;
  }
  for (std::size_t lane = 0; lane < static_cast<std::size_t>(group.count); ++lane) {
    const auto pair = static_cast<std::size_t>(group.pairs[lane]);
    const auto read = static_cast<std::size_t>(problem.pairs[pair].read);
    const auto last = static_cast<std::size_t>(problem.regions.reads.begin[read + 1] - 1);
    const double insertion = phred_table().probability[problem.regions.reads.insertion_quality[last]];
    sums[pair] = {static_cast<double>(walk.sum_m[lane]) + insertion * static_cast<double>(walk.sum_i[lane]),
                  kFloatExponent};
  }
}

}  // namespace

/// Float, for every pair whose read has up to `kFloatRows` bases.
void float_walk(Stream& stream, const PairHmmProblem& problem, std::span<ScaledSum> sums) {
  const LaneGroups groups = lane_groups(problem, static_cast<std::int64_t>(kLanes));
  if (groups.groups.empty()) return;
  RowTable table(problem);
  parallel_for(stream, static_cast<std::int64_t>(problem.regions.reads.begin.size()) - 1, 64,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t read = begin; read < end; ++read) make_rows(table, read);
               });
  Array<std::int32_t, 1> shared({groups.codes});
  std::int32_t* const shared_codes = shared.host().data;
  parallel_for(stream, static_cast<std::int64_t>(groups.haplotypes.size()), 4,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t g = begin; g < end; ++g) {
                   const LaneHaplotypes& side_by_side = groups.haplotypes[static_cast<std::size_t>(g)];
                   transpose_codes(problem, side_by_side.haplotypes.data(), side_by_side.columns, kSharedBits,
                                   shared_codes + side_by_side.begin);
                 }
               });
  parallel_for(stream, static_cast<std::int64_t>(groups.groups.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    const FlushSubnormals flushing;
    Scratch scratch(problem.longest_haplotype);
    for (std::int64_t g = begin; g < end; ++g)
      sum_group(problem, groups.groups[static_cast<std::size_t>(g)], table, groups, shared_codes, scratch, sums);
  });
}

#undef KIBAN_PRIOR_TABLE
}  // namespace kiban::variant::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::variant::cpu {

HWY_EXPORT(float_walk);

void pairhmm_sums(Stream& stream, const PairHmmProblem& problem, std::span<ScaledSum> sums) {
  HWY_DYNAMIC_DISPATCH(float_walk)(stream, problem, sums);
  std::vector<std::int32_t> again;
  for (std::int32_t p = 0; p < static_cast<std::int32_t>(problem.pairs.size()); ++p)
    if (!float_suffices(problem.rows(p), sums[static_cast<std::size_t>(p)].total)) again.push_back(p);
  double_sums(stream, problem, again, sums);
}

}  // namespace kiban::variant::cpu
#endif
