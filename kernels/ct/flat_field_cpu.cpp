#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ct/flat_field_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h, which it needs.
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/flat_field_backends.hpp"

HWY_BEFORE_NAMESPACE();
namespace kiban::ct::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
#define KIBAN_HD HWY_ATTR

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

HWY_ATTR inline Vector subtract(Vector a, Vector b) { return hn::Sub(a, b); }
HWY_ATTR inline Vector multiply(Vector a, Vector b) { return hn::Mul(a, b); }
HWY_ATTR inline Vector larger(Vector a, Vector b) { return hn::Max(a, b); }
HWY_ATTR inline Vector logarithm(Vector a) { return hn::Log(Floats(), a); }
HWY_ATTR inline Vector negated(Vector a) { return hn::Neg(a); }

#include "kernels/ct/flat_field_math-inl.hpp"

/// One view; `out` may be `counts`.
HWY_ATTR void correct_view(const float* counts, const float* dark, const float* gain, std::int64_t pixels, float* out) {
  const Floats floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  const Vector least = hn::Set(floats, kLeastTransmission);
  std::int64_t i = 0;
  for (; i + lanes <= pixels; i += lanes)
    hn::StoreU(
        line_integral(hn::LoadU(floats, counts + i), hn::LoadU(floats, dark + i), hn::LoadU(floats, gain + i), least),
        floats, out + i);
  if (i == pixels) return;
  // The rest goes through a full vector of its own: the same instructions, so the same bits wherever a pixel lies.
  HWY_ALIGN float rest[3][HWY_MAX_BYTES / sizeof(float)] = {};
  const auto count = static_cast<std::size_t>(pixels - i);
  std::copy_n(counts + i, count, rest[0]);
  std::copy_n(dark + i, count, rest[1]);
  std::copy_n(gain + i, count, rest[2]);
  hn::Store(line_integral(hn::Load(floats, rest[0]), hn::Load(floats, rest[1]), hn::Load(floats, rest[2]), least),
            floats, rest[0]);
  std::copy_n(rest[0], count, out + i);
}

#undef KIBAN_HD
}  // namespace
}  // namespace kiban::ct::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::ct::cpu {
HWY_EXPORT(correct_view);

void correct_flat_field(Stream& stream, Span<const float, 2> dark, Span<const float, 2> gain,
                        Span<const FlatFieldPlan::Bridge, 1> bridges, Span<const float, 3> counts,
                        Span<float, 3> line_integrals) {
  const auto correct = HWY_DYNAMIC_DISPATCH(correct_view);
  const std::int64_t pixels = dark.size();
  const auto dark_view = dark.host();
  const auto gain_view = gain.host();
  const auto bridge_view = bridges.host();
  const auto from = counts.host();
  const auto to = line_integrals.host();
  parallel_for(stream, from.shape[0], 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t view = begin; view < end; ++view) {
      float* p = to.data + view * pixels;
      correct(from.data + view * pixels, dark_view.data, gain_view.data, pixels, p);
      for (std::int64_t i = 0; i < bridge_view.shape[0]; ++i) {
        const FlatFieldPlan::Bridge& bridge = bridge_view.data[i];
        p[bridge.pixel] = (1 - bridge.weight) * p[bridge.left] + bridge.weight * p[bridge.right];
      }
    }
  });
}

}  // namespace kiban::ct::cpu
#endif
