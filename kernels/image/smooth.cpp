#include "kernels/image/smooth.hpp"

#include <cmath>

#include "kernels/image/require.hpp"
#include "kernels/image/resample.hpp"

namespace kiban::image {
void gaussian(Stream& stream, const ConstVoxelSpan& image, const Vec3& sigma, const VoxelSpan& smoothed) {
  require_on(stream, image.device());
  require_on(stream, smoothed.device());
  if (image.shape() != smoothed.shape())
    throw Error(ErrorCode::internal, "a smoothed image of another shape than the image");
  for (const double of_axis : sigma)
    if (!(of_axis >= 0 && of_axis <= 1e4))
      throw Error(ErrorCode::input, "a Gaussian's sigma is not from 0 to 10000 voxels");
  if (image.size() == 0) return;
  const AlignedSampling same{{0, 1, 2}, {}, {}};
  TapsOfAxes taps;
  for (std::size_t a = 0; a < 3; ++a) {
    const std::int64_t extent = image.extent(2 - static_cast<int>(a));
    taps[a] = taps_of({extent, extent, 1, 0, false}, TapKernel::nearest, sigma[a]);
  }
  KIBAN_BACKEND_FOR(stream, weigh)(stream, seen_along(image, same), taps, 0, smoothed);
}

void median(Stream& stream, const ConstVoxelSpan& image, const Element& element, const VoxelSpan& median) {
  require_on(stream, image.device());
  require_on(stream, median.device());
  if (image.shape() != median.shape() || image.type() != median.type() ||
      (image.size() != 0 && image.data() == median.data()))
    throw Error(ErrorCode::internal, "a median of another shape or type than the image, or the image itself");
  std::int64_t voxels = 0;
  for (const Element::Row& row : element.rows) voxels += 2 * row.reach + 1;
  if (voxels < 1 || voxels > 32767)
    throw Error(ErrorCode::input, "the median of " + std::to_string(voxels) + " voxels; take 1 to 32767");
  if (image.size() == 0) return;
  require_ordered(stream, image);
  KIBAN_BACKEND_FOR(stream, find_median)(stream, image, element, median);
}

}  // namespace kiban::image
