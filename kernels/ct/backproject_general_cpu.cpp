// Backprojection for any view: a vector of voxels along x, each with a division and a bilinear fetch of its own. Tiles
// keep the pixels that neighbouring voxels share in the nearest cache. Coordinates are floats, counted from a pixel
// that is near all voxels of a line; lines that spread too far, beside the source or in a coarse volume, take doubles.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/backproject_cpu.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ct/backproject_general_cpu.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#ifndef KIBAN_CT_BACKPROJECT_GENERAL
#define KIBAN_CT_BACKPROJECT_GENERAL
namespace kiban::ct::cpu {

/// Voxels of a tile along x, y and z: 32 KiB of sums.
inline constexpr std::int64_t kTileX = 128, kTileY = 8, kTileZ = 8;
inline constexpr std::int64_t kTileVoxels = kTileX * kTileY * kTileZ;

/// Pixels from a line's middle within which floats say where its voxels fall, to 6e-5 of a pixel at the worst.
inline constexpr double kReach = 512;
/// Elements from a row of the panel to the next, at most, so that those within reach have offsets of 32 bits, in bytes.
inline constexpr std::int64_t kWidestPitch = std::int64_t{1} << 19;

/// Scans whose voxels are placed together, at most: their sums stay in the second cache.
inline constexpr std::int64_t kMostTogether = 4;

struct GeneralJob {
  const PanelBlock* block;
  std::span<const ProjectionMatrix> matrices;
  const float* pixels;
  std::vector<ScanInBlock> scans;
  Shape<3> shape;
  std::int64_t group;  ///< scans whose voxels are placed together
  std::int64_t tiles_x, tiles_y, tiles_z;
};

}  // namespace kiban::ct::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::ct::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;

/// Elements at[i] and at[i] + 1 of `pixels` in `every` lane: pairs of 64 bits where the machine has them. On AVX2 they
/// are loaded one by one: its gathers take longer, by much on AMD and with the mitigations of some Intel processors.
HWY_ATTR HWY_INLINE void GatherPairs(const float* HWY_RESTRICT pixels, hn::Vec<DI> at,
                                     [[maybe_unused]] hn::Mask<D> every, hn::Vec<D>& left, hn::Vec<D>& right) {
  const D d;
#if HWY_TARGET == HWY_AVX2
  alignas(32) std::int32_t index[8];
  hn::Store(at, DI(), index);
  const auto pair = [pixels, &index](int i) HWY_ATTR {
    double bits;
    std::memcpy(&bits, pixels + index[i], sizeof bits);
    return bits;
  };
  // Lanes 0 1 4 5 and 2 3 6 7, so that a shuffle within 128 bits leaves them in order.
  const __m256 a = _mm256_castpd_ps(_mm256_set_pd(pair(5), pair(4), pair(1), pair(0)));
  const __m256 b = _mm256_castpd_ps(_mm256_set_pd(pair(7), pair(6), pair(3), pair(2)));
  left = hn::Vec<D>{_mm256_shuffle_ps(a, b, 0x88)};
  right = hn::Vec<D>{_mm256_shuffle_ps(a, b, 0xDD)};
  (void)d;
#elif HWY_TARGET == HWY_AVX3
  // Into zeros, under a mask that is full but that the compiler knows nothing of: it would leave the zeros out, and a
  // gather waits for what its register held before.
  const auto gather = [pixels](__m256i eight, __mmask8 mask) HWY_ATTR {
    return hn::Vec<D>{_mm512_castsi512_ps(_mm512_mask_i32gather_epi64(_mm512_setzero_si512(), mask, eight, pixels, 4))};
  };
  const auto low = gather(hn::LowerHalf(at).raw, static_cast<__mmask8>(every.raw));
  const auto high = gather(hn::UpperHalf(hn::Half<DI>(), at).raw, static_cast<__mmask8>(every.raw >> 8));
  left = hn::ConcatEven(d, high, low);
  right = hn::ConcatOdd(d, high, low);
#else
  left = hn::GatherIndex(d, pixels, at);
  right = hn::GatherIndex(d, pixels + 1, at);
#endif
}

/// x = whole + part, 0 <= part <= 1, where |x| < 2^31; Highway's conversion takes four steps more, for what lies
/// beyond.
HWY_ATTR HWY_INLINE void Split(hn::Vec<D> x, hn::Vec<DI>& whole, hn::Vec<D>& part) {
  const D d;
#if HWY_TARGET == HWY_AVX3
  whole = hn::Vec<DI>{_mm512_maskz_cvt_roundps_epi32(0xFFFF, x.raw, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
  part = hn::Sub(x, hn::ConvertTo(d, whole));
#else
  const auto floor = hn::Floor(x);
#if HWY_TARGET == HWY_AVX2
  whole = hn::Vec<DI>{_mm256_cvttps_epi32(floor.raw)};
#else
  whole = hn::ConvertTo(DI(), floor);
#endif
  part = hn::Sub(x, floor);
  (void)d;
#endif
}

/// 1/x to a unit in the last place: on AVX-512 an estimate of 14 bits, which one step of Newton's doubles, takes less
/// time than a division.
HWY_ATTR HWY_INLINE hn::Vec<D> Reciprocal(hn::Vec<D> x) {
  const auto one = hn::Set(D(), 1.F);
#if HWY_TARGET == HWY_AVX3
  const auto estimate = hn::ApproximateReciprocal(x);
  return hn::MulAdd(estimate, hn::NegMulAdd(x, estimate, one), estimate);
#else
  return hn::Div(one, x);
#endif
}

/// Of one line of voxels along x in one view.
struct Line {
  std::int64_t view, count;
  double start[3], step[3];  ///< (u w, v w, w) of the first voxel, and what a voxel adds
};

/// The same from the line's middle, where a pixel (u0, v0) is what u and v are counted from.
struct NearLine {
  bool inside;  ///< all of it falls between pixels of the panel
  std::int64_t u0, v0;
  float middle[3], step[3];
};

// A line has four vectors or eight: calls to set it up would take a seventh of the time, so all of it is inlined.
HWY_INLINE Line PlaceLine(const GeneralJob& job, std::int64_t view, std::int64_t x0, std::int64_t y, std::int64_t z,
                          std::int64_t count) {
  Line line{view, count, {}, {}};
  for (int r = 0; r < 3; ++r) {
    const double(&m)[4] = job.matrices[static_cast<std::size_t>(view)].m[r];
    line.start[r] =
        m[0] * static_cast<double>(x0) + m[1] * static_cast<double>(y) + m[2] * static_cast<double>(z) + m[3];
    line.step[r] = m[0];
  }
  return line;
}

/// Whether both ends fall between pixels, and so all that lies before the source between them.
HWY_INLINE bool Inside(const PanelBlock& block, const Line& line) {
  bool inside = true;
  for (int r = 0; r < 2; ++r) {
    const auto last = static_cast<double>((r == 0 ? block.columns : block.rows) - 1);
    for (const double x : {0.0, static_cast<double>(line.count)}) {
      const double along = line.start[r] + x * line.step[r], w = line.start[2] + x * line.step[2];
      inside = inside && along > 0 && along < last * w;
    }
  }
  return inside;
}

/// False unless floats will do: all voxels well before the source, and within reach of one pixel of the panel.
HWY_INLINE bool PlaceNear(const PanelBlock& block, const Line& line, NearLine& near) {
  const double half = 0.5 * static_cast<double>(line.count);
  const double w = line.start[2] + half * line.step[2], least_w = w - half * std::abs(line.step[2]);
  if (!(least_w > 0.5 * w && least_w > kLeastPerspective) || block.pitch() > kWidestPitch) return false;
  const double inverse = 1 / w;
  double pixel[2];
  for (int r = 0; r < 2; ++r) {
    const double middle = line.start[r] + half * line.step[r];
    const auto last = static_cast<double>((r == 0 ? block.columns : block.rows) - 1);
    pixel[r] = std::clamp(std::floor(middle * inverse), 0.0, last);
    const double from_pixel = middle - pixel[r] * w, step = line.step[r] - pixel[r] * line.step[2];
    if (!(std::abs(from_pixel) + half * std::abs(step) <= kReach * least_w)) return false;
    near.middle[r] = static_cast<float>(from_pixel);
    near.step[r] = static_cast<float>(step);
  }
  near.inside = Inside(block, line);
  near.u0 = static_cast<std::int64_t>(pixel[0]), near.v0 = static_cast<std::int64_t>(pixel[1]);
  near.middle[2] = static_cast<float>(w), near.step[2] = static_cast<float>(line.step[2]);
  return true;
}

/// sums[i] += w^-2 p(u, v) for the voxels of a line, whose count is a multiple of the vector: of each scan of a group,
/// the sums of which lie a tile apart.
template <std::size_t scans>
HWY_ATTR HWY_INLINE void AddNearLine(const GeneralJob& job, const Line& line, const NearLine& near,
                                     std::span<const ScanInBlock, scans> group, float* HWY_RESTRICT sums) {
  const D d;
  const DI di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const PanelBlock& block = *job.block;
  const auto pitch = static_cast<std::int32_t>(block.pitch());
  const float* HWY_RESTRICT panel = job.pixels + block.first_pixel(line.view) + near.v0 * pitch + near.u0;
  const auto u_low = hn::Set(d, static_cast<float>(-1 - near.u0));
  const auto u_high = hn::Set(d, static_cast<float>(block.columns - near.u0));
  const auto v_low = hn::Set(d, static_cast<float>(-1 - near.v0));
  const auto v_high = hn::Set(d, static_cast<float>(block.rows - near.v0));
  const auto u_middle = hn::Set(d, near.middle[0]), u_step = hn::Set(d, near.step[0]);
  const auto v_middle = hn::Set(d, near.middle[1]), v_step = hn::Set(d, near.step[1]);
  const auto w_middle = hn::Set(d, near.middle[2]), w_step = hn::Set(d, near.step[2]);
  const std::int64_t count = line.count;
  const auto every = hn::FirstN(d, static_cast<std::size_t>(count));
  auto x = hn::Iota(d, -0.5F * static_cast<float>(static_cast<std::int32_t>(count)));
  for (std::int64_t i = 0; i < count; i += lanes) {
    const auto inverse = Reciprocal(hn::MulAdd(w_step, x, w_middle));
    auto u = hn::Mul(hn::MulAdd(u_step, x, u_middle), inverse);
    auto v = hn::Mul(hn::MulAdd(v_step, x, v_middle), inverse);
    if (!near.inside) {
      u = hn::Min(hn::Max(u, u_low), u_high);
      v = hn::Min(hn::Max(v, v_low), v_high);
    }
    hn::Vec<DI> u_whole, v_whole;
    hn::Vec<D> u_part, v_part;
    Split(u, u_whole, u_part);
    Split(v, v_whole, v_part);
    const auto at = hn::Add(hn::Mul(v_whole, hn::Set(di, pitch)), u_whole);
    const auto weight = hn::Mul(inverse, inverse);
    float* HWY_RESTRICT target = sums + i;
    for (const ScanInBlock& scan : group) {
      const float* HWY_RESTRICT pixels = panel + scan.pixels;
      hn::Vec<D> p00, p01, p10, p11;
      GatherPairs(pixels, at, every, p00, p01);
      GatherPairs(pixels + pitch, at, every, p10, p11);
      const auto above = hn::MulAdd(u_part, hn::Sub(p01, p00), p00);
      const auto below = hn::MulAdd(u_part, hn::Sub(p11, p10), p10);
      const auto value = hn::MulAdd(v_part, hn::Sub(below, above), above);
      hn::StoreU(hn::MulAdd(weight, value, hn::LoadU(d, target)), d, target);
      target += kTileVoxels;
    }
    x = hn::Add(x, hn::Set(d, static_cast<float>(lanes)));
  }
}

/// Whether the panel, or what lies before the source, ends before the line begins: both ends are on the same wrong side
/// of one edge, and so is what lies between.
bool Misses(const PanelBlock& block, const Line& line) {
  double end[3];
  for (int r = 0; r < 3; ++r) end[r] = line.start[r] + static_cast<double>(line.count - 1) * line.step[r];
  if (!(line.start[2] > kLeastPerspective || end[2] > kLeastPerspective)) return true;
  for (int r = 0; r < 2; ++r) {
    const auto extent = static_cast<double>(r == 0 ? block.columns : block.rows);
    if (line.start[r] <= -line.start[2] && end[r] <= -end[2]) return true;
    if (line.start[r] >= extent * line.start[2] && end[r] >= extent * end[2]) return true;
  }
  return false;
}

/// The same for any line of one scan, a voxel at a time and in double.
void AddFarLine(const GeneralJob& job, const Line& line, const ScanInBlock& scan, float* sums) {
  const PanelBlock& block = *job.block;
  if (Misses(block, line)) return;
  const float* panel = job.pixels + scan.pixels + block.first_pixel(line.view);
  for (std::int64_t i = 0; i < line.count; ++i) {
    const auto x = static_cast<double>(i);
    const double w = line.start[2] + line.step[2] * x;
    if (!(w > kLeastPerspective)) continue;
    const double inverse = 1 / w;
    const double u = (line.start[0] + line.step[0] * x) * inverse, v = (line.start[1] + line.step[1] * x) * inverse;
    const bool on_panel =
        u > -1 && v > -1 && u < static_cast<double>(block.columns) && v < static_cast<double>(block.rows);
    if (!on_panel) continue;
    const double u_floor = std::floor(u), v_floor = std::floor(v);
    const float* above =
        panel + static_cast<std::int64_t>(v_floor) * block.pitch() + static_cast<std::int64_t>(u_floor);
    const float* below = above + block.pitch();
    const auto between = [](double t, double a, double b) { return a + t * (b - a); };
    const auto along_u = [&](const float* p) {
      return between(u - u_floor, static_cast<double>(p[0]), static_cast<double>(p[1]));
    };
    sums[i] += static_cast<float>(inverse * inverse * between(v - v_floor, along_u(above), along_u(below)));
  }
}

/// A line that floats do not reach over, as two halves of which they may. Out of line: few lines are so.
HWY_ATTR HWY_NOINLINE void AddHalves(const GeneralJob& job, const Line& line, std::int64_t x0, std::int64_t y,
                                     std::int64_t z, std::span<const ScanInBlock> group, float* sums) {
  constexpr std::int64_t kShortest = 32;
  if (line.count <= kShortest) {
    for (std::size_t scan = 0; scan < group.size(); ++scan, sums += kTileVoxels)
      AddFarLine(job, line, group[scan], sums);
    return;
  }
  const std::int64_t first = (line.count / 2 + kShortest - 1) / kShortest * kShortest;
  for (const auto [begin, count] : {std::array{std::int64_t{0}, first}, std::array{first, line.count - first}}) {
    const Line half = PlaceLine(job, line.view, x0 + begin, y, z, count);
    NearLine near;
    PlaceNear(*job.block, half, near) ? AddNearLine(job, half, near, group, sums + begin)
                                      : AddHalves(job, half, x0 + begin, y, z, group, sums + begin);
  }
}

/// sums += a tile's views, of each scan of a group.
template <std::size_t scans>
HWY_ATTR void SumTile(const GeneralJob& job, const Shape<3>& first, const Shape<3>& extent,
                      std::span<const ScanInBlock, scans> group, float* sums) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
  const std::int64_t count = (extent[2] + lanes - 1) / lanes * lanes;
  for (std::size_t k = 0; k < job.matrices.size(); ++k)
    for (std::int64_t z = 0; z < extent[0]; ++z)
      for (std::int64_t y = 0; y < extent[1]; ++y) {
        const Line line = PlaceLine(job, static_cast<std::int64_t>(k), first[2], first[1] + y, first[0] + z, count);
        float* target = sums + (z * kTileY + y) * kTileX;
        NearLine near;
        PlaceNear(*job.block, line, near) ? AddNearLine(job, line, near, group, target)
                                          : AddHalves(job, line, first[2], first[1] + y, first[0] + z, group, target);
      }
}

void AddTile(const GeneralJob& job, const float* sums, const Shape<3>& first, const Shape<3>& extent, float* volume) {
  const ArrayView<float, 3> voxels{volume, {job.shape[0], job.shape[1], job.shape[2]}};
  for (std::int64_t z = 0; z < extent[0]; ++z)
    for (std::int64_t y = 0; y < extent[1]; ++y) {
      const float* line = sums + (z * kTileY + y) * kTileX;
      float* target = &voxels(first[0] + z, first[1] + y, first[2]);
      for (std::int64_t x = 0; x < extent[2]; ++x) target[x] += line[x];
    }
}

/// Tiles [begin, end), all views: those of the first group of scans, then those of the next.
HWY_ATTR void GeneralTiles(const GeneralJob& job, std::int64_t begin, std::int64_t end) {
  HWY_ALIGN float sums[kMostTogether * kTileVoxels];
  for (std::int64_t t = begin; t < end; ++t) {
    const Shape<3> first{t / job.tiles_x / job.tiles_y % job.tiles_z * kTileZ, t / job.tiles_x % job.tiles_y * kTileY,
                         t % job.tiles_x * kTileX};
    const Shape<3> extent{std::min(kTileZ, job.shape[0] - first[0]), std::min(kTileY, job.shape[1] - first[1]),
                          std::min(kTileX, job.shape[2] - first[2])};
    const auto first_scan = static_cast<std::size_t>(t / job.tiles_x / job.tiles_y / job.tiles_z * job.group);
    const std::span<const ScanInBlock> group = std::span(job.scans).subspan(
        first_scan, std::min(static_cast<std::size_t>(job.group), job.scans.size() - first_scan));
    std::fill_n(sums, static_cast<std::int64_t>(group.size()) * kTileVoxels, 0.F);
    if (group.size() == 1)
      SumTile(job, first, extent, group.first<1>(), sums);  // without the loop over scans: a twentieth of the time
    else
      SumTile(job, first, extent, group, sums);
    for (std::size_t scan = 0; scan < group.size(); ++scan)
      AddTile(job, sums + static_cast<std::int64_t>(scan) * kTileVoxels, first, extent, group[scan].volume);
  }
}

}  // namespace kiban::ct::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::ct::cpu {
HWY_EXPORT(GeneralTiles);

void backproject_general(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                         ScanVolumes volumes) {
  const Shape<3> shape = shape_of(volumes);
  GeneralJob job{&block, matrices, block.pixels.host().data, scans_in(block, volumes), shape, 1, 0, 0, 0};
  job.tiles_x = (shape[2] + kTileX - 1) / kTileX;
  job.tiles_y = (shape[1] + kTileY - 1) / kTileY;
  job.tiles_z = (shape[0] + kTileZ - 1) / kTileZ;
  const std::int64_t tiles = job.tiles_x * job.tiles_y * job.tiles_z;
  const auto scans = static_cast<std::int64_t>(job.scans.size());
  job.group = scans_placed_together(scans, kMostTogether, tiles, stream.threads());
  const std::int64_t groups = (scans + job.group - 1) / job.group;
  parallel_for(stream, groups * tiles, 1, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(GeneralTiles)(job, begin, end);
  });
}

}  // namespace kiban::ct::cpu
#endif
