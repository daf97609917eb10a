// Voxels that are chosen, not summed, and results on grids that are rotated against the image: one by one.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/resample.hpp"
#include "kernels/image/resample_backends.hpp"

namespace kiban::image::cpu {
namespace {

#define KIBAN_HD
#include "kernels/image/resample_math-inl.hpp"
#undef KIBAN_HD

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Row y of slice z.
template <class T>
void vote_row(const AlignedImage& image, const TapsOfAxes& taps, const VoteWeights& weights, std::int64_t z,
              std::int64_t y, T* to) {
  Window<T> window{};
  for (std::size_t a = 0; a < 3; ++a) {
    window.stride[a] = image.stride[a];
    window.count[a] = taps[a].count;
    window.weight_stride[a] = taps[a].outputs;
  }
  const T* const row = static_cast<const T*>(image.values) + taps[2].first[at(z)] * image.stride[2] +
                       taps[1].first[at(y)] * image.stride[1];
  const bool is_copy = window.count[0] * window.count[1] * window.count[2] == 1;
  for (std::int64_t x = taps[0].begin; x < taps[0].end; ++x) {
    window.first = row + taps[0].first[at(x)] * image.stride[0];
    if (is_copy) {
      to[x] = *window.first;
      continue;
    }
    window.weight[0] = &weights[0][at(x)];
    window.weight[1] = &weights[1][at(y)];
    window.weight[2] = &weights[2][at(z)];
    to[x] = vote_over(window);
  }
}

}  // namespace

void vote(Stream& stream, const AlignedImage& image, const TapsOfAxes& taps, double padding, const VoxelSpan& voted) {
  const VoteWeights weights = vote_weights(taps);
  const std::int64_t rows = voted.extent(1), columns = voted.extent(2);
  const Taps &x = taps[0], &y = taps[1], &z = taps[2];
  with_voxel_type(voted.type(), [&]<class T>() {
    T* const target = static_cast<T*>(voted.data());
    const T outside = static_cast<T>(padding);
    parallel_for(stream, voted.extent(0) * rows, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line) {
        const std::int64_t s = line / rows, r = line % rows;
        T* const to = target + line * columns;
        const bool is_inside = s >= z.begin && s < z.end && r >= y.begin && r < y.end;
        std::fill(to, to + (is_inside ? x.begin : columns), outside);
        if (!is_inside) continue;
        vote_row(image, taps, weights, s, r, to);
        std::fill(to + x.end, to + columns, outside);
      }
    });
  });
}

void sample(Stream& stream, const ConstVoxelSpan& image, const Sampling& on_image, const ResampleRule& rule,
            const VoxelSpan& sampled) {
  const Placement on = placement_of<Placement>(image, on_image, rule);
  const std::int64_t rows = sampled.extent(1), columns = sampled.extent(2);
  // Calls `value(place)` for the voxels inside.
  const auto fill = [&]<class T>(T outside, auto value) {
    T* const target = static_cast<T*>(sampled.data());
    parallel_for(stream, sampled.extent(0) * rows, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line)
        for (std::int64_t x = 0; x < columns; ++x) {
          double place[3];
          const bool is_inside = place_of(on, static_cast<double>(x), static_cast<double>(line % rows),
                                          static_cast<double>(line / rows), place);
          target[line * columns + x] = is_inside ? value(place) : outside;
        }
    });
  };
  with_voxel_type(sampled.type(), [&]<class T>() {
    const T outside = static_cast<T>(rule.padding.value_or(0));
    constexpr T kLeast = std::numeric_limits<T>::lowest(), kMost = std::numeric_limits<T>::max();
    if (rule.interpolation == Interpolation::nearest || rule.interpolation == Interpolation::labels) {
      const T* const from = static_cast<const T*>(image.data());
      if (rule.interpolation == Interpolation::nearest)
        return fill(outside, [&](const double* place) { return nearest_at(from, on.extent, place); });
      return fill(outside, [&](const double* place) { return vote_at(from, on.extent, place); });
    }
    if (rule.interpolation == Interpolation::cubic) {
      const float* const from = static_cast<const float*>(image.data());
      return fill(outside,
                  [&](const double* place) { return rounded(spline_at(from, on.extent, place), kLeast, kMost); });
    }
    with_voxel_type(image.type(), [&]<class From>() {
      const From* const from = static_cast<const From*>(image.data());
      fill(outside, [&](const double* place) { return rounded(linear_at(from, on.extent, place), kLeast, kMost); });
    });
  });
}

}  // namespace kiban::image::cpu
