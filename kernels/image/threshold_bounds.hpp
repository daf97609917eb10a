#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

namespace kiban::image {

/// The least number of T that is not below `threshold`; `never`: there is none.
template <class Bound, class T>
Bound bound_of(double threshold) {
  if (std::isnan(threshold)) return {T{}, true};
  if constexpr (std::is_integral_v<T>) {
    const double next = std::ceil(threshold);
    if (next > static_cast<double>(std::numeric_limits<T>::max())) return {T{}, true};
    return {next <= static_cast<double>(std::numeric_limits<T>::lowest()) ? std::numeric_limits<T>::lowest()
                                                                          : static_cast<T>(next),
            false};
  } else {
    T next = static_cast<T>(threshold);
    if (static_cast<double>(next) < threshold) next = std::nextafter(next, std::numeric_limits<T>::infinity());
    return {next, false};
  }
}

template <class Bound, class T>
std::vector<Bound> bounds_of(std::span<const double> thresholds) {
  std::vector<Bound> bounds;
  for (const double threshold : thresholds) bounds.push_back(bound_of<Bound, T>(threshold));
  return bounds;
}

}  // namespace kiban::image
