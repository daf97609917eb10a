#pragma once
#include <algorithm>
#include <cmath>

#include "cudasim/runtime_api.h"

/// What a cudaTextureObject_t points at: floats [depth or layer, row, column], zero outside.
struct cudasim_texture {
  const float* texels;
  int width, height, depth;
  bool linear;

  float at(int x, int y, int z) const {
    if (x < 0 || x >= width || y < 0 || y >= height || z < 0 || z >= depth) return 0;
    return texels[(static_cast<std::size_t>(z) * static_cast<std::size_t>(height) + static_cast<std::size_t>(y)) *
                      static_cast<std::size_t>(width) +
                  static_cast<std::size_t>(x)];
  }
};

namespace cudasim {

/// The two texels around a coordinate and the weight of the second one. The units keep 8 bits of the fraction: CUDA C++
/// Programming Guide, "Linear Filtering".
struct Tap {
  int first;
  float weight;
  Tap(float coordinate, bool linear) {
    if (!(std::fabs(coordinate) < 1e9f)) coordinate = -4;  // far out, or NaN: border everywhere
    const float texel = linear ? coordinate - 0.5f : coordinate;
    const float below = std::floor(texel);
    first = static_cast<int>(below);
    weight = linear ? std::nearbyint((texel - below) * 256.0f) / 256.0f : 0.0f;
  }
};

inline const cudasim_texture& texture(cudaTextureObject_t object) {
  return *reinterpret_cast<const cudasim_texture*>(object);
}

inline float plane(const cudasim_texture& t, const Tap& x, const Tap& y, int z) {
  const float upper = (1 - x.weight) * t.at(x.first, y.first, z) + x.weight * t.at(x.first + 1, y.first, z);
  const float lower = (1 - x.weight) * t.at(x.first, y.first + 1, z) + x.weight * t.at(x.first + 1, y.first + 1, z);
  return (1 - y.weight) * upper + y.weight * lower;
}

}  // namespace cudasim

template <class T>
T tex2DLayered(cudaTextureObject_t object, float x, float y, int layer) {
  static_assert(std::is_same_v<T, float>, "the simulator has textures of float");
  const cudasim_texture& t = cudasim::texture(object);
  return cudasim::plane(t, cudasim::Tap(x, t.linear), cudasim::Tap(y, t.linear), std::clamp(layer, 0, t.depth - 1));
}

template <class T>
T tex3D(cudaTextureObject_t object, float x, float y, float z) {
  static_assert(std::is_same_v<T, float>, "the simulator has textures of float");
  const cudasim_texture& t = cudasim::texture(object);
  const cudasim::Tap tx(x, t.linear), ty(y, t.linear), tz(z, t.linear);
  return (1 - tz.weight) * cudasim::plane(t, tx, ty, tz.first) + tz.weight * cudasim::plane(t, tx, ty, tz.first + 1);
}
