// How a GPU walks it: some threads of a warp a pair, some rows of the read in the registers of each, the anti-diagonal
// moving through them by shuffles. A step costs a thread, for each of its rows, five operations of fp32 and a choice.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/core/array.hpp"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/variant/pairhmm_backends.hpp"

namespace kiban::variant::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/variant/pairhmm_math-inl.hpp"

constexpr unsigned kBlock = 128, kWarp = 32, kWholeWarp = ~0U;

// A CPU flushes subnormal numbers, for its speed. So does a GPU here, for the same bits; the simulator's CPU does not,
// and does it by hand.
#ifdef KIBAN_CUDASIM
inline float flushed(float value) { return std::fabs(value) < 0x1p-126F ? 0.0F : value; }
inline float fused(float a, float b, float c) { return flushed(std::fma(a, b, c)); }
inline float product(float a, float b) { return flushed(a * b); }
#else
KIBAN_DEVICE float fused(float a, float b, float c) {
  float result;
  asm("fma.rn.ftz.f32 %0, %1, %2, %3;" : "=f"(result) : "f"(a), "f"(b), "f"(c));
  return result;
}
KIBAN_DEVICE float product(float a, float b) {
  float result;
  asm("mul.rn.ftz.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
#endif

/// The problem in device memory.
struct OnDevice {
  const double* phred;
  const std::uint8_t *read_codes, *base_quality, *insertion_quality, *deletion_quality, *gap_quality, *haplotype_codes;
  const std::int64_t *read_begin, *haplotype_begin;
  const ReadAndHaplotype* pairs;
  FloatRow* rows;  // of read r from read_begin[r] + r on: row 0 and its own
  ScaledSum* sums;

  KIBAN_DEVICE RowQualities qualities(std::int64_t base) const {
    return {base_quality[base], insertion_quality[base], deletion_quality[base], gap_quality[base]};
  }
  KIBAN_DEVICE std::int64_t row_count(ReadAndHaplotype pair) const {
    return read_begin[pair.read + 1] - read_begin[pair.read];
  }
  KIBAN_DEVICE std::int64_t column_count(ReadAndHaplotype pair) const {
    return haplotype_begin[pair.haplotype + 1] - haplotype_begin[pair.haplotype];
  }
  KIBAN_DEVICE const std::uint8_t* haplotype(ReadAndHaplotype pair) const {
    return haplotype_codes + haplotype_begin[pair.haplotype];
  }
};

/// A block a read, a thread a row.
__global__ void __launch_bounds__(kBlock) make_rows(const __grid_constant__ OnDevice on, std::int64_t reads) {
  for (std::int64_t read = blockIdx.x; read < reads; read += gridDim.x) {
    const std::int64_t begin = on.read_begin[read], rows = on.read_begin[read + 1] - begin;
    if (rows == 0 || rows > kFloatRows) continue;
    FloatRow* const to = on.rows + begin + read;
    for (std::int64_t row = threadIdx.x; row <= rows; row += kBlock) {
      const std::int64_t base = begin + row - 1;
      to[row] = row == 0 ? start_row(on.phred, on.qualities(begin))
                         : float_row(on.phred, on.read_codes[base], on.qualities(base),
                                     on.qualities(row < rows ? base + 1 : base));
    }
  }
}

KIBAN_DEVICE int warp_max(int value) {
  for (int flip = kWarp / 2; flip > 0; flip /= 2) value = max(value, __shfl_xor_sync(kWholeWarp, value, flip));
  return value;
}

/// `threads` threads a pair, up to threads * rows rows, row 0 among them; the last row is always the last thread's
/// last, and what is too much above row 0 is padding.   order [count] pairs of this size, those of like columns side by
/// side
template <int threads, int rows>
__global__ void __launch_bounds__(kBlock)
    sum_in_float(const __grid_constant__ OnDevice on, const std::int32_t* order, std::int64_t count) {
  const std::int64_t group = (static_cast<std::int64_t>(blockIdx.x) * kBlock + threadIdx.x) / threads;
  const int lane = static_cast<int>(threadIdx.x) % threads;
  const std::int32_t index = order[min(group, count - 1)];
  const ReadAndHaplotype pair = on.pairs[index];
  const auto columns = static_cast<int>(on.column_count(pair));
  const std::uint8_t* const haplotype = on.haplotype(pair);
  const std::int64_t own_rows = on.row_count(pair);
  const std::int64_t missing = threads * rows - (own_rows + 1);
  const FloatRow* const table = on.rows + on.read_begin[pair.read] + pair.read;
  const auto initial = static_cast<float>(kFloatScale / static_cast<double>(columns));

  float match[rows], mismatch[rows], c[rows], r[rows], a[rows], b[rows], m[rows], d[rows], s[rows];
  std::uint32_t codes[(rows + 7) / 8] = {};
#pragma unroll
  for (int k = 0; k < rows; ++k) {
    const std::int64_t row = static_cast<std::int64_t>(lane) * rows + k - missing;
    const FloatRow now = row < 0 ? padding_row() : table[row];
    match[k] = now.match, mismatch[k] = now.mismatch;
    c[k] = now.c, r[k] = now.r, a[k] = now.a, b[k] = now.b;
    codes[k / 8] |= now.code << (4 * (k % 8));
    m[k] = 0;
    d[k] = product(initial, now.is_start);
    s[k] = k == 0 ? 0 : product(d[k - 1], b[k - 1]);
  }
  const float carried = __shfl_up_sync(kWholeWarp, product(d[rows - 1], b[rows - 1]), 1, threads);
  if (lane > 0) s[0] = carried;

  float s_below = 0, i_below = 0, sum_m = 0, sum_i = 0;
  const int steps = warp_max(columns) + threads - 1;  // the whole warp shuffles, to the end of its longest
  for (int step = 0; step < steps; ++step) {
    float s_above = __shfl_up_sync(kWholeWarp, s_below, 1, threads);
    float i = __shfl_up_sync(kWholeWarp, i_below, 1, threads);
    if (lane == 0) s_above = i = 0;
    const int j = step - lane;
    if (j < 0 || j >= columns) continue;
    const std::uint32_t base = haplotype[j] * 0x11111111U;
    float i_last = i;
#pragma unroll
    for (int k = 0; k < rows; ++k) {
      const bool equal = (codes[k / 8] & base & (15U << (4 * (k % 8)))) != 0;
      d[k] = fused(d[k], c[k], m[k]);
      m[k] = product(s[k], equal ? match[k] : mismatch[k]);
      s[k] = s_above;
      i_last = i;
      s_above = fused(d[k], b[k], fused(i, a[k], m[k]));
      i = fused(i, r[k], m[k]);
    }
    s_below = s_above, i_below = i;
    sum_m += m[rows - 1];
    sum_i += i_last;
  }
  if (group >= count || lane != threads - 1) return;
  const double insertion = on.phred[on.insertion_quality[on.read_begin[pair.read + 1] - 1]];
#ifdef KIBAN_CUDASIM
  const double total = static_cast<double>(sum_m) + insertion * static_cast<double>(sum_i);
#else
  const double total = __dadd_rn(static_cast<double>(sum_m), __dmul_rn(insertion, static_cast<double>(sum_i)));
#endif
  on.sums[index] = {total, kFloatExponent};
}

/// Between strips of rows: the last row of the one above.   [column]
struct DoubleCell {
  double m, i, d;
};

KIBAN_DEVICE DoubleCell from_above(DoubleCell cell) {
  return {__shfl_up_sync(kWholeWarp, cell.m, 1), __shfl_up_sync(kWholeWarp, cell.i, 1),
          __shfl_up_sync(kWholeWarp, cell.d, 1)};
}

constexpr int kDoubleRows = 4, kStripRows = kDoubleRows * static_cast<int>(kWarp);

/// A warp a pair, strip by strip: the long, and those whose float sum cannot be relied on.
///   between [warp, 2, most_columns]  one is read while the other is written
__global__ void __launch_bounds__(kBlock) sum_in_double(const __grid_constant__ OnDevice on, std::int64_t count,
                                                        DoubleCell* between, std::int64_t most_columns) {
  const std::int64_t warp = (static_cast<std::int64_t>(blockIdx.x) * kBlock + threadIdx.x) / kWarp;
  const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * (kBlock / kWarp);
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  between += warp * 2 * most_columns;
  for (std::int64_t index = warp; index < count; index += warps) {
    const ReadAndHaplotype pair = on.pairs[index];
    const std::int64_t own_rows = on.row_count(pair);
    if (float_suffices(own_rows, on.sums[index].total)) continue;
    const auto columns = static_cast<int>(on.column_count(pair));
    const std::uint8_t* const haplotype = on.haplotype(pair);
    const std::int64_t strips = (own_rows + kStripRows - 1) / kStripRows;
    const std::int64_t missing = strips * kStripRows - own_rows;  // padding above the first row
    const double start = kDoubleScale / static_cast<double>(columns);
    double total = 0;
    for (std::int64_t strip = 0; strip < strips; ++strip) {
      DoubleRow model[kDoubleRows];
      DoubleCell left[kDoubleRows], corner[kDoubleRows];
      std::uint32_t codes = 0;
#pragma unroll
      for (int k = 0; k < kDoubleRows; ++k) {
        const std::int64_t row = strip * kStripRows + lane * kDoubleRows + k - missing;  // 0 is the first of the read
        const std::int64_t base = on.read_begin[pair.read] + row;
        // Padding keeps D as it is in row 0, and has neither M nor I.
        model[k] = row < 0 ? DoubleRow{0, 0, 0, 0, 0, 0, 1} : double_row(on.phred, on.qualities(base));
        codes |= (row < 0 ? 0U : on.read_codes[base]) << (4 * k);
        left[k] = {0, 0, row < 0 ? start : 0};
        corner[k] = {0, 0, row <= 0 ? start : 0};
      }
      const DoubleCell* const strip_above = between + (strip + 1) % 2 * most_columns;
      DoubleCell* const strip_below = between + strip % 2 * most_columns;
      DoubleCell below{0, 0, 0};
      for (int step = 0; step < columns + static_cast<int>(kWarp) - 1; ++step) {
        DoubleCell above = from_above(below);
        const int j = step - lane;
        if (j < 0 || j >= columns) continue;
        if (lane == 0) above = strip == 0 ? DoubleCell{0, 0, start} : strip_above[j];
        const std::uint32_t base = haplotype[j] * 0x1111U;
#pragma unroll
        for (int k = 0; k < kDoubleRows; ++k) {
          const DoubleRow& row = model[k];
          const double prior = (codes & base & (15U << (4 * k))) != 0 ? row.match : row.mismatch;
          const double gaps = (corner[k].i + corner[k].d) * row.from_gap;
          const DoubleCell now{prior * fma(corner[k].m, row.mm, gaps), fma(above.m, row.insertion, above.i * row.c),
                               fma(left[k].m, row.deletion, left[k].d * row.c)};
          corner[k] = above;
          left[k] = now;
          above = now;
        }
        below = above;
        if (lane == static_cast<int>(kWarp) - 1) {
          strip_below[j] = below;
          total += below.m + below.i;
        }
      }
      if (strip + 1 < strips) total = 0;
      __syncwarp();
    }
    if (lane == static_cast<int>(kWarp) - 1) on.sums[index] = {total, kDoubleExponent};
    __syncwarp();
  }
}

/// A thread a pair: those few that double does not reach.   cells [thread, most_columns]
__global__ void __launch_bounds__(kBlock)
    sum_wide(const __grid_constant__ OnDevice on, std::int64_t count, WideCell* cells, std::int64_t most_columns) {
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  cells += thread * most_columns;
  for (std::int64_t index = thread; index < count; index += static_cast<std::int64_t>(gridDim.x) * kBlock) {
    if (on.sums[index].exponent != kDoubleExponent || on.sums[index].total >= kLeastDoubleSum) continue;
    const ReadAndHaplotype pair = on.pairs[index];
    const std::int64_t columns = on.column_count(pair);
    const Wide zero = wide(0.0), start = wide(1.0 / static_cast<double>(columns));
    for (std::int64_t j = 0; j < columns; ++j) cells[j] = {zero, zero, start};
    const std::int64_t begin = on.read_begin[pair.read], end = on.read_begin[pair.read + 1];
    for (std::int64_t base = begin; base < end; ++base)
      wide_row(double_row(on.phred, on.qualities(base)), on.read_codes[base], on.haplotype(pair), columns,
               base == begin ? start : zero, cells);
    const Wide total = wide_total(cells, columns);
    on.sums[index] = {total.mantissa, -total.exponent};
  }
}

/// Memory of the device that goes when this goes. Host memory that is copied must outlive the stream's work.
class Uploads {
 public:
  explicit Uploads(Stream& stream) : stream_(stream) {}
  template <class T>
  T* room(std::size_t count) {
    kept_.push_back(allocate(stream_.device(), std::max<std::size_t>(count, 1) * sizeof(T)));
    return static_cast<T*>(kept_.back().get());
  }
  template <class T>
  const T* copy_of(std::span<const T> values) {
    T* const data = room<T>(values.size());
    if (!values.empty()) copy_bytes(stream_, data, stream_.device(), values.data(), Device{}, values.size_bytes());
    return data;
  }

 private:
  Stream& stream_;
  std::vector<std::shared_ptr<void>> kept_;
};

OnDevice upload(Uploads& uploads, const PairHmmProblem& problem) {
  const Reads& reads = problem.regions.reads;
  OnDevice on{};
  on.phred = uploads.copy_of(std::span<const double>(phred_table().probability));
  on.read_codes = uploads.copy_of(std::span<const std::uint8_t>(problem.read_codes));
  on.base_quality = uploads.copy_of(reads.base_quality);
  on.insertion_quality = uploads.copy_of(reads.insertion_quality);
  on.deletion_quality = uploads.copy_of(reads.deletion_quality);
  on.gap_quality = uploads.copy_of(reads.gap_quality);
  on.haplotype_codes = uploads.copy_of(std::span<const std::uint8_t>(problem.haplotype_codes));
  on.read_begin = uploads.copy_of(reads.begin);
  on.haplotype_begin = uploads.copy_of(problem.regions.haplotypes.begin);
  on.pairs = uploads.copy_of(std::span<const ReadAndHaplotype>(problem.pairs));
  on.rows = uploads.room<FloatRow>(reads.bases.size() + reads.begin.size());
  on.sums = uploads.room<ScaledSum>(problem.pairs.size());
  return on;
}

/// Reads of up to so many bases, and row 0, by the same kernel.
struct RowClass {
  std::int64_t most;
  void (*kernel)(OnDevice, const std::int32_t*, std::int64_t);
  unsigned threads;
};
const RowClass kClasses[] = {{8 * 4, &sum_in_float<8, 4>, 8},      {8 * 8, &sum_in_float<8, 8>, 8},
                             {16 * 7, &sum_in_float<16, 7>, 16},   {16 * 10, &sum_in_float<16, 10>, 16},
                             {16 * 16, &sum_in_float<16, 16>, 16}, {32 * 17, &sum_in_float<32, 17>, 32}};
static_assert(32 * 17 > kFloatRows);
using Orders = std::array<std::vector<std::int32_t>, std::size(kClasses)>;

/// The pairs of each class, those of like columns side by side.
Orders orders_of(const PairHmmProblem& problem) {
  Orders orders;
  for (std::int32_t p = 0; p < static_cast<std::int32_t>(problem.pairs.size()); ++p) {
    if (problem.rows(p) > kFloatRows) continue;
    std::size_t k = 0;
    while (problem.rows(p) + 1 > kClasses[k].most) ++k;
    orders[k].push_back(p);
  }
  for (std::vector<std::int32_t>& order : orders)
    std::ranges::stable_sort(order,
                             [&](std::int32_t x, std::int32_t y) { return problem.columns(x) < problem.columns(y); });
  return orders;
}

static_assert(sizeof(FloatRow) == kRowBytes && 2 * sizeof(DoubleCell) == kColumnBytes &&
              sizeof(WideCell) == kColumnBytes);

/// How many pairs at a time have room for their columns: one at least, and no more than there are, or than `most`.
std::int64_t pairs_at_a_time(const PairHmmProblem& problem, std::int64_t most) {
  const auto able = static_cast<std::int64_t>(kColumnsRoom / kColumnBytes) / problem.longest_haplotype;
  return std::max<std::int64_t>(1, std::min({able, most, static_cast<std::int64_t>(problem.pairs.size())}));
}

}  // namespace

void pairhmm_sums(Stream& stream, const PairHmmProblem& problem, std::span<ScaledSum> sums) {
  const Orders orders = orders_of(problem);
  Uploads uploads(stream);
  const OnDevice on = upload(uploads, problem);
  zero_bytes(stream, on.sums, stream.device(), sums.size_bytes());
  const auto reads = static_cast<std::int64_t>(problem.regions.reads.begin.size()) - 1;
  gpu::launch(stream, dim3(static_cast<unsigned>(std::min<std::int64_t>(reads, 1 << 16))), dim3(kBlock), &make_rows, on,
              reads);
  for (std::size_t k = 0; k < std::size(kClasses); ++k) {
    const auto pairs = static_cast<std::int64_t>(orders[k].size());
    if (pairs == 0) continue;
    gpu::launch(stream, dim3(gpu::blocks_for(pairs * kClasses[k].threads, kBlock)), dim3(kBlock), kClasses[k].kernel,
                on, uploads.copy_of(std::span<const std::int32_t>(orders[k])), pairs);
  }
  const auto count = static_cast<std::int64_t>(sums.size());
  const auto columns = static_cast<std::size_t>(problem.longest_haplotype);
  const unsigned double_blocks = gpu::blocks_for(pairs_at_a_time(problem, 512) * kWarp, kBlock);
  gpu::launch(stream, dim3(double_blocks), dim3(kBlock), &sum_in_double, on, count,
              uploads.room<DoubleCell>(double_blocks * (kBlock / kWarp) * 2 * columns), problem.longest_haplotype);
  const unsigned wide_blocks = gpu::blocks_for(pairs_at_a_time(problem, 256), kBlock);
  gpu::launch(stream, dim3(wide_blocks), dim3(kBlock), &sum_wide, on, count,
              uploads.room<WideCell>(wide_blocks * kBlock * columns), problem.longest_haplotype);
  copy_bytes(stream, sums.data(), Device{}, on.sums, stream.device(), sums.size_bytes());
  stream.synchronize();
}

}  // namespace kiban::variant::KIBAN_CUDA_NAMESPACE
