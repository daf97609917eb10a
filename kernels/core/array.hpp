#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/stream.hpp"

#ifdef __CUDACC__
#define KIBAN_HOST_DEVICE __host__ __device__
#else
#define KIBAN_HOST_DEVICE
#endif

namespace kiban {

/// Extents, slowest to fastest: [z,y,x], [view,row,column].
template <int N>
using Shape = std::array<std::int64_t, N>;

/// Number of elements. Errors: input (a negative extent, or a product beyond 2^62).
template <int N>
std::int64_t element_count(const Shape<N>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(count, extent, &count) || count > (std::int64_t{1} << 62))
      throw Error(ErrorCode::input, "an array of this shape cannot be addressed; check its extents");
  }
  return count;
}

/// Plain indexable memory, contiguous, last index fastest. What kernels take; knows no device.
template <class T, int N>
struct ArrayView {
  T* data = nullptr;
  std::int64_t shape[N] = {};

  template <class... Index>
  KIBAN_HOST_DEVICE T& operator()(Index... index) const {
    static_assert(sizeof...(Index) == N);
    const std::int64_t at[N] = {static_cast<std::int64_t>(index)...};
    std::int64_t offset = at[0];
    for (int axis = 1; axis < N; ++axis) offset = offset * shape[axis] + at[axis];
    return data[offset];
  }
  KIBAN_HOST_DEVICE std::int64_t size() const {
    std::int64_t count = 1;
    for (int axis = 0; axis < N; ++axis) count *= shape[axis];
    return count;
  }
};

/// Memory of a device, seen but not owned. Opaque: `host()` or `on(device)` checks once and returns the indexable view.
template <class T, int N>
class Span {
 public:
  Span() = default;
  Span(T* data, const Shape<N>& shape, Device device = {}) : data_(data), shape_(shape), device_(device) {}
  /// A span of T is also a span of const T.
  template <class U>
  requires(std::is_same_v<const U, T>) Span(const Span<U, N>& other)
      : data_(other.data_), shape_(other.shape_), device_(other.device_) {}

  Device device() const { return device_; }
  const Shape<N>& shape() const { return shape_; }
  std::int64_t extent(int axis) const { return shape_[static_cast<std::size_t>(axis)]; }
  std::int64_t size() const { return element_count<N>(shape_); }
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * sizeof(T); }

  /// Errors: device (the memory is elsewhere).
  ArrayView<T, N> on(Device device) const {
    if (device != device_)
      throw Error(ErrorCode::device, "memory of " + name(device_) + " was handed to work on " + name(device));
    ArrayView<T, N> view{data_, {}};
    for (std::size_t axis = 0; axis < N; ++axis) view.shape[axis] = shape_[axis];
    return view;
  }
  ArrayView<T, N> host() const { return on(Device{}); }

  /// Elements [begin, end) of the first axis.
  Span slice(std::int64_t begin, std::int64_t end) const {
    Shape<N> shape = shape_;
    shape[0] = end - begin;
    if (begin < 0 || begin > end || end > shape_[0]) throw Error(ErrorCode::internal, "slice outside a span");
    const std::int64_t stride = shape_[0] ? size() / shape_[0] : 0;
    return {data_ + begin * stride, shape, device_};
  }

 private:
  template <class U, int M>
  friend class Span;
  T* data_ = nullptr;
  Shape<N> shape_{};
  Device device_{};
};

/// Untyped memory of a device: 64-byte aligned, freed with the last owner. Errors: input (more than the host gives;
/// says how much was asked) · device (no such device, or more than it has; says how much was asked and how much is
/// free).
std::shared_ptr<void> allocate(Device device, std::size_t bytes);

/// Copies between any two devices; ordered on `stream`; host memory on either side must outlive the copy
/// (`synchronize`). Errors: device.
void copy_bytes(Stream& stream, void* to, Device to_device, const void* from, Device from_device, std::size_t bytes);

/// Sets every byte to zero; ordered on `stream`.
void zero_bytes(Stream& stream, void* to, Device device, std::size_t bytes);

/// Owns memory of a device. Not initialised.
template <class T, int N>
class Array {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Array() = default;
  explicit Array(const Shape<N>& shape, Device device = {})
      : memory_(allocate(device, checked_bytes(shape))), span_(static_cast<T*>(memory_.get()), shape, device) {}

  Span<T, N> span() { return span_; }
  Span<const T, N> span() const { return span_; }
  ArrayView<T, N> host() { return span_.host(); }
  ArrayView<const T, N> host() const { return Span<const T, N>(span_).host(); }
  const Shape<N>& shape() const { return span_.shape(); }
  std::int64_t size() const { return span_.size(); }
  Device device() const { return span_.device(); }

 private:
  static std::size_t checked_bytes(const Shape<N>& shape) {
    const std::int64_t count = element_count<N>(shape);
    if (count > (std::int64_t{1} << 62) / static_cast<std::int64_t>(sizeof(T)))
      throw Error(ErrorCode::input, "an array of this shape cannot be addressed; check its extents");
    return static_cast<std::size_t>(count) * sizeof(T);
  }
  std::shared_ptr<void> memory_;
  Span<T, N> span_;
};

/// Copies `from` to `to` (same shape), ordered on `stream`. Errors: internal (shapes differ) · device.
template <class T, int N>
void copy(Stream& stream, Span<const T, N> from, Span<T, N> to) {
  if (from.shape() != to.shape()) throw Error(ErrorCode::internal, "copy between arrays of different shapes");
  if (from.size() == 0) return;
  const auto source = from.on(from.device());
  const auto target = to.on(to.device());
  copy_bytes(stream, target.data, to.device(), source.data, from.device(), from.bytes());
}

template <class T, int N>
void zero(Stream& stream, Span<T, N> span) {
  if (span.size() != 0) zero_bytes(stream, span.on(span.device()).data, span.device(), span.bytes());
}

}  // namespace kiban
