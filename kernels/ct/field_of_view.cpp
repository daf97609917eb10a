#include "kernels/ct/field_of_view.hpp"

#include <limits>

#include "kernels/core/backends.hpp"

namespace kiban::ct {

KIBAN_BACKENDS(find_seen_voxels, Stream&, std::span<const ProjectionMatrix>, std::int64_t rows, std::int64_t columns,
               std::int64_t nx, Span<SeenVoxels, 2> seen)
KIBAN_BACKENDS(mask_outside, Stream&, Span<const SeenVoxels, 2> seen, float outside, std::int64_t nx,
               const VolumePointers&, std::int64_t scans)

Array<SeenVoxels, 2> seen_voxels(Stream& stream, std::span<const ProjectionMatrix> matrices, std::int64_t rows,
                                 std::int64_t columns, const Shape<3>& volume) {
  if (volume[2] > std::numeric_limits<std::int32_t>::max())
    throw Error(ErrorCode::input, "a row of the volume has 2^31 voxels or more; take a smaller volume");
  Array<SeenVoxels, 2> seen({volume[0], volume[1]}, stream.device());
  if (seen.size() != 0)
    KIBAN_BACKEND_FOR(stream, find_seen_voxels)(stream, matrices, rows, columns, volume[2], seen.span());
  return seen;
}

void mask_unseen(Stream& stream, Span<const SeenVoxels, 2> seen, float outside, ScanVolumes volumes) {
  const Shape<3> shape = shape_of(volumes);
  if (element_count<3>(shape) == 0) return;
  if (seen.shape() != Shape<2>{shape[0], shape[1]})
    throw Error(ErrorCode::internal, "what is seen of one volume was to mask another of another shape");
  KIBAN_BACKEND_FOR(stream, mask_outside)
  (stream, seen, outside, shape[2], pointers_of(volumes, stream.device()), static_cast<std::int64_t>(volumes.size()));
}

}  // namespace kiban::ct
