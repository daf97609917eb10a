#include <cmath>
#include <limits>

#include "tests/reference/image.hpp"

namespace kiban::reference {

std::vector<double> distances(const std::vector<std::uint32_t>& labels, const Shape<3>& shape, const Vec3& spacing_mm,
                              bool labels_apart, bool is_signed) {
  const auto place = [&](std::size_t i, std::size_t axis) {
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t index[3] = {at % shape[2], at / shape[2] % shape[1], at / shape[2] / shape[1]};
    return spacing_mm[axis] * static_cast<double>(index[axis]);
  };
  std::vector<double> found(labels.size());
  for (std::size_t p = 0; p < labels.size(); ++p) {
    if (labels[p] == 0 && !is_signed) continue;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t q = 0; q < labels.size(); ++q) {
      if (labels_apart ? labels[p] == labels[q] : (labels[p] == 0) == (labels[q] == 0)) continue;
      double square = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) square += std::pow(place(p, axis) - place(q, axis), 2);
      least = std::min(least, std::sqrt(square));
    }
    found[p] = is_signed && labels[p] != 0 ? -least : least;
  }
  return found;
}

}  // namespace kiban::reference
