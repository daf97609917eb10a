#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "kernels/core/array.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/volume.hpp"

namespace kiban {

/// The number that a voxel is, where that is known only when the program runs.
enum class VoxelType { uint8, int8, uint16, int16, uint32, int32, float32 };

/// As NumPy names it: "uint8".
std::string name(VoxelType type);
std::int64_t bytes_of(VoxelType type);
/// uint8, uint16, uint32: what label maps are made of.
bool is_label_type(VoxelType type);
/// The smallest label type that holds `largest`. Errors: input (none does).
VoxelType label_type_for(std::uint64_t largest);

/// The VoxelType of a C++ type.
template <class T>
constexpr VoxelType voxel_type() {
  using U = std::remove_const_t<T>;
  constexpr bool is_integer = std::is_integral_v<U> && !std::is_same_v<U, bool> && sizeof(U) <= 4;
  static_assert(std::is_same_v<U, float> || is_integer, "not the type of a voxel");
  constexpr bool is_signed = std::is_signed_v<U>;
  if constexpr (std::is_same_v<U, float>)
    return VoxelType::float32;
  else if constexpr (sizeof(U) == 1)
    return is_signed ? VoxelType::int8 : VoxelType::uint8;
  else if constexpr (sizeof(U) == 2)
    return is_signed ? VoxelType::int16 : VoxelType::uint16;
  else
    return is_signed ? VoxelType::int32 : VoxelType::uint32;
}

/// Calls `body.template operator()<T>()` for the C++ type of `type`.
template <class Body>
decltype(auto) with_voxel_type(VoxelType type, const Body& body) {
  switch (type) {
    case VoxelType::uint8:
      return body.template operator()<std::uint8_t>();
    case VoxelType::int8:
      return body.template operator()<std::int8_t>();
    case VoxelType::uint16:
      return body.template operator()<std::uint16_t>();
    case VoxelType::int16:
      return body.template operator()<std::int16_t>();
    case VoxelType::uint32:
      return body.template operator()<std::uint32_t>();
    case VoxelType::int32:
      return body.template operator()<std::int32_t>();
    case VoxelType::float32:
      return body.template operator()<float>();
  }
  throw Error(ErrorCode::internal, "a voxel has no known type");
}

/// The same for label types only. Errors: input (another type).
template <class Body>
decltype(auto) with_label_type(VoxelType type, const Body& body) {
  switch (type) {
    case VoxelType::uint8:
      return body.template operator()<std::uint8_t>();
    case VoxelType::uint16:
      return body.template operator()<std::uint16_t>();
    case VoxelType::uint32:
      return body.template operator()<std::uint32_t>();
    default:
      throw Error(ErrorCode::input, "labels are uint8, uint16 or uint32, and these are " + name(type));
  }
}

/// Voxels [z,y,x] of a device and of any VoxelType, seen but not owned. `Void`: void, or const void.
template <class Void>
class AnySpan {
 public:
  AnySpan() = default;
  AnySpan(Void* data, VoxelType type, const Shape<3>& shape, Device device = {})
      : data_(data), type_(type), shape_(shape), device_(device) {}
  template <class T>
  requires(std::is_const_v<Void> || !std::is_const_v<T>) AnySpan(T* data, const Shape<3>& shape, Device device = {})
      : AnySpan(data, voxel_type<T>(), shape, device) {}
  template <class T>
  requires(std::is_const_v<Void> || !std::is_const_v<T>) AnySpan(const Span<T, 3>& span)
      : AnySpan(span.on(span.device()).data, span.shape(), span.device()) {}
  template <class Other>
  requires(std::is_same_v<const Other, Void>) AnySpan(const AnySpan<Other>& other)
      : AnySpan(other.data(), other.type(), other.shape(), other.device()) {}

  Void* data() const { return data_; }
  VoxelType type() const { return type_; }
  const Shape<3>& shape() const { return shape_; }
  Device device() const { return device_; }
  std::int64_t extent(int axis) const { return shape_[static_cast<std::size_t>(axis)]; }
  std::int64_t size() const { return element_count<3>(shape_); }
  std::size_t bytes() const { return static_cast<std::size_t>(size() * bytes_of(type_)); }

  /// Errors: internal (the voxels are of another type).
  template <class T>
  auto as() const {
    using U = std::conditional_t<std::is_const_v<Void>, const T, T>;
    if (voxel_type<T>() != type_)
      throw Error(ErrorCode::internal, "voxels of " + name(type_) + " were taken for " + name(voxel_type<T>()));
    return Span<U, 3>(static_cast<U*>(data_), shape_, device_);
  }
  /// Slices [begin, end) of the first axis.
  AnySpan slice(std::int64_t begin, std::int64_t end) const {
    using Byte = std::conditional_t<std::is_const_v<Void>, const char, char>;
    if (begin < 0 || begin > end || end > shape_[0]) throw Error(ErrorCode::internal, "slice outside a span");
    AnySpan part = *this;
    part.shape_[0] = end - begin;
    part.data_ = static_cast<Byte*>(data_) + begin * shape_[1] * shape_[2] * bytes_of(type_);
    return part;
  }

 private:
  Void* data_ = nullptr;
  VoxelType type_ = VoxelType::float32;
  Shape<3> shape_{};
  Device device_{};
};
using VoxelSpan = AnySpan<void>;
using ConstVoxelSpan = AnySpan<const void>;

/// Owns voxels of any VoxelType. Not initialised.
class VoxelArray {
 public:
  VoxelArray() = default;
  /// Errors: those of Array.
  VoxelArray(VoxelType type, const Shape<3>& shape, Device device = {});

  VoxelSpan span() { return span_; }
  ConstVoxelSpan span() const { return span_; }
  /// Errors: internal (the voxels are of another type).
  template <class T>
  Span<const T, 3> span() const {
    return ConstVoxelSpan(span_).as<T>();
  }
  VoxelType type() const { return span_.type(); }
  const Shape<3>& shape() const { return span_.shape(); }
  std::int64_t size() const { return span_.size(); }
  Device device() const { return span_.device(); }

 private:
  std::shared_ptr<void> memory_;
  VoxelSpan span_;
};

/// Copies voxels of the same type and shape, ordered on `stream`. Errors: internal (type or shape differ) · device.
void copy(Stream& stream, const ConstVoxelSpan& from, const VoxelSpan& to);

/// A VoxelArray with its place in space, in the frame that Volume has.
struct VoxelVolume {
  VoxelArray values;
  Grid grid;
};

}  // namespace kiban
