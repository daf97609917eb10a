// Long reads, and those few whose float sum is too small: double, one pair a lane, a row at a time, in the terms of the
// model itself; and one by one with an exponent a cell where that is not enough.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/variant/pairhmm_double_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/core/array.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/variant/pairhmm_cpu.hpp"

HWY_BEFORE_NAMESPACE();
namespace kiban::variant::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

#define KIBAN_HD HWY_ATTR
#include "kernels/variant/fused-inl.hpp"
#include "kernels/variant/pairhmm_math-inl.hpp"
#undef KIBAN_HD

using Doubles = hn::CappedTag<double, 8>;
using Vector = hn::Vec<Doubles>;
constexpr std::size_t kLanes = hn::MaxLanes(Doubles());
constexpr auto kStride = static_cast<std::int64_t>(kLanes);

/// Pairs side by side. A row replaces the one above it in `m`, `i`, `d`.   [column, lane]
struct Walk {
  Array<double, 2> m_room, i_room, d_room;
  Array<std::int64_t, 2> codes_room;
  double* m = m_room.host().data;
  double* i = i_room.host().data;
  double* d = d_room.host().data;
  std::int64_t* codes = codes_room.host().data;
  std::int64_t columns = 0;
  explicit Walk(std::int64_t most_columns)
      : m_room({most_columns, kStride}),
        i_room({most_columns, kStride}),
        d_room({most_columns, kStride}),
        codes_room({most_columns, kStride}) {}
};

struct LaneRow {
  HWY_ALIGN double match[kLanes], mismatch[kLanes], mm[kLanes], from_gap[kLanes], insertion[kLanes], deletion[kLanes],
      c[kLanes];
  HWY_ALIGN std::int64_t code[kLanes];
  HWY_ALIGN std::int64_t counts[kLanes];  // -1 where the lane's read has this row, 0 where it has not begun
};

/// Row by row: what is above enters with the column to the left, in registers.
HWY_ATTR void walk_row(const LaneRow& row, Walk& walk, Vector d_start) {
  const Doubles doubles;
  const hn::RebindToSigned<Doubles> integers;
  const auto counts = hn::RebindMask(doubles, hn::Ne(hn::Load(integers, row.counts), hn::Zero(integers)));
  const Vector match = hn::Load(doubles, row.match), mismatch = hn::Load(doubles, row.mismatch);
  const Vector mm = hn::Load(doubles, row.mm), from_gap = hn::Load(doubles, row.from_gap);
  const Vector insertion = hn::Load(doubles, row.insertion), deletion = hn::Load(doubles, row.deletion);
  const Vector c = hn::Load(doubles, row.c);
  const auto code = hn::Load(integers, row.code);
  Vector m_left = hn::Zero(doubles), d_left = hn::Zero(doubles);
  Vector m_corner = hn::Zero(doubles), i_corner = hn::Zero(doubles), d_corner = d_start;
  for (std::int64_t j = 0; j < walk.columns; ++j) {
    const std::int64_t at = j * kStride;
    const Vector m_above = hn::Load(doubles, walk.m + at), i_above = hn::Load(doubles, walk.i + at);
    const Vector d_above = hn::Load(doubles, walk.d + at);
    const auto base = hn::Load(integers, walk.codes + at);
    const auto equal = hn::RebindMask(doubles, hn::Ne(hn::And(base, code), hn::Zero(integers)));
    const Vector gaps = hn::Mul(hn::Add(i_corner, d_corner), from_gap);
    const Vector m = hn::Mul(hn::IfThenElse(equal, match, mismatch), fused(doubles, m_corner, mm, gaps));
    const Vector i = fused(doubles, m_above, insertion, hn::Mul(i_above, c));
    const Vector d = fused(doubles, m_left, deletion, hn::Mul(d_left, c));
    m_corner = m_above, i_corner = i_above, d_corner = d_above;
    m_left = m, d_left = d;
    hn::Store(hn::IfThenElseZero(counts, m), doubles, walk.m + at);
    hn::Store(hn::IfThenElseZero(counts, i), doubles, walk.i + at);
    hn::Store(hn::IfThenElse(counts, d, d_above), doubles, walk.d + at);
  }
}

RowQualities qualities(const Reads& reads, std::size_t i) {
  return {reads.base_quality[i], reads.insertion_quality[i], reads.deletion_quality[i], reads.gap_quality[i]};
}

HWY_ATTR void sum_pairs(const PairHmmProblem& problem, std::span<const std::int32_t> pairs, Walk& walk,
                        std::span<ScaledSum> sums) {
  const Doubles doubles;
  const Reads& reads = problem.regions.reads;
  const double* const phred = phred_table().probability;
  std::int64_t rows[kLanes], columns[kLanes], most_rows = 0;
  std::size_t first_base[kLanes];
  HWY_ALIGN double start[kLanes];
  walk.columns = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::int32_t pair = pairs[std::min(lane, pairs.size() - 1)];
    const ReadAndHaplotype of = problem.pairs[static_cast<std::size_t>(pair)];
    rows[lane] = problem.rows(pair);
    columns[lane] = problem.columns(pair);
    first_base[lane] = static_cast<std::size_t>(reads.begin[static_cast<std::size_t>(of.read)]);
    start[lane] = kDoubleScale / static_cast<double>(columns[lane]);
    most_rows = std::max(most_rows, rows[lane]);
    walk.columns = std::max(walk.columns, columns[lane]);
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::int32_t pair = pairs[std::min(lane, pairs.size() - 1)];
    const auto h = static_cast<std::size_t>(problem.pairs[static_cast<std::size_t>(pair)].haplotype);
    const std::uint8_t* const codes = problem.haplotype_codes.data() + problem.regions.haplotypes.begin[h];
    for (std::int64_t j = 0; j < walk.columns; ++j) {
      const std::size_t at = static_cast<std::size_t>(j * kStride) + lane;
      walk.codes[at] = j < columns[lane] ? codes[j] : 0;
      walk.m[at] = walk.i[at] = 0;
      walk.d[at] = start[lane];
    }
  }
  LaneRow row;
  for (std::int64_t k = 0; k < most_rows; ++k) {
    HWY_ALIGN double d_start[kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::int64_t own = k - (most_rows - rows[lane]);  // lanes end together
      const std::size_t base = first_base[lane] + static_cast<std::size_t>(std::max<std::int64_t>(own, 0));
      const DoubleRow model = double_row(phred, qualities(reads, base));
      row.match[lane] = model.match, row.mismatch[lane] = model.mismatch, row.mm[lane] = model.mm;
      row.from_gap[lane] = model.from_gap, row.insertion[lane] = model.insertion;
      row.deletion[lane] = model.deletion, row.c[lane] = model.c;
      row.code[lane] = problem.read_codes[base];
      row.counts[lane] = own >= 0 ? -1 : 0;
      d_start[lane] = own <= 0 ? start[lane] : 0.0;
    }
    walk_row(row, walk, hn::Load(doubles, d_start));
  }
  for (std::size_t lane = 0; lane < std::min(kLanes, pairs.size()); ++lane) {
    double total = 0;
    for (std::int64_t j = 0; j < columns[lane]; ++j) {
      const std::size_t at = static_cast<std::size_t>(j * kStride) + lane;
      total += walk.m[at] + walk.i[at];
    }
    sums[static_cast<std::size_t>(pairs[lane])] = {total, kDoubleExponent};
  }
}

/// One pair, with an exponent a cell.
HWY_ATTR ScaledSum wide_sum(const PairHmmProblem& problem, std::int32_t pair) {
  const Reads& reads = problem.regions.reads;
  const double* const phred = phred_table().probability;
  const ReadAndHaplotype of = problem.pairs[static_cast<std::size_t>(pair)];
  const auto columns = static_cast<std::size_t>(problem.columns(pair));
  const std::uint8_t* const codes =
      problem.haplotype_codes.data() + problem.regions.haplotypes.begin[static_cast<std::size_t>(of.haplotype)];
  const Wide start = wide(1.0 / static_cast<double>(columns));
  std::vector<WideCell> cells(columns, WideCell{wide(0), wide(0), start});
  const auto first = static_cast<std::size_t>(reads.begin[static_cast<std::size_t>(of.read)]);
  const auto end = static_cast<std::size_t>(reads.begin[static_cast<std::size_t>(of.read) + 1]);
  for (std::size_t i = first; i < end; ++i)
    wide_row(double_row(phred, qualities(reads, i)), problem.read_codes[i], codes, static_cast<std::int64_t>(columns),
             i == first ? start : wide(0), cells.data());
  const Wide total = wide_total(cells.data(), static_cast<std::int64_t>(columns));
  return {total.mantissa, -total.exponent};
}

}  // namespace

void double_walk(Stream& stream, const PairHmmProblem& problem, std::span<const std::int32_t> pairs,
                 std::span<ScaledSum> sums) {
  std::vector<std::int32_t> order(pairs.begin(), pairs.end());
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) {
    const std::int64_t rows_a = problem.rows(a), rows_b = problem.rows(b);
    return rows_a != rows_b ? rows_a > rows_b : problem.columns(a) > problem.columns(b);
  });
  const auto count = static_cast<std::int64_t>(order.size());
  parallel_for(stream, (count + kStride - 1) / kStride, 1, [&](std::int64_t begin, std::int64_t end) {
    Walk walk(problem.longest_haplotype);
    for (std::int64_t g = begin; g < end; ++g) {
      const std::int64_t first = g * kStride;
      const std::span<const std::int32_t> group(&order[static_cast<std::size_t>(first)],
                                                static_cast<std::size_t>(std::min(kStride, count - first)));
      sum_pairs(problem, group, walk, sums);
    }
  });
  parallel_for(stream, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int32_t pair = order[static_cast<std::size_t>(p)];
      ScaledSum& sum = sums[static_cast<std::size_t>(pair)];
      if (!(sum.total >= kLeastDoubleSum)) sum = wide_sum(problem, pair);
    }
  });
}

}  // namespace kiban::variant::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::variant::cpu {

HWY_EXPORT(double_walk);

void double_sums(Stream& stream, const PairHmmProblem& problem, std::span<const std::int32_t> pairs,
                 std::span<ScaledSum> sums) {
  if (!pairs.empty()) HWY_DYNAMIC_DISPATCH(double_walk)(stream, problem, pairs, sums);
}

}  // namespace kiban::variant::cpu
#endif
