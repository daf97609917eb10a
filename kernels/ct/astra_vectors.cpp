#include "kernels/ct/astra_vectors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.hpp"

namespace kiban::ct {
namespace {

constexpr std::size_t kNumbers = 12;  ///< a view

Vec3 unit(const Vec3& vector, const std::string& what) {
  const double length = norm(vector);
  if (!(length > 0)) throw Error(ErrorCode::input, fmt::format("{} has no length", what));
  return (1 / length) * vector;
}

View view_from(std::span<const double> numbers, bool parallel, std::size_t index) {
  const auto vector = [&](std::size_t k) { return Vec3{numbers[3 * k], numbers[3 * k + 1], numbers[3 * k + 2]}; };
  if (!std::ranges::all_of(numbers, [](double number) { return std::isfinite(number); }))
    throw Error(ErrorCode::input, fmt::format("view {} of the vectors has a number that is not finite", index));
  for (const std::size_t k : {2U, 3U}) unit(vector(k), fmt::format("{} of view {} of the vectors", "uv"[k - 2], index));
  View view;
  view.parallel = parallel;
  view.source = parallel ? unit(vector(0), fmt::format("the ray of view {} of the vectors", index)) : vector(0);
  view.detector = vector(1);
  view.u = vector(2);
  view.v = vector(3);
  return view;
}

}  // namespace

Geometry geometry_from_astra(std::span<const double> vectors, bool parallel, std::int64_t rows, std::int64_t columns,
                             const Vec3& axis) {
  if (vectors.empty() || vectors.size() % kNumbers != 0)
    throw Error(ErrorCode::input,
                fmt::format("{} numbers are no views of ASTRA's vectors; give {} a view", vectors.size(), kNumbers));
  if (rows < 1 || columns < 1)
    throw Error(ErrorCode::input, fmt::format("a panel of {} rows and {} columns has no pixel", rows, columns));
  Geometry geometry{{}, rows, columns, unit(axis, "the rotation axis")};
  for (std::size_t k = 0; k < vectors.size() / kNumbers; ++k)
    geometry.views.push_back(view_from(vectors.subspan(k * kNumbers, kNumbers), parallel, k));
  return geometry;
}

}  // namespace kiban::ct
