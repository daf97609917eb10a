// The recursion that turns values into a B-spline's coefficients, forwards and back along lines that lie side by side
// in a buffer which stays near; lines along x are transposed into it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/coefficients_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/resample.hpp"

#ifndef KIBAN_COEFFICIENTS_CPU_ONCE
#define KIBAN_COEFFICIENTS_CPU_ONCE
namespace kiban::image::cpu {

constexpr std::int64_t kLines = 64;  ///< a multiple of every vector's lanes

/// Filters [length, kLines] in place. `start[k]`: of the value at k in the first that the recursion begins with.
using FilterLines = void (*)(float* lines, std::int64_t length, const float* start, std::int64_t start_length);

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_ATTR void filter_lines_of(float* lines, std::int64_t length, const float* start, std::int64_t start_length) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const double pole_exactly = std::sqrt(3.0) - 2;
  const auto pole = hn::Set(d, static_cast<float>(pole_exactly)), gain = hn::Set(d, 6.0F);
  const auto end = hn::Set(d, static_cast<float>(pole_exactly / (pole_exactly * pole_exactly - 1)));
  for (std::int64_t line = 0; line < kLines; line += lanes) {
    float* const at = lines + line;
    auto sum = hn::Zero(d);
    for (std::int64_t k = 0; k < start_length; ++k)
      sum = hn::MulAdd(hn::Set(d, start[k]), hn::LoadU(d, at + k * kLines), sum);
    auto last = hn::Mul(gain, sum), before = last;
    hn::StoreU(last, d, at);
    for (std::int64_t j = 1; j < length; ++j) {
      before = last;
      last = hn::MulAdd(pole, last, hn::Mul(gain, hn::LoadU(d, at + j * kLines)));
      hn::StoreU(last, d, at + j * kLines);
    }
    last = hn::Mul(end, hn::MulAdd(pole, before, last));
    hn::StoreU(last, d, at + (length - 1) * kLines);
    for (std::int64_t j = length - 2; j >= 0; --j) {
      last = hn::Mul(pole, hn::Sub(last, hn::LoadU(d, at + j * kLines)));
      hn::StoreU(last, d, at + j * kLines);
    }
  }
}

FilterLines filter_lines_for() { return &filter_lines_of; }

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(filter_lines_for);

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The sum of the mirrored line that the forward recursion begins with, up to 1e-9.
std::vector<float> start_of(std::int64_t length) {
  if (length == 1) return {};
  constexpr std::int64_t kReach = 16;
  const double pole = std::sqrt(3.0) - 2;
  const std::int64_t period = 2 * (length - 1), terms = std::min(period, kReach);
  const double all = period <= kReach ? 1 - std::pow(pole, static_cast<double>(period)) : 1;
  std::vector<double> start(at(std::min(length, terms)));
  for (std::int64_t k = 0; k < terms; ++k)
    start[at(std::min(k, period - k))] += std::pow(pole, static_cast<double>(k)) / all;
  return {start.begin(), start.end()};
}

/// Lines of a volume side by side: `count` of them, `apart` from each other, their values `stride` apart.
class LineFilter {
 public:
  explicit LineFilter(std::int64_t length)
      : filter_(HWY_DYNAMIC_DISPATCH(filter_lines_for)()),
        length_(length),
        start_(start_of(length)),
        buffer_(at(length * kLines)) {}

  void run(float* values, std::int64_t count, std::int64_t apart, std::int64_t stride) {
    if (length_ == 1) return;  // a constant
    const auto for_each = [&](auto move) {
      if (apart == 1)
        for (std::int64_t j = 0; j < length_; ++j)
          for (std::int64_t i = 0; i < count; ++i) move(values[j * stride + i], buffer_[at(j * kLines + i)]);
      else
        for (std::int64_t i = 0; i < count; ++i)
          for (std::int64_t j = 0; j < length_; ++j) move(values[i * apart + j * stride], buffer_[at(j * kLines + i)]);
    };
    for_each([](const float& value, float& kept) { kept = value; });
    filter_(buffer_.data(), length_, start_.data(), static_cast<std::int64_t>(start_.size()));
    for_each([](float& value, const float& kept) { value = kept; });
  }

 private:
  FilterLines filter_;
  std::int64_t length_;
  std::vector<float> start_, buffer_;
};

}  // namespace

void find_coefficients(Stream& stream, const ConstVoxelSpan& image, Span<float, 3> coefficients) {
  const ArrayView<float, 3> target = coefficients.host();
  const std::int64_t slices = target.shape[0], rows = target.shape[1], columns = target.shape[2];
  const std::int64_t slice = rows * columns;
  parallel_for(stream, slices, 1, [&](std::int64_t begin, std::int64_t end) {
    LineFilter along_x(columns), along_y(rows);
    for (std::int64_t z = begin; z < end; ++z) {
      float* const values = target.data + z * slice;
      with_voxel_type(image.type(), [&]<class T>() {
        const T* const from = static_cast<const T*>(image.data()) + z * slice;
        for (std::int64_t i = 0; i < slice; ++i) values[i] = static_cast<float>(from[i]);
      });
      for (std::int64_t y = 0; y < rows; y += kLines)
        along_x.run(values + y * columns, std::min(kLines, rows - y), columns, 1);
      for (std::int64_t x = 0; x < columns; x += kLines)
        along_y.run(values + x, std::min(kLines, columns - x), 1, columns);
    }
  });
  parallel_for(stream, (slice + kLines - 1) / kLines, 1, [&](std::int64_t begin, std::int64_t end) {
    LineFilter along_z(slices);
    for (std::int64_t x = begin * kLines; x < std::min(end * kLines, slice); x += kLines)
      along_z.run(target.data + x, std::min(kLines, slice - x), 1, slice);
  });
}

}  // namespace kiban::image::cpu
#endif
