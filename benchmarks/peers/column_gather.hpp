#pragma once
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/ct/backproject.hpp"

/// What kiban's column walk must beat: the same walk with hardware gathers of neighbour pairs, one thread, volume z
/// fastest (its own best layout, so it moves no tile). Every voxel must fall on the panel, as it tests no bounds along
/// a column.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own intrinsics

namespace column_gather {

struct Column {
  const float *low, *high;
  float low_weight, high_weight, start, step;
};

/// Column axis y: u and w from x and z. `volume` is [x][z][y] here.
inline Column place(const kiban::ct::PanelBlock& block, const float* pixels, const kiban::ct::ProjectionMatrix& p,
                    std::int64_t view, std::int64_t x, std::int64_t z) {
  const auto fx = static_cast<float>(x), fz = static_cast<float>(z);
  const auto f = [](double value) { return static_cast<float>(value); };
  const float inverse = 1 / (f(p.m[2][0]) * fx + f(p.m[2][2]) * fz + f(p.m[2][3]));
  const float u = (f(p.m[0][0]) * fx + f(p.m[0][2]) * fz + f(p.m[0][3])) * inverse;
  const float left = std::floor(u), weight = inverse * inverse;
  const float* low = pixels + block.first_pixel(view) + static_cast<std::int64_t>(left) * block.pitch();
  return {low,
          low + block.pitch(),
          weight * (1 - u + left),
          weight * (u - left),
          (f(p.m[1][0]) * fx + f(p.m[1][2]) * fz + f(p.m[1][3])) * inverse,
          f(p.m[1][1]) * inverse};
}

__attribute__((target("avx2,fma"))) inline void walk_avx2(const Column& c, std::int64_t n, float* line, float* sums) {
  const auto first = static_cast<std::int64_t>(c.start) & ~15,
             last = static_cast<std::int64_t>(c.start + c.step * static_cast<float>(n - 1)) + 2;
  const __m256 wa = _mm256_set1_ps(c.low_weight), wb = _mm256_set1_ps(c.high_weight);
  for (std::int64_t r = first; r < last; r += 8)
    _mm256_storeu_ps(line + r,
                     _mm256_fmadd_ps(wb, _mm256_loadu_ps(c.high + r), _mm256_mul_ps(wa, _mm256_loadu_ps(c.low + r))));
  __m256 v = _mm256_fmadd_ps(_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_ps(c.step), _mm256_set1_ps(c.start));
  const __m256 step = _mm256_set1_ps(8 * c.step);
  for (std::int64_t i = 0; i < n; i += 8) {
    const __m256i at = _mm256_cvttps_epi32(v);
    const __m256 part = _mm256_sub_ps(v, _mm256_cvtepi32_ps(at));
    const auto* base = reinterpret_cast<const double*>(line);
    const __m256 g0 = _mm256_castpd_ps(_mm256_i32gather_pd(base, _mm256_castsi256_si128(at), 4));
    const __m256 g1 = _mm256_castpd_ps(_mm256_i32gather_pd(base, _mm256_extracti128_si256(at, 1), 4));
    const __m256 low = _mm256_shuffle_ps(g0, g1, 0x88), high = _mm256_shuffle_ps(g0, g1, 0xDD);
    const auto sort = [](__m256 x) __attribute__((target("avx2"))) {
      return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xD8));
    };
    const __m256 a = sort(low), b = sort(high);
    _mm256_storeu_ps(sums + i, _mm256_add_ps(_mm256_loadu_ps(sums + i), _mm256_fmadd_ps(part, _mm256_sub_ps(b, a), a)));
    v = _mm256_add_ps(v, step);
  }
}

__attribute__((target("avx512f,avx512dq"))) inline void walk_avx512(const Column& c, std::int64_t n, float* line,
                                                                    float* sums) {
  const auto first = static_cast<std::int64_t>(c.start) & ~15,
             last = static_cast<std::int64_t>(c.start + c.step * static_cast<float>(n - 1)) + 2;
  const __m512 wa = _mm512_set1_ps(c.low_weight), wb = _mm512_set1_ps(c.high_weight);
  for (std::int64_t r = first; r < last; r += 16)
    _mm512_storeu_ps(line + r,
                     _mm512_fmadd_ps(wb, _mm512_loadu_ps(c.high + r), _mm512_mul_ps(wa, _mm512_loadu_ps(c.low + r))));
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  const __m512 lane = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512 v = _mm512_fmadd_ps(lane, _mm512_set1_ps(c.step), _mm512_set1_ps(c.start));
  const __m512 step = _mm512_set1_ps(16 * c.step);
  for (std::int64_t i = 0; i < n; i += 16) {
    const __m512i at = _mm512_cvttps_epi32(v);
    const __m512 part = _mm512_sub_ps(v, _mm512_cvtepi32_ps(at));
    const __m512 g0 = _mm512_castpd_ps(_mm512_i32gather_pd(_mm512_castsi512_si256(at), line, 4));
    const __m512 g1 = _mm512_castpd_ps(_mm512_i32gather_pd(_mm512_extracti64x4_epi64(at, 1), line, 4));
    const __m512 a = _mm512_permutex2var_ps(g0, even, g1), b = _mm512_permutex2var_ps(g0, odd, g1);
    _mm512_storeu_ps(sums + i, _mm512_add_ps(_mm512_loadu_ps(sums + i), _mm512_fmadd_ps(part, _mm512_sub_ps(b, a), a)));
    v = _mm512_add_ps(v, step);
  }
}

/// False where the machine has neither AVX2 nor AVX-512. `volume` [x,z,y] of n^3, n a multiple of 16.
inline bool backproject(const kiban::ct::PanelBlock& block, std::span<const kiban::ct::ProjectionMatrix> matrices,
                        std::int64_t n, float* volume) {
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  if (!wide && !__builtin_cpu_supports("avx2")) return false;
  const float* pixels = block.pixels.host().data;
  std::vector<float> line(static_cast<std::size_t>(block.rows + 64));
  constexpr std::int64_t kTile = 8;
  for (std::int64_t tile = 0; tile < (n / kTile) * (n / kTile); ++tile)
    for (std::int64_t k = 0; k < static_cast<std::int64_t>(matrices.size()); ++k)
      for (std::int64_t i = 0; i < kTile * kTile; ++i) {
        const std::int64_t x = tile / (n / kTile) * kTile + i / kTile, z = tile % (n / kTile) * kTile + i % kTile;
        const Column column = place(block, pixels, matrices[static_cast<std::size_t>(k)], k, x, z);
        (wide ? walk_avx512 : walk_avx2)(column, n, line.data(), volume + (x * n + z) * n);
      }
  return true;
}

}  // namespace column_gather
#pragma GCC diagnostic pop
#endif
