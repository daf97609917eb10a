#pragma once
// What a kernel may call. Everything that waits goes through three functions of the scheduler.
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "cudasim/vector_types.h"

constinit inline thread_local uint3 threadIdx{}, blockIdx{};
constinit inline thread_local dim3 blockDim{}, gridDim{};
inline constexpr int warpSize = 32;

namespace cudasim {

using Where = std::source_location;

/// Parks the calling thread until all live threads of its block are at a barrier, which must be this one.
void block_barrier(const Where& where);
/// A turn for everybody else.
void yield();
/// The values that the lanes of `mask` brought to this collective, by lane; those of other lanes are all ones.
/// `orders`: what a lane wrote before is seen by the others after.
const std::uint64_t* exchange(const char* collective, unsigned mask, std::uint64_t value, bool orders);
/// The shared memory of the calling block, all ones (NaN) at first; the same size in each call of a kernel.
void* shared_memory(std::size_t bytes, std::size_t alignment);
unsigned lane();

template <class S>
S& block_shared() {
  static_assert(std::is_trivially_default_constructible_v<S> && std::is_trivially_destructible_v<S>);
  static_assert(sizeof(S) <= 48 * 1024, "static shared memory ends at 48 KiB");
  return *static_cast<S*>(shared_memory(sizeof(S), alignof(S)));
}

template <class T>
std::uint64_t pack(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T>
T unpack(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T, class Combine>
T atomic(T* at, const Combine& combine) {
  yield();
  std::atomic_ref<T> cell(*at);
  T old = cell.load(std::memory_order_relaxed);
  while (!cell.compare_exchange_weak(old, combine(old), std::memory_order_relaxed)) {
  }
  return old;
}

}  // namespace cudasim

inline void __syncthreads(cudasim::Where where = cudasim::Where::current()) { cudasim::block_barrier(where); }
inline void __syncwarp(unsigned mask = ~0u) { cudasim::exchange("__syncwarp", mask, 0, true); }

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const std::uint64_t* lanes = cudasim::exchange("__shfl_sync", mask, cudasim::pack(value), false);
  const unsigned last = static_cast<unsigned>(width) - 1;
  return cudasim::unpack<T>(lanes[(cudasim::lane() & ~last) | (static_cast<unsigned>(source) & last)]);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32) {
  const std::uint64_t* lanes = cudasim::exchange("__shfl_xor_sync", mask, cudasim::pack(value), false);
  const unsigned self = cudasim::lane(), group = ~(static_cast<unsigned>(width) - 1);
  const unsigned source = self ^ static_cast<unsigned>(flip);
  return cudasim::unpack<T>(lanes[(source & group) > (self & group) ? self : source]);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const std::uint64_t* lanes = cudasim::exchange("__shfl_down_sync", mask, cudasim::pack(value), false);
  const unsigned self = cudasim::lane(), size = static_cast<unsigned>(width);
  return cudasim::unpack<T>(lanes[self % size + delta < size ? self + delta : self]);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const std::uint64_t* lanes = cudasim::exchange("__shfl_up_sync", mask, cudasim::pack(value), false);
  const unsigned self = cudasim::lane(), size = static_cast<unsigned>(width);
  return cudasim::unpack<T>(lanes[self % size >= delta ? self - delta : self]);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const std::uint64_t* lanes = cudasim::exchange("__ballot_sync", mask, predicate != 0, false);
  unsigned votes = 0;
  for (unsigned i = 0; i < 32; ++i)
    if (mask >> i & 1) votes |= static_cast<unsigned>(lanes[i] == 1) << i;
  return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

template <class T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return cudasim::atomic(at, [=](T old) { return old + value; });
}
template <class T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return cudasim::atomic(at, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return cudasim::atomic(at, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> desired) {
  return cudasim::atomic(at, [=](T old) { return old == expected ? desired : old; });
}

template <class T>
T __ldg(const T* at) {
  return *at;
}

inline unsigned __float_as_uint(float value) { return static_cast<unsigned>(cudasim::pack(value)); }
inline int __clz(int value) { return __builtin_clz(static_cast<unsigned>(value) | 1) + (value == 0); }
inline int __ffs(int value) { return __builtin_ffs(value); }

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline int __float2int_rd(float x) { return static_cast<int>(std::floor(x)); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }  // NaN becomes 0, as in CUDA

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
inline unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
inline long min(long a, long b) { return b < a ? b : a; }
inline long max(long a, long b) { return a < b ? b : a; }
inline long long min(long long a, long long b) { return b < a ? b : a; }
inline long long max(long long a, long long b) { return a < b ? b : a; }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }
