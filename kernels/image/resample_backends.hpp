#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/image/resample.hpp"

namespace kiban::image {

/// The weights of taps in steps of 2^-20, as `*_math-inl.hpp` counts votes; exact for linear ones.
using VoteWeights = std::array<std::vector<std::uint32_t>, 3>;
inline VoteWeights vote_weights(const TapsOfAxes& taps) {
  VoteWeights weights;
  for (std::size_t a = 0; a < 3; ++a)
    for (const float weight : taps[a].weights)
      weights[a].push_back(static_cast<std::uint32_t>(static_cast<double>(weight) * (1 << 20) + 0.5));
  return weights;
}

/// What `Placement` of the backends holds.
template <class Placement>
Placement placement_of(const ConstVoxelSpan& image, const Sampling& on_image, const ResampleRule& rule) {
  Placement on{};
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t c = 0; c < 3; ++c) on.matrix[a][c] = on_image.matrix[a][c];
    on.offset[a] = on_image.offset[a];
    on.extent[a] = image.extent(2 - static_cast<int>(a));
  }
  on.extend = !rule.padding;
  return on;
}

}  // namespace kiban::image
