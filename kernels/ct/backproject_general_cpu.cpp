// Backprojection for any view: a vector of voxels along x, each with a division and a bilinear fetch of its own. Tiles
// keep the pixels that neighbouring voxels share in the nearest cache.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/backproject_cpu.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ct/backproject_general_cpu.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#ifndef KIBAN_CT_BACKPROJECT_GENERAL
#define KIBAN_CT_BACKPROJECT_GENERAL
namespace kiban::ct::cpu {

/// Voxels of a tile along x, y and z: 16 KiB of sums.
inline constexpr std::int64_t kTileX = 64, kTileY = 8, kTileZ = 8;

struct GeneralJob {
  const PanelBlock* block;
  std::span<const ProjectionMatrix> matrices;
  const float* pixels;
  ArrayView<float, 3> volume;
  std::int64_t tiles_x, tiles_y;
};

}  // namespace kiban::ct::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::ct::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;

/// Elements at[i] and at[i] + 1 of `pixels`: pairs of 64 bits where the machine has them. On AVX2 they are loaded one by
/// one: its gathers take longer, by much on AMD and with the mitigations of some Intel processors.
HWY_ATTR HWY_INLINE void GatherPairs(const float* HWY_RESTRICT pixels, hn::Vec<DI> at, hn::Vec<D>& left,
                                     hn::Vec<D>& right) {
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
  const hn::Repartition<std::int64_t, D> d64;
  const hn::Half<DI> half;
  const auto* base = reinterpret_cast<const std::int64_t*>(pixels);
  const auto bytes = hn::ShiftLeft<2>(at);
  const auto low = hn::BitCast(d, hn::GatherOffset(d64, base, hn::PromoteTo(d64, hn::LowerHalf(half, bytes))));
  const auto high = hn::BitCast(d, hn::GatherOffset(d64, base, hn::PromoteTo(d64, hn::UpperHalf(half, bytes))));
  left = hn::ConcatEven(d, high, low);
  right = hn::ConcatOdd(d, high, low);
#else
  left = hn::GatherIndex(d, pixels, at);
  right = hn::GatherIndex(d, pixels + 1, at);
#endif
}

/// sums[i] += w^-2 p(u, v) for `count` voxels (a multiple of the vector) along x from x0. Pixels are counted from the
/// one where the line starts, for a float holds a thousand pixels to no better than 1e-4 of one.
HWY_ATTR void AddLine(const GeneralJob& job, std::int64_t view, std::int64_t x0, std::int64_t y, std::int64_t z,
                      std::int64_t count, float* HWY_RESTRICT sums) {
  const D d;
  const DI di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const PanelBlock& block = *job.block;
  const ProjectionMatrix& matrix = job.matrices[static_cast<std::size_t>(view)];
  double origin[3];
  for (int r = 0; r < 3; ++r) {
    const double(&m)[4] = matrix.m[r];
    origin[r] = m[0] * static_cast<double>(x0) + m[1] * static_cast<double>(y) + m[2] * static_cast<double>(z) + m[3];
  }
  const auto first_pixel = [&](int r, std::int64_t extent) {
    const double at = origin[2] > 0 ? std::floor(origin[r] / origin[2]) : 0;
    return static_cast<std::int64_t>(std::clamp(at, 0.0, static_cast<double>(extent - 1)));
  };
  const std::int64_t u0 = first_pixel(0, block.columns), v0 = first_pixel(1, block.rows);
  const double shift[3] = {static_cast<double>(u0), static_cast<double>(v0), 0};
  float start[3], step[3];
  for (int r = 0; r < 3; ++r) {
    start[r] = static_cast<float>(origin[r] - shift[r] * origin[2]);
    step[r] = static_cast<float>(matrix.m[r][0] - shift[r] * matrix.m[2][0]);
  }
  const auto pitch = static_cast<std::int32_t>(block.pitch());
  const float* HWY_RESTRICT panel = job.pixels + block.first_pixel(view) + v0 * pitch + u0;
  const auto u_low = hn::Set(d, static_cast<float>(-1 - u0));
  const auto u_high = hn::Set(d, static_cast<float>(block.columns - u0));
  const auto v_low = hn::Set(d, static_cast<float>(-1 - v0));
  const auto v_high = hn::Set(d, static_cast<float>(block.rows - v0));
  const auto one = hn::Set(d, 1.F);
  for (std::int64_t i = 0; i < count; i += lanes) {
    const auto x = hn::Iota(d, static_cast<float>(static_cast<std::int32_t>(i)));
    const auto w = hn::MulAdd(hn::Set(d, step[2]), x, hn::Set(d, start[2]));
    // Behind the source the weight is zero, and so are u and v, which are then harmless.
    const auto inverse = hn::IfThenElseZero(hn::Gt(w, hn::Zero(d)), hn::Div(one, w));
    auto u = hn::Mul(hn::MulAdd(hn::Set(d, step[0]), x, hn::Set(d, start[0])), inverse);
    auto v = hn::Mul(hn::MulAdd(hn::Set(d, step[1]), x, hn::Set(d, start[1])), inverse);
    u = hn::Min(hn::Max(u, u_low), u_high);
    v = hn::Min(hn::Max(v, v_low), v_high);
    const auto u_floor = hn::Floor(u), v_floor = hn::Floor(v);
    const auto u_part = hn::Sub(u, u_floor), v_part = hn::Sub(v, v_floor);
    const auto at = hn::Add(hn::Mul(hn::ConvertTo(di, v_floor), hn::Set(di, pitch)), hn::ConvertTo(di, u_floor));
    hn::Vec<D> p00, p01, p10, p11;
    GatherPairs(panel, at, p00, p01);
    GatherPairs(panel + pitch, at, p10, p11);
    const auto above = hn::MulAdd(u_part, hn::Sub(p01, p00), p00);
    const auto below = hn::MulAdd(u_part, hn::Sub(p11, p10), p10);
    const auto value = hn::MulAdd(v_part, hn::Sub(below, above), above);
    hn::StoreU(hn::MulAdd(hn::Mul(inverse, inverse), value, hn::LoadU(d, sums + i)), d, sums + i);
  }
}

/// Tiles [begin, end), all views.
HWY_ATTR void GeneralTiles(const GeneralJob& job, std::int64_t begin, std::int64_t end) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_ALIGN float sums[kTileX * kTileY * kTileZ];
  const auto& volume = job.volume;
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t x0 = t % job.tiles_x * kTileX, nx = std::min(kTileX, volume.shape[2] - x0);
    const std::int64_t y0 = t / job.tiles_x % job.tiles_y * kTileY, ny = std::min(kTileY, volume.shape[1] - y0);
    const std::int64_t z0 = t / job.tiles_x / job.tiles_y * kTileZ, nz = std::min(kTileZ, volume.shape[0] - z0);
    std::fill_n(sums, kTileX * kTileY * kTileZ, 0.F);
    for (std::size_t k = 0; k < job.matrices.size(); ++k)
      for (std::int64_t z = 0; z < nz; ++z)
        for (std::int64_t y = 0; y < ny; ++y)
          AddLine(job, static_cast<std::int64_t>(k), x0, y0 + y, z0 + z, (nx + lanes - 1) / lanes * lanes,
                  sums + (z * kTileY + y) * kTileX);
    for (std::int64_t z = 0; z < nz; ++z)
      for (std::int64_t y = 0; y < ny; ++y) {
        const float* line = sums + (z * kTileY + y) * kTileX;
        float* target = &volume(z0 + z, y0 + y, x0);
        for (std::int64_t x = 0; x < nx; ++x) target[x] += line[x];
      }
  }
}

}  // namespace kiban::ct::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::ct::cpu {
HWY_EXPORT(GeneralTiles);

void backproject_general(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                         Span<float, 3> volume) {
  GeneralJob job{&block, matrices, block.pixels.host().data, volume.host(), 0, 0};
  job.tiles_x = (job.volume.shape[2] + kTileX - 1) / kTileX;
  job.tiles_y = (job.volume.shape[1] + kTileY - 1) / kTileY;
  const std::int64_t tiles_z = (job.volume.shape[0] + kTileZ - 1) / kTileZ;
  parallel_for(stream, job.tiles_x * job.tiles_y * tiles_z, 1, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(GeneralTiles)(job, begin, end);
  });
}

}  // namespace kiban::ct::cpu
#endif
