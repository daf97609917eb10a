#include "kernels/image/resample.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/core/finite.hpp"

namespace kiban::image {
namespace {

constexpr double kRotation = 1e-6;  ///< voxels

/// `shrink`: voxels of the image between two of the result, along an axis of the image.
double sigma_for(double shrink, const ResampleRule& rule) {
  return rule.antialias && rule.interpolation != Interpolation::nearest ? std::max(0.0, (shrink - 1) / 2) : 0;
}

bool is_exact(Interpolation interpolation) {
  return interpolation == Interpolation::nearest || interpolation == Interpolation::labels;
}

void require_finite(Stream& stream, const ConstVoxelSpan& image) {
  if (image.type() == VoxelType::float32 && !all_finite(stream, image.as<float>()))
    throw Error(ErrorCode::input,
                "a voxel is not a number or infinite, and a cubic spline carries it over the whole volume; take "
                "linear, or replace it");
}

void require_padding(const ResampleRule& rule, VoxelType type) {
  const double padding = rule.padding.value_or(0);
  with_voxel_type(type, [&]<class T>() {
    if constexpr (std::is_integral_v<T>)
      if (!(padding >= std::numeric_limits<T>::lowest() && padding <= std::numeric_limits<T>::max()) ||
          padding != std::floor(padding))
        throw Error(ErrorCode::input, "the padding is no " + name(type) + "; give a number of that type");
  });
}

void resample_aligned(Stream& stream, const ConstVoxelSpan& image, const AlignedSampling& sampling,
                      const ResampleRule& rule, const VoxelSpan& resampled) {
  const bool cubic = rule.interpolation == Interpolation::cubic;
  TapsOfAxes taps;
  double padding = rule.padding.value_or(0);
  const auto set_taps = [&](TapKernel kernel) {
    for (std::size_t a = 0; a < 3; ++a) taps[a] = taps_of(sampling.map[a], kernel, sampling.sigma[a]);
  };
  if (!cubic) {
    set_taps(rule.interpolation == Interpolation::nearest ? TapKernel::nearest : TapKernel::linear);
    const AlignedImage seen = seen_along(image, sampling);
    if (is_exact(rule.interpolation)) return KIBAN_BACKEND_FOR(stream, vote)(stream, seen, taps, padding, resampled);
    return KIBAN_BACKEND_FOR(stream, weigh)(stream, seen, taps, padding, resampled);
  }
  if (stream.device() != Device{}) {  // has no recursion, and taps cost it little
    set_taps(TapKernel::cardinal);
    return KIBAN_BACKEND_FOR(stream, weigh)(stream, seen_along(image, sampling), taps, padding, resampled);
  }
  set_taps(TapKernel::spline);
  Array<float, 3> coefficients(image.shape());
  KIBAN_BACKEND_FOR(stream, find_coefficients)(stream, image, coefficients.span());
  KIBAN_BACKEND_FOR(stream, weigh)
  (stream, seen_along(std::as_const(coefficients).span(), sampling), taps, padding, resampled);
}

/// Smoothed, and with cubic turned into coefficients, on its own grid; then sampled.
void resample_rotated(Stream& stream, const ConstVoxelSpan& image, const Sampling& on_image, const ResampleRule& rule,
                      const VoxelSpan& resampled) {
  AlignedSampling same{{0, 1, 2}, {}, {}};
  bool is_smoothed = false;
  for (std::size_t a = 0; a < 3; ++a) {
    const std::int64_t extent = image.extent(2 - static_cast<int>(a));
    same.map[a] = {extent, extent, 1, 0, false};
    same.sigma[a] = is_exact(rule.interpolation) ? 0 : sigma_for(norm(on_image.matrix[a]), rule);
    is_smoothed = is_smoothed || same.sigma[a] > 0;
  }
  Array<float, 3> changed;
  ConstVoxelSpan source = image;
  if (is_smoothed) {
    changed = Array<float, 3>(image.shape(), stream.device());
    const TapsOfAxes taps{taps_of(same.map[0], TapKernel::nearest, same.sigma[0]),
                          taps_of(same.map[1], TapKernel::nearest, same.sigma[1]),
                          taps_of(same.map[2], TapKernel::nearest, same.sigma[2])};
    KIBAN_BACKEND_FOR(stream, weigh)(stream, seen_along(image, same), taps, 0, changed.span());
    source = std::as_const(changed).span();
  }
  if (rule.interpolation == Interpolation::cubic) {
    Array<float, 3> coefficients(image.shape(), stream.device());
    KIBAN_BACKEND_FOR(stream, find_coefficients)(stream, source, coefficients.span());
    changed = std::move(coefficients);
    source = std::as_const(changed).span();
  }
  KIBAN_BACKEND_FOR(stream, sample)(stream, source, on_image, rule, resampled);
}

}  // namespace

std::size_t resample_workspace(Device device, const Shape<3>& image, const Sampling& on_image, const ResampleRule& rule,
                               const Shape<3>& result) {
  const std::int64_t of_image = element_count<3>(image);
  const bool cubic = rule.interpolation == Interpolation::cubic;
  std::int64_t floats = cubic ? of_image : 0;
  if (const auto on_axes = aligned(image, on_image, result, rule); !on_axes)
    floats = is_exact(rule.interpolation) ? 0 : 3 * of_image;  // smoothed, and what that takes on a GPU
  else if (device != Device{} && !is_exact(rule.interpolation))
    floats = result[2] * (image[2 - static_cast<std::size_t>(on_axes->axis[1])] + result[1]) *
             image[2 - static_cast<std::size_t>(on_axes->axis[2])];
  return static_cast<std::size_t>(floats) * sizeof(float);
}

Sampling sampling(const Grid& from, const Grid& to) {
  // Directions are orthonormal up to rounding: the transpose inverts them.
  Sampling on{};
  const Vec3 apart = to.origin - from.origin;
  for (int r = 0; r < 3; ++r) {
    const auto row = static_cast<std::size_t>(r);
    const Vec3 along = (1 / from.spacing[row]) * column(from.direction, r);
    on.offset[row] = dot(along, apart);
    for (int c = 0; c < 3; ++c) on.matrix[row][static_cast<std::size_t>(c)] = dot(along, to.step(c));
  }
  return on;
}

std::optional<AlignedSampling> aligned(const Shape<3>& image, const Sampling& on_image, const Shape<3>& result,
                                       const ResampleRule& rule) {
  AlignedSampling found{{-1, -1, -1}, {}, {}};
  for (std::size_t r = 0; r < 3; ++r) {
    const Vec3& row = on_image.matrix[r];
    std::size_t along = 0;
    for (std::size_t c = 1; c < 3; ++c)
      if (std::abs(row[c]) > std::abs(row[along])) along = c;
    for (std::size_t c = 0; c < 3; ++c)
      if (c != along && std::abs(row[c]) * static_cast<double>(result[2 - c]) > kRotation) return std::nullopt;
    if (found.axis[along] != -1) return std::nullopt;
    found.axis[along] = static_cast<int>(r);
    found.map[along] = {image[2 - r], result[2 - along], row[along], on_image.offset[r], !rule.padding};
    found.sigma[along] = sigma_for(std::abs(row[along]), rule);
  }
  return found;
}

AlignedImage seen_along(const ConstVoxelSpan& image, const AlignedSampling& sampling) {
  const std::array<std::int64_t, 3> strides{1, image.extent(2), image.extent(2) * image.extent(1)};
  AlignedImage seen{image.data(), image.type(), {}, {}};
  for (std::size_t a = 0; a < 3; ++a) {
    seen.extent[a] = image.extent(2 - sampling.axis[a]);
    seen.stride[a] = strides[static_cast<std::size_t>(sampling.axis[a])];
  }
  return seen;
}

void resample(Stream& stream, const ConstVoxelSpan& image, const Sampling& on_image, const ResampleRule& rule,
              const VoxelSpan& resampled) {
  for (const Device device : {image.device(), resampled.device()})
    if (device != stream.device())
      throw Error(ErrorCode::device, "memory of " + name(device) + " was handed to work on " + name(stream.device()));
  if (is_exact(rule.interpolation) && image.type() != resampled.type())
    throw Error(ErrorCode::internal,
                "voxels are chosen from " + name(image.type()) + " into " + name(resampled.type()));
  for (const Shape<3>& shape : {image.shape(), resampled.shape()})
    for (const std::int64_t extent : shape)
      if (extent > std::numeric_limits<std::int32_t>::max())
        throw Error(ErrorCode::input, "an axis has more than 2147483647 voxels");
  require_padding(rule, resampled.type());
  if (resampled.size() == 0) return;
  if (image.size() == 0) throw Error(ErrorCode::input, "an image without voxels cannot be resampled");
  if (rule.interpolation == Interpolation::cubic) require_finite(stream, image);
  if (const auto on_axes = aligned(image.shape(), on_image, resampled.shape(), rule))
    return resample_aligned(stream, image, *on_axes, rule, resampled);
  resample_rotated(stream, image, on_image, rule, resampled);
}

}  // namespace kiban::image
