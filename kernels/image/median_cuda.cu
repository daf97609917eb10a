// A thread a voxel, which finds its median bit by bit as median_cpu.cpp does; its neighbours read the same voxels.
#include <cstring>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/smooth.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/key_math-inl.hpp"

constexpr unsigned kBlock = 256;

struct MedianExtents {
  std::int64_t z, y, x;
};

/// Calls `body(value)` for the voxels of the element about one that are in the volume.
template <class T, class Body>
KIBAN_DEVICE void for_each_under(const T* image, const MedianExtents& extent, std::int64_t at, const Element::Row* rows,
                                 int row_count, Body body) {
  const std::int64_t x = at % extent.x, y = at / extent.x % extent.y, z = at / extent.x / extent.y;
#pragma unroll 1
  for (int k = 0; k < row_count; ++k) {
    const Element::Row row = rows[k];
    if (z + row.dz < 0 || z + row.dz >= extent.z || y + row.dy < 0 || y + row.dy >= extent.y) continue;
    const T* const line = image + ((z + row.dz) * extent.y + y + row.dy) * extent.x;
    const std::int64_t end = x + row.reach < extent.x ? x + row.reach : extent.x - 1;
#pragma unroll 1
    for (std::int64_t i = x > row.reach ? x - row.reach : 0; i <= end; ++i) body(line[i]);
  }
}

///   reads the element's voxels once and once more a bit of the type in which they differ, writes one
template <class T>
__global__ void __launch_bounds__(kBlock, 4)
    median_kernel(const T* image, const MedianExtents extent, const Element::Row* rows, int row_count, T* medians) {
  using Key = decltype(key_of(T{}));
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= extent.z * extent.y * extent.x) return;
  int count = 0;
  Key any = 0, common = static_cast<Key>(~Key(0));
  for_each_under(image, extent, at, rows, row_count, [&](T value) {
    ++count;
    any = static_cast<Key>(any | key_of(value));
    common = static_cast<Key>(common & key_of(value));
  });
  const int rank = (count - 1) / 2;
  Key median = common;
#pragma unroll 1
  for (int place = static_cast<int>(8 * sizeof(Key)) - 1; place >= 0; --place) {
    const Key bit = static_cast<Key>(Key(1) << place);
    if (((any ^ common) & bit) == 0) continue;
    const Key tried = static_cast<Key>(median | bit);
    int below = 0;
    for_each_under(image, extent, at, rows, row_count, [&](T value) { below += key_of(value) < tried; });
    if (below <= rank) median = tried;
  }
  medians[at] = value_of<T>(median);
}

}  // namespace

void find_median(Stream& stream, const ConstVoxelSpan& image, const Element& element, const VoxelSpan& median) {
  const Shape<1> shape{static_cast<std::int64_t>(element.rows.size())};
  Array<Element::Row, 1> rows(shape, stream.device());
  copy(stream, Span<const Element::Row, 1>(element.rows.data(), shape), rows.span());
  with_voxel_type(image.type(), [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(image.size(), kBlock), kBlock, &median_kernel<T>,
                image.as<T>().on(stream.device()).data,
                MedianExtents{image.extent(0), image.extent(1), image.extent(2)}, rows.span().on(stream.device()).data,
                static_cast<int>(shape[0]), static_cast<T*>(median.data()));
  });
  stream.synchronize();  // the rows go away
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
