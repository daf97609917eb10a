#include <atomic>
#include <bit>
#include <cstdint>

#include "kernels/core/finite.hpp"
#include "kernels/core/parallel.hpp"

namespace kiban::cpu {
namespace {

/// By their bits and without a branch, which every compiler turns into vectors of any instruction set.
bool range_is_finite(const float* values, std::int64_t begin, std::int64_t end) {
  constexpr std::uint32_t kExponent = 0x7F800000;  // all ones: infinite, or not a number
  std::uint32_t bad = 0;
  for (std::int64_t i = begin; i < end; ++i)
    bad |= (std::bit_cast<std::uint32_t>(values[i]) & kExponent) == kExponent ? 1 : 0;
  return bad == 0;
}

}  // namespace

void check_finite(Stream& stream, Span<const float, 3> values, bool& finite) {
  constexpr std::int64_t kGrain = std::int64_t{1} << 16;  // 256 KiB: small enough to stop soon, once one is found
  const ArrayView<const float, 3> view = values.host();
  std::atomic<bool> found_bad{false};
  parallel_for(stream, view.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (!found_bad.load(std::memory_order_relaxed) && !range_is_finite(view.data, begin, end))
      found_bad.store(true, std::memory_order_relaxed);
  });
  finite = !found_bad.load();
}

}  // namespace kiban::cpu
