#include <algorithm>
#include <cmath>

#include "tests/reference/image.hpp"

namespace kiban::reference {
namespace {

std::int64_t mirrored(std::int64_t i, std::int64_t n) {
  while (n > 1 && (i < 0 || i >= n)) i = i < 0 ? -i : 2 * (n - 1) - i;
  return n > 1 ? i : 0;
}

/// Calls `change` with every line along `axis` (0 = x).
template <class Change>
void along(std::vector<double>& values, const Shape<3>& shape, std::size_t axis, const Change& change) {
  const std::int64_t n = shape[2 - axis];
  const std::int64_t stride = axis == 0 ? 1 : axis == 1 ? shape[2] : shape[2] * shape[1];
  for (std::int64_t at = 0; at < static_cast<std::int64_t>(values.size()); ++at) {
    if (at / stride % n != 0) continue;
    std::vector<double> line;
    for (std::int64_t i = 0; i < n; ++i) line.push_back(values[static_cast<std::size_t>(at + i * stride)]);
    line = change(line);
    for (std::int64_t i = 0; i < n; ++i)
      values[static_cast<std::size_t>(at + i * stride)] = line[static_cast<std::size_t>(i)];
  }
}

std::vector<double> smoothed(const std::vector<double>& line, double sigma) {
  const auto n = static_cast<std::int64_t>(line.size()), reach = static_cast<std::int64_t>(4 * sigma + 0.5);
  std::vector<double> made;
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0, weights = 0;
    for (std::int64_t k = -reach; k <= reach; ++k) {
      const double weight = std::exp(-static_cast<double>(k * k) / (2 * sigma * sigma));
      sum += weight * line[static_cast<std::size_t>(mirrored(i + k, n))];
      weights += weight;
    }
    made.push_back(sum / weights);
  }
  return made;
}

/// c with (c[i-1] + 4 c[i] + c[i+1]) / 6 = line[i], c mirrored: Gauss-Jordan.
std::vector<double> coefficients(const std::vector<double>& line) {
  const auto n = static_cast<std::int64_t>(line.size());
  if (n == 1) return line;
  std::vector<std::vector<double>> rows(line.size(), std::vector<double>(line.size() + 1));
  for (std::int64_t i = 0; i < n; ++i) {
    auto& row = rows[static_cast<std::size_t>(i)];
    row[static_cast<std::size_t>(i)] += 4.0 / 6;
    row[static_cast<std::size_t>(mirrored(i - 1, n))] += 1.0 / 6;
    row[static_cast<std::size_t>(mirrored(i + 1, n))] += 1.0 / 6;
    row.back() = line[static_cast<std::size_t>(i)];
  }
  for (std::size_t pivot = 0; pivot < rows.size(); ++pivot)
    for (std::size_t other = 0; other < rows.size(); ++other) {
      if (other == pivot) continue;
      const double factor = rows[other][pivot] / rows[pivot][pivot];
      for (std::size_t k = 0; k < rows[other].size(); ++k) rows[other][k] -= factor * rows[pivot][k];
    }
  std::vector<double> made;
  for (std::size_t i = 0; i < rows.size(); ++i) made.push_back(rows[i].back() / rows[i][i]);
  return made;
}

double basis(double x, int degree) {
  const double t = std::abs(x);
  if (degree == 0) return x > -0.5 && x <= 0.5 ? 1 : 0;  // of two as near the larger index
  if (degree == 1) return std::max(0.0, 1 - t);
  return t < 1 ? (4 - 6 * t * t + 3 * t * t * t) / 6 : t < 2 ? (2 - t) * (2 - t) * (2 - t) / 6 : 0;
}

}  // namespace

std::vector<double> resampled(const ResampledImage& image, const Shape<3>& result, int degree) {
  std::vector<double> values = image.values;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (image.sigma[axis] > 0)
      along(values, image.shape, axis, [&](const auto& line) { return smoothed(line, image.sigma[axis]); });
    if (degree == 3) along(values, image.shape, axis, coefficients);
  }
  std::vector<double> made;
  for (std::int64_t z = 0; z < result[0]; ++z)
    for (std::int64_t y = 0; y < result[1]; ++y)
      for (std::int64_t x = 0; x < result[2]; ++x) {
        Vec3 place =
            image.offset + image.matrix * Vec3{static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)};
        bool inside = true;
        for (std::size_t a = 0; a < 3; ++a) {
          const double last = static_cast<double>(image.shape[2 - a] - 1);
          inside = inside && place[a] >= -0.5 - 1e-9 && place[a] <= last + 0.5 + 1e-9;
          if (image.extend || degree == 1) place[a] = std::clamp(place[a], 0.0, last);
        }
        double sum = 0;
        const auto low = [&](std::size_t a) { return static_cast<std::int64_t>(std::floor(place[a])) - 2; };
        for (std::int64_t k = low(2); k < low(2) + 6; ++k)
          for (std::int64_t j = low(1); j < low(1) + 6; ++j)
            for (std::int64_t i = low(0); i < low(0) + 6; ++i) {
              const double weight = basis(static_cast<double>(i) - place[0], degree) *
                                    basis(static_cast<double>(j) - place[1], degree) *
                                    basis(static_cast<double>(k) - place[2], degree);
              if (weight == 0) continue;
              const Shape<3>& n = image.shape;
              const auto index = [&](std::int64_t at, std::size_t axis) {
                return degree == 0 ? std::clamp<std::int64_t>(at, 0, n[axis] - 1) : mirrored(at, n[axis]);
              };
              sum += weight * values[static_cast<std::size_t>((index(k, 0) * n[1] + index(j, 1)) * n[2] + index(i, 2))];
            }
        made.push_back(inside || image.extend ? sum : image.padding);
      }
  return made;
}

}  // namespace kiban::reference
