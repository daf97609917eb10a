#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ct/phantom_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/phantom_backends.hpp"

HWY_BEFORE_NAMESPACE();
namespace kiban::ct::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
#define KIBAN_HD HWY_ATTR

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

template <class T>
HWY_ATTR inline T splat(float value) {
  return hn::Set(Floats(), value);
}
HWY_ATTR inline Vector add(Vector a, Vector b) { return hn::Add(a, b); }
HWY_ATTR inline Vector subtract(Vector a, Vector b) { return hn::Sub(a, b); }
HWY_ATTR inline Vector multiply(Vector a, Vector b) { return hn::Mul(a, b); }
HWY_ATTR inline Vector divide(Vector a, Vector b) { return hn::Div(a, b); }
HWY_ATTR inline Vector multiply_add(Vector a, Vector b, Vector c) { return hn::MulAdd(a, b, c); }
HWY_ATTR inline Vector square_root(Vector a) { return hn::Sqrt(a); }
HWY_ATTR inline Vector positive_part(Vector a) { return hn::Max(a, hn::Zero(Floats())); }
HWY_ATTR inline Vector where_positive(Vector a, Vector b) {
  return hn::IfThenElseZero(hn::Gt(a, hn::Zero(Floats())), b);
}
HWY_ATTR inline Vector where_at_most_one(Vector a, Vector b) {
  return hn::IfThenElseZero(hn::Le(a, hn::Set(Floats(), 1.0f)), b);
}

#include "kernels/ct/phantom_math-inl.hpp"

/// The first `count` lanes, without touching what lies behind them.
HWY_ATTR inline void store_lanes(Vector values, std::int64_t count, float* to) {
  const Floats floats;
  if (count >= static_cast<std::int64_t>(hn::Lanes(floats))) return hn::StoreU(values, floats, to);
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(values, floats, lanes);
  std::copy_n(lanes, count, to);
}

HWY_ATTR void project_row(const EllipsoidShadow* shadows, std::int64_t ellipsoids, const RayLength& length,
                          std::int64_t row, std::int64_t columns, float* out) {
  const Floats floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  const Vector v = hn::Set(floats, static_cast<float>(row));
  for (std::int64_t column = 0; column < columns; column += lanes) {
    const Vector u = hn::Iota(floats, static_cast<float>(column));
    Vector sum = hn::Zero(floats);
    for (std::int64_t e = 0; e < ellipsoids; ++e) sum = add(sum, weighted_chord(shadows[e], u, v));
    const Vector squared =
        quadratic(length.squared, subtract(u, splat<Vector>(length.u)), subtract(v, splat<Vector>(length.v)));
    store_lanes(multiply(sum, square_root(squared)), columns - column, out + column);
  }
}

HWY_ATTR void rasterise_row(const UnitBall* balls, std::int64_t count, std::int64_t y, std::int64_t z,
                            std::int64_t columns, float* out) {
  const Floats floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  for (std::int64_t x = 0; x < columns; x += lanes) {
    Vector sum = hn::Zero(floats);
    for (std::int64_t e = 0; e < count; ++e)
      sum = add(sum, density_at(balls[e], hn::Iota(floats, static_cast<float>(x)), splat<Vector>(static_cast<float>(y)),
                                splat<Vector>(static_cast<float>(z))));
    store_lanes(sum, columns - x, out + x);
  }
}

#undef KIBAN_HD
}  // namespace
}  // namespace kiban::ct::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::ct::cpu {
HWY_EXPORT(project_row);
HWY_EXPORT(rasterise_row);

void project_shadows(Stream& stream, Span<const EllipsoidShadow, 2> shadows, Span<const RayLength, 1> lengths,
                     Span<float, 3> projections) {
  const auto project = HWY_DYNAMIC_DISPATCH(project_row);
  const auto shadow = shadows.host();
  const auto length = lengths.host();
  const auto out = projections.host();
  const std::int64_t rows = out.shape[1], columns = out.shape[2];
  parallel_for(stream, out.shape[0] * rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line)
      project(&shadow(line / rows, 0), shadow.shape[1], length(line / rows), line % rows, columns,
              out.data + line * columns);
  });
}

void rasterise_balls(Stream& stream, Span<const UnitBall, 1> balls, Span<float, 3> volume) {
  const auto rasterise = HWY_DYNAMIC_DISPATCH(rasterise_row);
  const auto ball = balls.host();
  const auto out = volume.host();
  const std::int64_t rows = out.shape[1], columns = out.shape[2];
  parallel_for(stream, out.shape[0] * rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line)
      rasterise(ball.data, ball.shape[0], line % rows, line / rows, columns, out.data + line * columns);
  });
}

}  // namespace kiban::ct::cpu
#endif
