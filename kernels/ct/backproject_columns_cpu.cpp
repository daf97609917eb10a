// Backprojection along columns of voxels: where an axis of the volume moves neither u nor w, a column reads two
// adjacent detector columns with the same weights all the way. They are blended once into a line that stays in L1, and
// the column then walks that line in even steps. A volume holds x fastest and the column runs across it, so columns are
// summed in tiles of their own and added to the volume a tile at a time.
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/backproject_cpu.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ct/backproject_columns_cpu.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#ifndef KIBAN_CT_BACKPROJECT_COLUMNS
#define KIBAN_CT_BACKPROJECT_COLUMNS
namespace kiban::ct::cpu {

/// Volumes and their block, as the column walk sees them: a column runs along axis a; axes b and c span the columns.
struct ColumnJob {
  const PanelBlock* block;
  std::span<const ProjectionMatrix> matrices;
  const float* pixels;
  std::vector<ScanInBlock> scans;
  std::int64_t group;                         ///< scans whose columns are placed together
  int a, b, c;                                ///< axes of the volume: 0 = x
  std::int64_t na, nb, nc;                    ///< their extents
  std::int64_t stride_a, stride_b, stride_c;  ///< elements between neighbours along them
  std::int64_t tile_b, tile_c;                ///< columns of a tile
  std::int64_t tiles_b, tiles_c;
  std::int64_t tile_pitch;  ///< elements from a column of a tile to the next
};

/// A column's first voxel is a multiple of this: sums are read and written as whole cache lines.
inline constexpr std::int64_t kVoxelGroup = 16;
/// Where voxels lie further apart than this many pixels, each reads its own four: blending all the rows between them
/// would take longer, and a float would hold their distances less well.
inline constexpr double kFarApart = 16;
/// Zeros on each side of the blended line. The walk starts up to kVoxelGroup voxels before the panel and ends up to a
/// vector after it, in steps of less than two pixels; it reads one vector and an element further.
inline constexpr std::int64_t kLineZeros = 64;
/// Behind the point of a position within two vectors: a float's mantissa.
inline constexpr int kFractionBits = 23;

}  // namespace kiban::ct::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::ct::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;

/// Where one column of voxels falls on one panel: between detector columns u and u+1, at v = start + step * index.
struct Column {
  float low_weight, high_weight;  ///< of the two detector columns, w^-2 included
  const float* low;               ///< pixel v = 0 of the left one
  double start, step;
  std::int64_t begin, end;  ///< voxels that may fall on the panel
};

/// False if the column misses the panel.
HWY_ATTR HWY_INLINE bool Place(const ColumnJob& job, std::int64_t view, std::int64_t ib, std::int64_t ic,
                               Column& column) {
  const ProjectionMatrix& p = job.matrices[static_cast<std::size_t>(view)];
  const auto b = static_cast<double>(ib);
  const auto c = static_cast<double>(ic);
  const double w = p.m[2][job.b] * b + p.m[2][job.c] * c + p.m[2][3];
  if (!(w > kLeastPerspective)) return false;
  const double inverse = 1 / w;
  const double u = (p.m[0][job.b] * b + p.m[0][job.c] * c + p.m[0][3]) * inverse;
  const auto columns = static_cast<double>(job.block->columns);
  const auto rows = static_cast<double>(job.block->rows);
  if (!(u > -1 && u < columns)) return false;
  const double left = std::floor(u);
  const double fraction = u - left;
  column.low_weight = static_cast<float>((1 - fraction) * inverse * inverse);
  column.high_weight = static_cast<float>(fraction * inverse * inverse);
  column.low = job.pixels + job.block->first_pixel(view) + static_cast<std::int64_t>(left) * job.block->pitch();
  column.start = (p.m[1][job.b] * b + p.m[1][job.c] * c + p.m[1][3]) * inverse;
  column.step = p.m[1][job.a] * inverse;
  column.begin = 0;
  column.end = job.na;
  const auto last = static_cast<double>(job.na);
  const double first_v = column.start, last_v = column.start + column.step * (last - 1);
  if (std::min(first_v, last_v) > -1 && std::max(first_v, last_v) < rows) return true;
  if (column.step == 0) return false;
  // -1 < start + step * index < rows, one voxel more on each side: there the line is zero.
  const double one = (-1 - column.start) / column.step;
  const double other = (rows - column.start) / column.step;
  const double from = std::floor(std::min(one, other));
  if (from >= last) return false;  // before it is rounded down: a walk may start only a group of voxels off the panel
  column.begin = static_cast<std::int64_t>(std::max(from, 0.0)) / kVoxelGroup * kVoxelGroup;
  column.end = static_cast<std::int64_t>(std::clamp(std::ceil(std::max(one, other)) + 1, 0.0, last));
  return column.begin < column.end;
}

/// Rows of the panel that a column of voxels touches; the first one is at a cache line's start.
struct Rows {
  std::int64_t first, count;
};

HWY_INLINE Rows Touched(const ColumnJob& job, const Column& column) {
  const double v0 = column.start + column.step * static_cast<double>(column.begin);
  const double v1 = column.start + column.step * static_cast<double>(column.end - 1);
  const double rows = static_cast<double>(job.block->rows);
  const auto lowest = static_cast<std::int64_t>(std::clamp(std::floor(std::min(v0, v1)), -1.0, rows));
  const std::int64_t first = lowest & ~(PanelBlock::kFastMargin - 1);
  const auto last = static_cast<std::int64_t>(std::clamp(std::floor(std::max(v0, v1)) + 2, -1.0, rows));  // inclusive
  return {first, last - first + 1};
}

/// Blends the two detector columns over those rows: line[kLineZeros + v - first]. What lies before is left.
///   pixels          from the first scan's to those of this one
HWY_ATTR HWY_INLINE void Blend(const ColumnJob& job, const Column& column, std::int64_t pixels, const Rows& rows,
                               float* HWY_RESTRICT line) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const float* HWY_RESTRICT low = column.low + pixels + rows.first;
  const float* HWY_RESTRICT high = low + job.block->pitch();
  const auto low_weight = hn::Set(d, column.low_weight), high_weight = hn::Set(d, column.high_weight);
  std::int64_t r = 0;
  for (; r < rows.count; r += lanes)  // may run into the panel's margin, which is zero
    hn::Store(hn::MulAdd(high_weight, hn::LoadU(d, high + r), hn::Mul(low_weight, hn::LoadU(d, low + r))), d,
              line + kLineZeros + r);
  for (std::int64_t z = 0; z < kLineZeros; z += lanes) hn::Store(hn::Zero(d), d, line + kLineZeros + r + z);
}

/// A position along the line in steps of a vector: an integer and a fraction, for a float holds a thousand pixels to no
/// better than 1e-4 of one. 32 bits behind the point.
class Walker {
 public:
  /// At `start`, `step` elements a voxel. Positions are of the lowest lane: the last one where the walk goes down.
  Walker(double start, double step, std::int64_t lanes)
      : position_(Fixed(start + (step < 0 ? step * static_cast<double>(lanes - 1) : 0))),
        advance_(Fixed(step * static_cast<double>(lanes))) {}
  /// The line's element at or below.
  std::int64_t base() const { return position_ >> 32; }
  /// From there, in units of 2^-bits.
  std::int32_t fraction(int bits) const {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(position_) >> (32 - bits));
  }
  void advance() { position_ += advance_; }

 private:
  static std::int64_t Fixed(double x) { return static_cast<std::int64_t>(x * 0x1p32); }
  std::int64_t position_, advance_;
};

/// Lanes from the lowest one of a walk.
HWY_ATTR HWY_INLINE hn::Vec<DI> LanesFromLowest(double step) {
  const DI di;
  const auto last = hn::Set(di, static_cast<std::int32_t>(hn::Lanes(di)) - 1);
  return step < 0 ? hn::Sub(last, hn::Iota(di, 0)) : hn::Iota(di, 0);
}

/// Elements k and k + 1 of `window`, k being the whole part of a position with kFractionBits behind the point; both lie
/// within two vectors.
HWY_ATTR HWY_INLINE void LookUpPairs(const float* HWY_RESTRICT window, hn::Vec<DI> position, hn::Vec<D>& low,
                                     hn::Vec<D>& high) {
  const D d;
  const DI di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto index = hn::ShiftRight<kFractionBits>(position);
#if HWY_TARGET == HWY_AVX3  // permutations of two vectors
  const auto first = hn::LoadU(d, window), second = hn::LoadU(d, window + lanes);
  const auto next = hn::Add(index, hn::Set(di, 1));
  low = hn::Vec<D>{_mm512_permutex2var_ps(first.raw, index.raw, second.raw)};
  high = hn::Vec<D>{_mm512_permutex2var_ps(first.raw, next.raw, second.raw)};
#else
  const auto in_second = hn::Set(di, static_cast<std::int32_t>(lanes - 1));
  const auto table = hn::IndicesFromVec(d, hn::And(index, in_second));
  const auto second = hn::RebindMask(d, hn::Gt(index, in_second));
  low = hn::IfThenElse(second, hn::TableLookupLanes(hn::LoadU(d, window + lanes), table),
                       hn::TableLookupLanes(hn::LoadU(d, window), table));
  high = hn::IfThenElse(second, hn::TableLookupLanes(hn::LoadU(d, window + lanes + 1), table),
                        hn::TableLookupLanes(hn::LoadU(d, window + 1), table));
#endif
}

/// sums[i] += line(start + step i), linear between elements, for steps of at most two: neighbours of all lanes lie
/// within two vectors, so that permutations do what a gather would do more slowly. Positions are integers: their
/// fractions are mantissas of floats from 1 to 2 already, and nothing is converted.
HWY_ATTR void WalkByPermutation(const float* HWY_RESTRICT line, double start, double step, std::int64_t count,
                                float* HWY_RESTRICT sums) {
  const D d;
  const DI di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto fixed_step = static_cast<std::int32_t>(std::abs(step) * (1 << kFractionBits) + 0.5);
  const auto steps = hn::Mul(LanesFromLowest(step), hn::Set(di, fixed_step));
  const auto mantissa = hn::Set(di, (1 << kFractionBits) - 1);
  const auto one = hn::Set(d, 1.F);
  Walker walker(start, step, lanes);
  for (std::int64_t i = 0; i < count; i += lanes, walker.advance()) {
    const auto position = hn::Add(steps, hn::Set(di, walker.fraction(kFractionBits)));
    const auto fraction = hn::Sub(hn::BitCast(d, hn::OrAnd(hn::BitCast(di, one), position, mantissa)), one);
    hn::Vec<D> low, high;
    LookUpPairs(line + walker.base(), position, low, high);
    const auto value = hn::MulAdd(fraction, hn::Sub(high, low), low);
    hn::Store(hn::Add(hn::Load(d, sums + i), value), d, sums + i);
  }
}

/// The same for steps of at most kFarApart; positions are held within 0 and `last`, where the line is zero.
HWY_ATTR void WalkByGather(const float* HWY_RESTRICT line, std::int64_t last, double start, double step,
                           std::int64_t count, float* HWY_RESTRICT sums) {
  const D d;
  const DI di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto steps = hn::Mul(hn::ConvertTo(d, LanesFromLowest(step)), hn::Set(d, static_cast<float>(std::abs(step))));
  Walker walker(start, step, lanes);
  for (std::int64_t i = 0; i < count; i += lanes, walker.advance()) {
    const std::int64_t base = std::clamp<std::int64_t>(walker.base(), 0, last);
    const float offset = static_cast<float>(walker.fraction(24)) * 0x1p-24F + static_cast<float>(walker.base() - base);
    const auto v =
        hn::Min(hn::Max(hn::Add(steps, hn::Set(d, offset)), hn::Zero(d)), hn::Set(d, static_cast<float>(last - base)));
    const auto at = hn::ConvertTo(di, v);
    const auto low = hn::GatherIndex(d, line + base, at);
    const auto high = hn::GatherIndex(d, line + base + 1, at);
    const auto value = hn::MulAdd(hn::Sub(v, hn::ConvertTo(d, at)), hn::Sub(high, low), low);
    hn::Store(hn::Add(hn::Load(d, sums + i), value), d, sums + i);
  }
}

/// The same straight from the panel, for columns whose voxels lie far apart.
void AddFarApart(const PanelBlock& block, const Column& column, std::int64_t pixels, float* sums) {
  const auto rows = static_cast<double>(block.rows);
  const double low_weight = static_cast<double>(column.low_weight),
               high_weight = static_cast<double>(column.high_weight);
  for (std::int64_t i = 0; i < column.end - column.begin; ++i) {
    const double v = column.start + column.step * static_cast<double>(column.begin + i);
    if (!(v > -1 && v < rows)) continue;
    const double v_floor = std::floor(v);
    const float* low = column.low + pixels + static_cast<std::int64_t>(v_floor);
    const float* high = low + block.pitch();
    const auto blend = [&](int r) {
      return low_weight * static_cast<double>(low[r]) + high_weight * static_cast<double>(high[r]);
    };
    sums[i] += static_cast<float>(blend(0) + (v - v_floor) * (blend(1) - blend(0)));
  }
}

/// A column whose two detector columns lie blended in a line, and where its sums are.
struct Blended {
  Column column;
  std::int64_t first;  ///< pixel of line[kLineZeros]
  float *line, *sums;
};

/// sums += the line, for one view of one column of voxels of one scan.
HWY_ATTR HWY_INLINE void Walk(const ColumnJob& job, const Blended& blended) {
  const Column& column = blended.column;
  const double start =
      column.start + column.step * static_cast<double>(column.begin) - static_cast<double>(blended.first - kLineZeros);
  const std::int64_t last = job.block->rows - blended.first + kLineZeros + 2, count = column.end - column.begin;
  if (HWY_MAX_BYTES >= 32 && std::abs(column.step) <= 2)
    WalkByPermutation(blended.line, start, column.step, count, blended.sums);
  else
    WalkByGather(blended.line, last, start, column.step, count, blended.sums);
}

/// One view of the columns (b0 ... b0 + nb, c) of each scan of a group. Each is walked after the next one was blended:
/// what has just been stored cannot be read across the borders of the stores without a wait.
///   lines   workspace for two lines, `line_pitch` apart, each of which begins with kLineZeros zeros
///   sums    of the first scan; those of the next lie `tile_size` further
HWY_ATTR void AddRow(const ColumnJob& job, std::int64_t view, std::int64_t b0, std::int64_t nb, std::int64_t c,
                     std::span<const ScanInBlock> group, std::int64_t tile_size, float* lines, std::int64_t line_pitch,
                     float* sums) {
  Blended last{};
  for (std::int64_t b = 0; b < nb; ++b) {
    Column column;
    if (!Place(job, view, b0 + b, c, column)) continue;
    float* target = sums + b * job.tile_pitch + column.begin;
    if (std::abs(column.step) > kFarApart) {
      for (std::size_t scan = 0; scan < group.size(); ++scan, target += tile_size)
        AddFarApart(*job.block, column, group[scan].pixels, target);
      continue;
    }
    const Rows rows = Touched(job, column);
    for (std::size_t scan = 0; scan < group.size(); ++scan, target += tile_size) {
      const Blended next{column, rows.first, last.line == lines ? lines + line_pitch : lines, target};
      Blend(job, column, group[scan].pixels, rows, next.line);
      if (last.line) Walk(job, last);
      last = next;
    }
  }
  if (last.line) Walk(job, last);
}

/// Adds a tile of columns, sums[b][a], to the volume, where b runs fastest: 4 x 4 transposes.
HWY_ATTR void AddTransposed(const float* HWY_RESTRICT sums, std::int64_t pitch, std::int64_t nb, std::int64_t na,
                            std::int64_t stride_a, float* HWY_RESTRICT volume) {
  std::int64_t a = 0;
#if HWY_TARGET != HWY_SCALAR  // which has no vectors to transpose
  const hn::CappedTag<float, 4> d;
  if (nb % 4 == 0) {
    for (; a + 4 <= na; a += 4) {
      for (std::int64_t b = 0; b < nb; b += 4) {
        const auto r0 = hn::LoadU(d, sums + b * pitch + a), r1 = hn::LoadU(d, sums + (b + 1) * pitch + a);
        const auto r2 = hn::LoadU(d, sums + (b + 2) * pitch + a), r3 = hn::LoadU(d, sums + (b + 3) * pitch + a);
        const auto low02 = hn::InterleaveLower(d, r0, r2), low13 = hn::InterleaveLower(d, r1, r3);
        const auto high02 = hn::InterleaveUpper(d, r0, r2), high13 = hn::InterleaveUpper(d, r1, r3);
        float* target = volume + a * stride_a + b;
        const auto add = [&](auto row, float* to) HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(d, to), row), d, to); };
        add(hn::InterleaveLower(d, low02, low13), target);
        add(hn::InterleaveUpper(d, low02, low13), target + stride_a);
        add(hn::InterleaveLower(d, high02, high13), target + 2 * stride_a);
        add(hn::InterleaveUpper(d, high02, high13), target + 3 * stride_a);
      }
    }
  }
#endif
  for (; a < na; ++a)
    for (std::int64_t b = 0; b < nb; ++b) volume[a * stride_a + b] += sums[b * pitch + a];
}

HWY_ATTR void AddTile(const ColumnJob& job, const float* sums, std::int64_t b0, std::int64_t nb, std::int64_t c0,
                      std::int64_t nc, float* volume) {
  for (std::int64_t c = 0; c < nc; ++c) {
    const float* plane = sums + c * job.tile_b * job.tile_pitch;
    float* target = volume + (c0 + c) * job.stride_c + b0 * job.stride_b;
    if (job.stride_b == 1) {
      AddTransposed(plane, job.tile_pitch, nb, job.na, job.stride_a, target);
      continue;
    }
    for (std::int64_t b = 0; b < nb; ++b)  // columns along x lie in the volume as they lie in the tile
      for (std::int64_t a = 0; a < job.na; ++a) target[b * job.stride_b + a] += plane[b * job.tile_pitch + a];
  }
}

/// Tiles [begin, end), all views: those of the first group of scans, then those of the next.
HWY_ATTR void Tiles(const ColumnJob& job, std::int64_t begin, std::int64_t end) {
  const std::int64_t tile_size = job.tile_b * job.tile_c * job.tile_pitch;
  Array<float, 1> tiles({job.group * tile_size});
  const std::int64_t line_pitch = (job.block->rows / 16 + 1) * 16 + 4 * kLineZeros;
  Array<float, 1> line_memory({2 * line_pitch});
  float* sums = tiles.host().data;
  float* lines = line_memory.host().data;
  std::fill_n(lines, 2 * line_pitch, 0.F);
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t b0 = t % job.tiles_b * job.tile_b, nb = std::min(job.tile_b, job.nb - b0);
    const std::int64_t c0 = t / job.tiles_b % job.tiles_c * job.tile_c, nc = std::min(job.tile_c, job.nc - c0);
    const auto first_scan = static_cast<std::size_t>(t / job.tiles_b / job.tiles_c * job.group);
    const std::span<const ScanInBlock> group = std::span(job.scans).subspan(
        first_scan, std::min(static_cast<std::size_t>(job.group), job.scans.size() - first_scan));
    std::fill_n(sums, static_cast<std::int64_t>(group.size()) * tile_size, 0.F);
    for (std::int64_t view = 0; view < static_cast<std::int64_t>(job.matrices.size()); ++view)
      for (std::int64_t c = 0; c < nc; ++c)
        AddRow(job, view, b0, nb, c0 + c, group, tile_size, lines, line_pitch, sums + c * job.tile_b * job.tile_pitch);
    for (std::size_t scan = 0; scan < group.size(); ++scan)
      AddTile(job, sums + static_cast<std::int64_t>(scan) * tile_size, b0, nb, c0, nc, group[scan].volume);
  }
}

}  // namespace kiban::ct::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::ct::cpu {
HWY_EXPORT(Tiles);

void backproject_columns(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                         ScanVolumes volumes) {
  const Shape<3> shape = shape_of(volumes);
  ColumnJob job{};
  job.block = &block;
  job.matrices = matrices;
  job.pixels = block.pixels.host().data;
  job.scans = scans_in(block, volumes);
  job.a = column_axis(matrices, shape);
  job.b = job.a == 0 ? 1 : 0;
  job.c = job.a == 2 ? 1 : 2;
  const std::int64_t extent[3] = {shape[2], shape[1], shape[0]};
  const std::int64_t stride[3] = {1, shape[2], shape[2] * shape[1]};
  job.na = extent[job.a], job.nb = extent[job.b], job.nc = extent[job.c];
  job.stride_a = stride[job.a], job.stride_b = stride[job.b], job.stride_c = stride[job.c];
  // A vector may run past the end of its column; an odd number of cache lines keeps columns out of each other's sets.
  job.tile_pitch = ((job.na + 31) / 16 | 1) * 16;
  // 16 voxels of x are a cache line of the volume. Depth until the tile takes 1 MiB: neighbours along c read nearly the
  // same detector columns, and to read those again costs more than sums that lie further away (64 KiB: half the speed).
  job.tile_b = 16;
  constexpr std::int64_t kTileBytes = 1 << 20;
  job.tile_c = std::clamp<std::int64_t>(kTileBytes / (16 * job.tile_pitch * 4), 1, std::min<std::int64_t>(64, job.nc));
  job.tiles_b = (job.nb + job.tile_b - 1) / job.tile_b;
  job.tiles_c = (job.nc + job.tile_c - 1) / job.tile_c;
  const auto scans = static_cast<std::int64_t>(job.scans.size());
  job.group = scans_placed_together(scans, kTileBytes / (16 * job.tile_c * job.tile_pitch * 4),
                                    job.tiles_b * job.tiles_c, stream.threads());
  const std::int64_t groups = (scans + job.group - 1) / job.group;
  parallel_for(stream, groups * job.tiles_b * job.tiles_c, 1, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(Tiles)(job, begin, end);
  });
}

}  // namespace kiban::ct::cpu
#endif
