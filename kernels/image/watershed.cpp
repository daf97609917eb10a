#include "kernels/image/watershed.hpp"

#include "kernels/image/require.hpp"

namespace kiban::image {

void watershed(Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& markers,
               Span<const std::uint8_t, 3> mask, Connectivity connectivity, Extreme from, const VoxelSpan& labels) {
  if (image.shape() != markers.shape() || image.shape() != labels.shape() || markers.type() != labels.type() ||
      (mask.size() != 0 && mask.shape() != image.shape()))
    throw Error(ErrorCode::internal, "markers, mask or labels of another shape or type");
  for (const Device where : {image.device(), markers.device(), labels.device()}) require_on(stream, where);
  if (mask.size() != 0) require_on(stream, mask.device());
  with_label_type(markers.type(), []<class T>() {});
  require_ordered(stream, image);
  if (image.size() == 0) return;
  if (labels.data() == markers.data()) throw Error(ErrorCode::internal, "labels in the markers' own memory");
  if (image.size() >= (std::int64_t{1} << 32))
    throw Error(ErrorCode::input, "a watershed of 4294967296 voxels or more; crop the volume");
  KIBAN_BACKEND_FOR(stream, flood)(stream, {image, markers, mask, connectivity, from}, labels);
}

}  // namespace kiban::image
