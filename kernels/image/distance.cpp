#include "kernels/image/distance.hpp"

#include <algorithm>
#include <cmath>

namespace kiban::image {

void distance(Stream& stream, const ConstVoxelSpan& labels, const Vec3& spacing_mm, const DistanceRule& rule,
              Span<float, 3> distances) {
  with_label_type(labels.type(), []<class T>() {});
  if (labels.shape() != distances.shape())
    throw Error(ErrorCode::internal, "distances are written to an array of another shape than the labels");
  for (const std::int64_t extent : labels.shape())
    if (extent > std::int64_t{1} << 24)
      throw Error(ErrorCode::input,
                  "an axis has more than 16777216 voxels, which single precision does not tell apart");
  for (const double spacing : spacing_mm)
    if (!(spacing > 0) || !std::isfinite(spacing) || !std::isfinite(static_cast<float>(spacing)))
      throw Error(ErrorCode::input, "a spacing is not above 0 or not finite; correct it");
  for (const Device device : {labels.device(), distances.device()})
    if (device != stream.device())
      throw Error(ErrorCode::device, "memory of " + name(device) + " was handed to work on " + name(stream.device()));
  if (labels.size() == 0) return;
  const double unit = std::ranges::max(spacing_mm);
  DistanceProblem problem{labels, rule, {}, static_cast<float>(unit)};
  for (std::size_t axis = 0; axis < 3; ++axis) problem.step[axis] = static_cast<float>(spacing_mm[axis] / unit);
  KIBAN_BACKEND_FOR(stream, find_distances)(stream, problem, distances);
}

}  // namespace kiban::image
