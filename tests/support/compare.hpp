#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/core/array.hpp"
#include "kernels/core/device.hpp"
#include "kernels/core/stream.hpp"

/// What the tests compare with. Sums are in double; whatever is not a number makes a figure that no bound accepts when
/// it is written `EXPECT_LT(figure, bound)` or `EXPECT_GT`.
namespace kiban::test {

/// Every element of two containers of equal size (vectors of float or double).
template <class A, class B, class Term>
double sum_over(const A& a, const B& b, const Term& term) {
  if (a.size() != b.size() || a.size() == 0) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += term(static_cast<double>(a[i]), static_cast<double>(b[i]));
  return sum;
}

/// |a - truth| / |truth|.
template <class A, class B>
double relative_l2(const A& a, const B& truth) {
  const double error = sum_over(a, truth, [](double x, double y) { return (x - y) * (x - y); });
  return std::sqrt(error / sum_over(truth, truth, [](double x, double y) { return x * y; }));
}

template <class A, class B>
double mean_absolute_error(const A& a, const B& truth) {
  return sum_over(a, truth, [](double x, double y) { return std::abs(x - y); }) / static_cast<double>(truth.size());
}

template <class A, class B>
double root_mean_square_error(const A& a, const B& truth) {
  return std::sqrt(sum_over(a, truth, [](double x, double y) { return (x - y) * (x - y); }) /
                   static_cast<double>(truth.size()));
}

/// 20 log10(peak / RMSE), in dB.
template <class A, class B>
double psnr(const A& a, const B& truth, double peak) {
  return 20 * std::log10(peak / root_mean_square_error(a, truth));
}

template <class A, class B>
double inner_product(const A& a, const B& b) {
  return sum_over(a, b, [](double x, double y) { return x * y; });
}

/// |<Ax, y> / <x, A'y> - 1|.
template <class AX, class Y, class X, class ATY>
double adjoint_error(const AX& ax, const Y& y, const X& x, const ATY& aty) {
  return std::abs(inner_product(ax, y) / inner_product(x, aty) - 1);
}

/// Uniform in [0, 1), the same on every machine.
inline std::vector<float> uniform(std::int64_t count, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(generator() >> 8) * 0x1p-24f;
  return values;
}

/// The elements of host memory, as a vector.
template <class T, int N>
std::vector<std::remove_const_t<T>> to_vector(Span<T, N> span) {
  const auto view = span.host();
  return {view.data, view.data + view.size()};
}

/// An array of the stream's device that holds `values`.
template <int N>
Array<float, N> to_device(Stream& stream, const std::vector<float>& values, const Shape<N>& shape) {
  Array<float, N> array(shape, stream.device());
  const Span<const float, N> host(values.data(), shape);
  copy(stream, host, array.span());
  stream.synchronize();
  return array;
}

/// Its elements, once the stream is done.
template <int N>
std::vector<float> to_host(Stream& stream, Span<const float, N> span) {
  std::vector<float> values(static_cast<std::size_t>(span.size()));
  copy(stream, span, Span<float, N>(values.data(), span.shape()));
  stream.synchronize();
  return values;
}
template <int N>
std::vector<float> to_host(Stream& stream, const Array<float, N>& array) {
  return to_host<N>(stream, array.span());
}

/// Devices that this program can test: the CPU, the simulator where it is linked in, and the CUDA devices there are.
inline std::vector<Device> devices_under_test() {
  std::vector<Device> found{Device{}};
  try {
    found.push_back(parse_device("sim"));
  } catch (const Error&) {
    // Not linked in.
  }
  for (const DeviceDescription& description : devices())
    if (description.device.kind == DeviceKind::cuda) found.push_back(description.device);
  return found;
}

/// A name for parameterised tests: letters and digits only.
inline std::string test_name(Device device) {
  std::string text = name(device);
  std::erase_if(text, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
  return text;
}

}  // namespace kiban::test
