#include "kernels/image/taps.hpp"

#include <algorithm>
#include <cmath>

namespace kiban::image {
namespace {

constexpr double kFractions = 1 << 20;  ///< of a voxel
constexpr int kCardinalReach = 14;      ///< voxels after which a coefficient's weight is below 1e-8

/// Weights of consecutive voxels, before borders are seen.
struct Weights {
  std::int64_t first = 0;
  std::vector<double> of;
};

std::int64_t mirrored(std::int64_t index, std::int64_t count) {
  if (count == 1) return 0;
  const std::int64_t period = 2 * (count - 1), within = ((index % period) + period) % period;
  return std::min(within, period - within);
}

/// The sum of `kernel`, centred, around each of `weights`.
Weights convolved(const Weights& weights, const std::vector<double>& kernel) {
  if (kernel.size() == 1) return weights;
  const auto reach = static_cast<std::int64_t>(kernel.size() / 2);
  Weights made{weights.first - reach, std::vector<double>(weights.of.size() + kernel.size() - 1)};
  for (std::size_t i = 0; i < weights.of.size(); ++i)
    for (std::size_t k = 0; k < kernel.size(); ++k) made.of[i + k] += weights.of[i] * kernel[k];
  return made;
}

std::vector<double> gaussian(double sigma) {
  const auto reach = static_cast<std::int64_t>(4 * sigma + 0.5);
  std::vector<double> kernel;
  double sum = 0;
  for (std::int64_t k = -reach; k <= reach; ++k) {
    const double steps = sigma > 0 ? static_cast<double>(k) / sigma : 0;
    kernel.push_back(std::exp(-0.5 * steps * steps));
    sum += kernel.back();
  }
  for (double& weight : kernel) weight /= sum;
  return kernel;
}

/// A spline's coefficient: -6 z / (1 - z^2) z^|k|, with the pole z of 1/6, 4/6, 1/6.
std::vector<double> coefficient_kernel() {
  const double pole = std::sqrt(3.0) - 2;
  std::vector<double> kernel;
  for (int k = -kCardinalReach; k <= kCardinalReach; ++k)
    kernel.push_back(-6 * pole / (1 - pole * pole) * std::pow(pole, std::abs(k)));
  return kernel;
}

Weights weights_at(double place, TapKernel kernel, std::int64_t inputs) {
  if (kernel == TapKernel::nearest) {
    const double nearest = std::floor(place + 0.5);
    return {std::clamp<std::int64_t>(static_cast<std::int64_t>(nearest), 0, inputs - 1), {1}};
  }
  if (kernel == TapKernel::linear) {
    const double within = std::clamp(place, 0.0, static_cast<double>(inputs - 1));
    const double floor = std::floor(within);
    if (within == floor) return {static_cast<std::int64_t>(floor), {1}};
    return {static_cast<std::int64_t>(floor), {1 - (within - floor), within - floor}};
  }
  const double floor = std::floor(place), t = place - floor, s = 1 - t;
  return {static_cast<std::int64_t>(floor) - 1,
          {s * s * s / 6, (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * s * s + 3 * s * s * s) / 6, t * t * t / 6}};
}

/// Folded back at the borders.
Weights folded(const Weights& weights, std::int64_t inputs) {
  std::int64_t least = inputs, most = 0;
  for (std::size_t k = 0; k < weights.of.size(); ++k) {
    const std::int64_t index = mirrored(weights.first + static_cast<std::int64_t>(k), inputs);
    least = std::min(least, index);
    most = std::max(most, index);
  }
  Weights made{least, std::vector<double>(static_cast<std::size_t>(most - least + 1))};
  for (std::size_t k = 0; k < weights.of.size(); ++k)
    made.of[static_cast<std::size_t>(mirrored(weights.first + static_cast<std::int64_t>(k), inputs) - least)] +=
        weights.of[k];
  return made;
}

Taps packed(const std::vector<Weights>& all, std::int64_t inputs, std::int64_t begin, std::int64_t outputs) {
  Taps taps{inputs, outputs, 1, begin, begin + static_cast<std::int64_t>(all.size()), {}, {}};
  for (const Weights& weights : all) taps.count = std::max(taps.count, static_cast<std::int64_t>(weights.of.size()));
  taps.first.assign(static_cast<std::size_t>(outputs), 0);
  taps.weights.assign(static_cast<std::size_t>(outputs * taps.count), 0.0F);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::int64_t first = std::min(all[i].first, inputs - taps.count),
                       output = begin + static_cast<std::int64_t>(i);
    taps.first[static_cast<std::size_t>(output)] = static_cast<std::int32_t>(first);
    for (std::size_t k = 0; k < all[i].of.size(); ++k) {
      const std::int64_t tap = all[i].first - first + static_cast<std::int64_t>(k);
      taps.weights[static_cast<std::size_t>(tap * outputs + output)] = static_cast<float>(all[i].of[k]);
    }
  }
  return taps;
}

}  // namespace

double position(const AxisMap& map, std::int64_t output) {
  return std::floor((map.scale * static_cast<double>(output) + map.offset) * kFractions + 0.5) / kFractions;
}

Taps taps_of(const AxisMap& map, TapKernel kernel, double sigma) {
  const std::vector<double> smoothing = gaussian(sigma);
  const std::vector<double> coefficients =
      kernel == TapKernel::cardinal && map.inputs > 1 ? coefficient_kernel() : std::vector<double>{1};
  const double last = static_cast<double>(map.inputs - 1);
  std::vector<Weights> all;
  std::int64_t begin = 0;
  for (std::int64_t output = 0; output < map.outputs; ++output) {
    double place = position(map, output);
    if (map.extend) place = std::clamp(place, 0.0, last);
    if (!(place >= -0.5 && place <= last + 0.5)) {
      if (all.empty()) begin = output + 1;
      continue;
    }
    all.push_back(
        folded(convolved(convolved(weights_at(place, kernel, map.inputs), coefficients), smoothing), map.inputs));
  }
  if (all.empty()) begin = 0;
  return packed(all, map.inputs, begin, map.outputs);
}

Taps coefficient_taps(std::int64_t voxels) {
  const std::vector<double> kernel = voxels > 1 ? coefficient_kernel() : std::vector<double>{1};
  std::vector<Weights> all;
  for (std::int64_t i = 0; i < voxels; ++i) all.push_back(folded(convolved({i, {1}}, kernel), voxels));
  return packed(all, voxels, 0, voxels);
}

}  // namespace kiban::image
