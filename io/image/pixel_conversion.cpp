#include "io/image/pixel_conversion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

using Component = itk::IOComponentEnum;

template <class Body>
decltype(auto) with_component(Component component, const Body& body) {
  switch (component) {
    case Component::UCHAR:
      return body.template operator()<unsigned char>();
    case Component::CHAR:
      return body.template operator()<signed char>();
    case Component::USHORT:
      return body.template operator()<unsigned short>();
    case Component::SHORT:
      return body.template operator()<short>();
    case Component::UINT:
      return body.template operator()<unsigned int>();
    case Component::INT:
      return body.template operator()<int>();
    case Component::ULONG:
      return body.template operator()<unsigned long>();
    case Component::LONG:
      return body.template operator()<long>();
    case Component::ULONGLONG:
      return body.template operator()<unsigned long long>();
    case Component::LONGLONG:
      return body.template operator()<long long>();
    case Component::FLOAT:
      return body.template operator()<float>();
    case Component::DOUBLE:
      return body.template operator()<double>();
    default:
      throw Error(ErrorCode::internal, "a pixel type passed the header's check and cannot be converted");
  }
}

/// Whether the integer type To holds `value` as it is; false for NaN.
template <class To, class From>
bool holds(From value) {
  if constexpr (std::is_integral_v<From>) {
    return std::in_range<To>(value);
  } else {
    const double number = value;
    return number >= std::numeric_limits<To>::lowest() && number <= std::numeric_limits<To>::max() &&
           number == std::trunc(number);
  }
}

/// Block by block, so that the loop over a block has no branch.
template <class To, class From>
std::int64_t convert_whole_numbers(const From* from, std::int64_t count, To* to) {
  constexpr std::int64_t kBlock = 4096;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, count);
    bool all = true;
    for (std::int64_t i = begin; i < end; ++i) {
      const bool held = holds<To>(from[i]);
      all &= held;
      to[i] = held ? static_cast<To>(from[i]) : To{0};
    }
    if (!all) return std::find_if_not(from + begin, from + end, [](From value) { return holds<To>(value); }) - from;
  }
  return -1;
}

}  // namespace

Component component_of(VoxelType type) {
  switch (type) {
    case VoxelType::uint8:
      return Component::UCHAR;
    case VoxelType::int8:
      return Component::CHAR;
    case VoxelType::uint16:
      return Component::USHORT;
    case VoxelType::int16:
      return Component::SHORT;
    case VoxelType::uint32:
      return Component::UINT;
    case VoxelType::int32:
      return Component::INT;
    case VoxelType::float32:
      return Component::FLOAT;
  }
  throw Error(ErrorCode::internal, "a voxel has no known type");
}

VoxelType voxel_type_of(Component component) {
  for (const VoxelType type :
       {VoxelType::uint8, VoxelType::int8, VoxelType::uint16, VoxelType::int16, VoxelType::uint32, VoxelType::int32})
    if (component_of(type) == component) return type;
  return VoxelType::float32;
}

std::int64_t convert_pixels(Component component, const void* from, std::int64_t count, VoxelType type, void* to) {
  return with_component(component, [&]<class From>() {
    const auto* pixels = static_cast<const From*>(from);
    return with_voxel_type(type, [&]<class To>() -> std::int64_t {
      auto* voxels = static_cast<To*>(to);
      if constexpr (std::is_integral_v<To>) {
        return convert_whole_numbers(pixels, count, voxels);
      } else {
        for (std::int64_t i = 0; i < count; ++i) voxels[i] = static_cast<To>(pixels[i]);
        return -1;
      }
    });
  });
}

std::string pixel_text(Component component, const void* pixels, std::int64_t place) {
  return with_component(component, [&]<class From>() {
    const From value = static_cast<const From*>(pixels)[place];
    if constexpr (std::is_integral_v<From>)
      return std::to_string(value);
    else
      return fmt::format("{}", value);
  });
}

}  // namespace kiban::io
