#include "kernels/image/morphology.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/image/distance.hpp"
#include "kernels/image/require.hpp"

namespace kiban::image {
namespace {

constexpr double kTolerance = 1e-6;

void require_like(const ConstVoxelSpan& image, const VoxelSpan& result, const Stream& stream) {
  if (image.shape() != result.shape() || image.type() != result.type())
    throw Error(ErrorCode::internal, "a result of another shape or type than the image");
  if (image.size() != 0 && image.data() == result.data())
    throw Error(ErrorCode::internal, "a result that is the image itself");
  require_on(stream, image.device());
  require_on(stream, result.device());
}

/// Removes from `labels` what is not deeper than the radius, except where `kept` has a label.
void erode(Stream& stream, const VoxelSpan& labels, const Vec3& spacing_mm, double radius_mm, Span<float, 3> distances,
           const ConstVoxelSpan& kept = {}) {
  distance(stream, labels, spacing_mm, {true, false}, distances);
  KIBAN_BACKEND_FOR(stream, keep_deep)
  (stream, labels, distances, static_cast<float>(radius_mm * (1 + kTolerance)), kept);
}

void dilate(Stream& stream, const VoxelSpan& labels, const Vec3& spacing_mm, double radius_mm, Span<float, 3> squares) {
  const double unit = std::ranges::max(spacing_mm);
  std::array<float, 3> step;
  for (std::size_t axis = 0; axis < 3; ++axis) step[axis] = static_cast<float>(spacing_mm[axis] / unit);
  const double most = radius_mm / unit * (1 + kTolerance);
  KIBAN_BACKEND_FOR(stream, spread_labels)
  (stream, labels, step, static_cast<float>(std::min(most * most, 1e29)), squares);
}

}  // namespace

void extreme(Stream& stream, const ConstVoxelSpan& image, const Element& element, Extreme which,
             const VoxelSpan& extremes) {
  require_like(image, extremes, stream);
  if (element.rows.empty()) throw Error(ErrorCode::internal, "a structuring element without voxels");
  if (image.size() == 0) return;
  require_ordered(stream, image);
  KIBAN_BACKEND_FOR(stream, find_extremes)(stream, image, element, which, extremes);
}

void grey_morphology(Stream& stream, const ConstVoxelSpan& image, const Element& element, MorphologyStep step,
                     const VoxelSpan& result) {
  if (step == MorphologyStep::erode) return extreme(stream, image, element, Extreme::least, result);
  if (step == MorphologyStep::dilate) return extreme(stream, image, element, Extreme::largest, result);
  VoxelArray between(image.type(), image.shape(), stream.device());
  const bool opens = step == MorphologyStep::open;
  extreme(stream, image, element, opens ? Extreme::least : Extreme::largest, between.span());
  extreme(stream, std::as_const(between).span(), element, opens ? Extreme::largest : Extreme::least, result);
}

void ball_morphology(Stream& stream, const ConstVoxelSpan& labels, const Vec3& spacing_mm, double radius_mm,
                     MorphologyStep step, const VoxelSpan& result) {
  require_like(labels, result, stream);
  with_label_type(labels.type(), []<class T>() {});
  if (!(radius_mm >= 0)) throw Error(ErrorCode::input, "a radius is below 0 or not a number; correct it");
  for (const double spacing : spacing_mm)
    if (!(spacing > 0) || !std::isfinite(spacing))
      throw Error(ErrorCode::input, "a spacing is not above 0 or not finite; correct it");
  if (labels.size() == 0) return;
  copy(stream, labels, result);
  Array<float, 3> workspace(labels.shape(), stream.device());
  const bool erodes_first = step == MorphologyStep::erode || step == MorphologyStep::open;
  if (erodes_first) erode(stream, result, spacing_mm, radius_mm, workspace.span());
  if (step != MorphologyStep::erode) dilate(stream, result, spacing_mm, radius_mm, workspace.span());
  if (step == MorphologyStep::close) erode(stream, result, spacing_mm, radius_mm, workspace.span(), labels);
  stream.synchronize();
}

}  // namespace kiban::image
