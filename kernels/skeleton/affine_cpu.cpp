// How a CPU walks it: ranges on threads, vectors along a range, the instruction set chosen when the program runs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/skeleton/affine_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include "kernels/core/parallel.hpp"
#include "kernels/skeleton/affine.hpp"

HWY_BEFORE_NAMESPACE();
namespace kiban::skeleton::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#define KIBAN_HD HWY_ATTR HWY_INLINE
template <class Value>
KIBAN_HD Value multiply_add(Value a, Value b, Value c) {
  return hn::MulAdd(a, b, c);
}
#include "kernels/skeleton/affine_math-inl.hpp"
#undef KIBAN_HD

/// Values [begin, end), `Lanes(d)` at a time. Returns where it stopped: less than a vector before `end`.
template <class Lanes>
HWY_ATTR std::int64_t affine_vectors(Lanes d, float scale, float offset, float* values, std::int64_t begin,
                                     std::int64_t end) {
  const auto a = hn::Set(d, scale), b = hn::Set(d, offset);
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (; begin + step <= end; begin += step) {
    float* place = values + begin;
    hn::StoreU(affine_value(a, b, hn::LoadU(d, place)), d, place);
  }
  return begin;
}

void affine_range(float scale, float offset, float* values, std::int64_t begin, std::int64_t end) {
  begin = affine_vectors(hn::ScalableTag<float>(), scale, offset, values, begin, end);
  affine_vectors(hn::CappedTag<float, 1>(), scale, offset, values, begin, end);
}

}  // namespace kiban::skeleton::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::skeleton::cpu {

HWY_EXPORT(affine_range);

void affine(Stream& stream, float scale, float offset, Span<float, 3> values) {
  constexpr std::int64_t kGrain = 1 << 16;  // 256 KiB a task: far longer than starting it takes
  const auto view = values.on(stream.device());
  const auto range = HWY_DYNAMIC_DISPATCH(affine_range);
  parallel_for(stream, view.size(), kGrain,
               [&](std::int64_t begin, std::int64_t end) { range(scale, offset, view.data, begin, end); });
}

}  // namespace kiban::skeleton::cpu
#endif
