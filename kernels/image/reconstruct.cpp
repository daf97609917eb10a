#include "kernels/image/reconstruct.hpp"

#include <cmath>
#include <string>
#include <utility>

#include "kernels/image/require.hpp"

namespace kiban::image {
namespace {

void require_like(const ConstVoxelSpan& image, const ConstVoxelSpan& other, Stream& stream) {
  if (image.shape() != other.shape() || image.type() != other.type())
    throw Error(ErrorCode::internal, "a marker or result of another shape or type than the image");
  require_on(stream, image.device());
  require_on(stream, other.device());
}

void reconstruct_shifted(Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& marker, double shift,
                         Connectivity connectivity, Extreme which, const VoxelSpan& result) {
  require_like(image, marker, stream);
  require_like(image, result, stream);
  require_ordered(stream, image);
  require_ordered(stream, marker);
  if (image.size() == 0) return;
  if (image.data() == result.data()) throw Error(ErrorCode::internal, "a result that is the image itself");
  if (image.size() >= (std::int64_t{1} << 32))
    throw Error(ErrorCode::input, "a reconstruction of 4294967296 voxels or more; crop the volume");
  KIBAN_BACKEND_FOR(stream, keep_beside)(stream, image, marker, shift, which, result);
  KIBAN_BACKEND_FOR(stream, reconstruct_from)(stream, image, connectivity, which, result);
}

}  // namespace

std::size_t relax_list_bytes(const Shape<3>& shape) {
  constexpr std::int64_t kTile = 8;
  constexpr std::size_t kBytesOfTile = 36;  // a mark, and a place in the list of each colour
  std::size_t tiles = 1;
  for (const std::int64_t extent : shape) tiles *= static_cast<std::size_t>((extent + kTile - 1) / kTile);
  return kBytesOfTile * tiles;
}

void reconstruct(Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& marker, Connectivity connectivity,
                 Extreme which, const VoxelSpan& result) {
  reconstruct_shifted(stream, image, marker, 0, connectivity, which, result);
}

void fill_shallow(Stream& stream, const ConstVoxelSpan& image, double depth, Connectivity connectivity, Extreme which,
                  const VoxelSpan& result) {
  if (!(depth >= 0) || !std::isfinite(depth))
    throw Error(ErrorCode::input, "a depth is below 0 or not a number; correct it");
  if (image.type() != VoxelType::float32 && depth != std::floor(depth))
    throw Error(ErrorCode::input, "the values are whole numbers, " + name(image.type()) + ", and the depth is not");
  reconstruct_shifted(stream, image, image, which == Extreme::least ? depth : -depth, connectivity, which, result);
}

std::uint32_t minima(Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
                     const VoxelSpan& numbers) {
  if (image.shape() != numbers.shape()) throw Error(ErrorCode::internal, "numbers of another shape than the image");
  require_on(stream, image.device());
  require_on(stream, numbers.device());
  with_label_type(numbers.type(), []<class T>() {});
  require_ordered(stream, image);
  if (image.size() == 0) return 0;
  Array<std::uint8_t, 3> pits(image.shape(), stream.device()), leaks(image.shape(), stream.device());
  KIBAN_BACKEND_FOR(stream, find_pits)(stream, image, connectivity, which, pits.span(), leaks.span());
  // Pits that touch are of one value, for neither is lower: a component of them is a plateau, or the part of one that
  // no lower voxel touches.
  {
    const Components plateaus(stream, ConstVoxelSpan(pits.span()), connectivity);
    std::vector<std::uint32_t> stays = plateaus.marked(stream, std::as_const(leaks).span());
    for (std::uint32_t& value : stays) value = value == 0 ? 1 : 0;
    plateaus.paint(stream, stays, VoxelSpan(leaks.span()));
  }
  const Components found(stream, ConstVoxelSpan(leaks.span()), connectivity);
  found.number(stream, numbers);
  return found.count();
}

}  // namespace kiban::image
