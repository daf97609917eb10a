// Row by row of the result: a class's rows around are mixed, the taps along x gathered from the near mix, and the best
// class kept, all in the nearest cache; the rows of all classes stay near for the next row of the result.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/argmax_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/argmax.hpp"
#include "kernels/image/resample_backends.hpp"

#ifndef KIBAN_ARGMAX_CPU_ONCE
#define KIBAN_ARGMAX_CPU_ONCE
namespace kiban::image::cpu {

/// The largest logit of each voxel of a row so far, and whose it is.
struct BestOfRow {
  std::vector<float> logit;
  std::vector<std::int32_t> of;
};

struct ArgmaxFunctions {
  /// The sum of up to four rows, each by its weight.
  void (*mix)(const float* const* rows, const float* weights, std::int64_t taps, std::int64_t stride,
              std::int64_t count, float* to);
  /// What class `of` has at a row's outputs, against the best so far.
  void (*compete)(const Taps& taps, const float* row, std::int32_t of, BestOfRow& best);
};

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_ATTR void mix_classes(const float* const* rows, const float* weights, std::int64_t taps, std::int64_t stride,
                          std::int64_t count, float* to) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  if (stride == 1)
    for (; i + lanes <= count; i += lanes) {
      auto sum = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, rows[0] + i));
      for (std::int64_t k = 1; k < taps; ++k) sum = hn::MulAdd(hn::Set(d, weights[k]), hn::LoadU(d, rows[k] + i), sum);
      hn::StoreU(sum, d, to + i);
    }
  for (; i < count; ++i) {
    float sum = weights[0] * rows[0][i * stride];
    for (std::int64_t k = 1; k < taps; ++k) sum = std::fma(weights[k], rows[k][i * stride], sum);
    to[i] = sum;
  }
}

HWY_ATTR void compete_in_row(const Taps& taps, const float* row, std::int32_t of, BestOfRow& best) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int32_t* const first = taps.first.data();
  const float* const weights = taps.weights.data();
  const bool two = taps.count == 2;
  std::int64_t i = taps.begin;
  for (; i + lanes <= taps.end; i += lanes) {
    const auto at = hn::LoadU(di, first + i);
    auto logit = hn::Mul(hn::LoadU(d, weights + i), hn::GatherIndex(d, row, at));
    if (two) logit = hn::MulAdd(hn::LoadU(d, weights + taps.outputs + i), hn::GatherIndex(d, row + 1, at), logit);
    const auto before = hn::LoadU(d, &best.logit[static_cast<std::size_t>(i)]);
    const auto wins = hn::Gt(logit, before);
    if (hn::AllFalse(d, wins)) continue;
    hn::StoreU(hn::IfThenElse(wins, logit, before), d, &best.logit[static_cast<std::size_t>(i)]);
    hn::BlendedStore(hn::Set(di, of), hn::RebindMask(di, wins), di, &best.of[static_cast<std::size_t>(i)]);
  }
  for (; i < taps.end; ++i) {
    float logit = weights[i] * row[first[i]];
    if (two) logit = std::fma(weights[taps.outputs + i], row[first[i] + 1], logit);
    if (!(logit > best.logit[static_cast<std::size_t>(i)])) continue;
    best.logit[static_cast<std::size_t>(i)] = logit;
    best.of[static_cast<std::size_t>(i)] = of;
  }
}

ArgmaxFunctions argmax_functions_for() { return {&mix_classes, &compete_in_row}; }

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

#define KIBAN_HD
#include "kernels/image/resample_math-inl.hpp"
#undef KIBAN_HD

HWY_EXPORT(argmax_functions_for);

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

void argmax_along(Stream& stream, Span<const float, 4> logits, const AlignedImage& first_class, const TapsOfAxes& taps,
                  std::uint32_t outside, const VoxelSpan& labels) {
  const ArgmaxFunctions functions = HWY_DYNAMIC_DISPATCH(argmax_functions_for)();
  const ArrayView<const float, 4> view = logits.host();
  const std::int64_t of_class = view.shape[1] * view.shape[2] * view.shape[3];
  const std::int64_t rows = labels.extent(1), columns = labels.extent(2);
  const Taps &x = taps[0], &y = taps[1], &z = taps[2];
  with_label_type(labels.type(), [&]<class T>() {
    T* const target = static_cast<T*>(labels.data());
    parallel_for(stream, labels.extent(0) * rows, 16, [&](std::int64_t begin, std::int64_t end) {
      BestOfRow best{std::vector<float>(at(columns)), std::vector<std::int32_t>(at(columns))};
      std::vector<float> mixed(at(first_class.extent[0]));
      for (std::int64_t line = begin; line < end; ++line) {
        const std::int64_t s = line / rows, r = line % rows;
        T* const to = target + line * columns;
        std::fill_n(to, columns, static_cast<T>(outside));
        if (s < z.begin || s >= z.end || r < y.begin || r >= y.end) continue;
        std::ranges::fill(best.logit, -std::numeric_limits<float>::infinity());
        std::ranges::fill(best.of, 0);
        const float* sources[4];
        float weights[4];
        for (std::int64_t c = 0; c < view.shape[0]; ++c) {
          std::int64_t sums = 0;
          for (std::int64_t k = 0; k < z.count; ++k)
            for (std::int64_t j = 0; j < y.count; ++j) {
              weights[sums] = z.weights[at(k * z.outputs + s)] * y.weights[at(j * y.outputs + r)];
              sources[sums] = view.data + c * of_class + (z.first[at(s)] + k) * first_class.stride[2] +
                              (y.first[at(r)] + j) * first_class.stride[1];
              if (weights[sums] != 0) ++sums;
            }
          functions.mix(sources, weights, sums, first_class.stride[0], first_class.extent[0], mixed.data());
          functions.compete(x, mixed.data(), static_cast<std::int32_t>(c), best);
        }
        for (std::int64_t i = x.begin; i < x.end; ++i) to[i] = static_cast<T>(best.of[at(i)]);
      }
    });
  });
}

void argmax_anywhere(Stream& stream, Span<const float, 4> logits, const Sampling& on_logits, const ResampleRule& rule,
                     const VoxelSpan& labels) {
  const ArrayView<const float, 4> view = logits.host();
  const std::int64_t of_class = view.shape[1] * view.shape[2] * view.shape[3];
  const ConstVoxelSpan first(view.data, VoxelType::float32, {view.shape[1], view.shape[2], view.shape[3]});
  const Placement on = placement_of<Placement>(first, on_logits, rule);
  const std::int64_t rows = labels.extent(1), columns = labels.extent(2);
  with_label_type(labels.type(), [&]<class T>() {
    T* const target = static_cast<T*>(labels.data());
    parallel_for(stream, labels.extent(0) * rows, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line)
        for (std::int64_t x = 0; x < columns; ++x) {
          double place[3];
          const bool is_inside = place_of(on, static_cast<double>(x), static_cast<double>(line % rows),
                                          static_cast<double>(line / rows), place);
          target[line * columns + x] =
              is_inside ? static_cast<T>(largest_at(view.data, view.shape[0], of_class, on.extent, place))
                        : static_cast<T>(rule.padding.value_or(0));
        }
    });
  });
}

}  // namespace kiban::image::cpu
#endif
