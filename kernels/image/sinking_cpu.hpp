#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/core/voxels.hpp"
#include "kernels/image/morphology.hpp"

namespace kiban::image::cpu {

#define KIBAN_HD
#include "kernels/image/key_math-inl.hpp"
#undef KIBAN_HD

/// Least: values sink to what a neighbour has, not below the image. Largest: they rise.
template <class T, Extreme which>
struct Sinking {
  static constexpr bool kRises = which == Extreme::largest;
  /// What sinks to any value; of floats no finite one is as high.
  static constexpr T kTop = std::is_same_v<T, float>
                                ? (kRises ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity())
                            : kRises ? std::numeric_limits<T>::lowest()
                                     : std::numeric_limits<T>::max();

  static T lower(T a, T b) { return (kRises ? b > a : b < a) ? b : a; }
  static T not_below(T floor, T value) { return (kRises ? value > floor : value < floor) ? floor : value; }
  static bool is_below(T a, T b) { return kRises ? a > b : a < b; }
  /// Values in their order. -0 is 0.
  static std::uint32_t level(T value) {
    const std::uint32_t key = key_of(static_cast<T>(value + T(0)));
    return kRises ? ~key : key;
  }
};

/// Calls `body.operator()<T, which>()`.
template <class Body>
void with_sinking(VoxelType type, Extreme which, const Body& body) {
  with_voxel_type(type, [&]<class T>() {
    if (which == Extreme::least)
      body.template operator()<T, Extreme::least>();
    else
      body.template operator()<T, Extreme::largest>();
  });
}

}  // namespace kiban::image::cpu
