// Values sink to what their neighbours have as relax.cuh goes over them; pits by a thread a voxel.
#include <cstring>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/reconstruct.hpp"
#include "kernels/image/relax.cuh"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/key_math-inl.hpp"

constexpr unsigned kBlock = 256;

/// Numbers in the order in which they sink: of values, or of values turned over. -0 is 0.
template <class T>
KIBAN_DEVICE std::uint32_t level_of(T value, std::uint32_t turned) {
  return std::uint32_t{key_of(static_cast<T>(value + T(0)))} ^ turned;
}

template <class T>
struct ReconstructRule {
  using State = std::uint32_t;
  using Ground = std::uint32_t;
  using Key = decltype(key_of(T{}));

  const T* image;
  T* result;
  std::uint32_t turned;

  KIBAN_DEVICE State nowhere() const { return ~std::uint32_t{0}; }
  KIBAN_DEVICE Ground ground(std::int64_t at) const { return level_of(image[at], turned); }
  KIBAN_DEVICE State load(std::int64_t at) const { return level_of(result[at], turned); }
  KIBAN_DEVICE void store(std::int64_t at, State state) const {
    result[at] = value_of<T>(static_cast<Key>(state ^ turned));
  }
  KIBAN_DEVICE bool first(State a, State b) const { return a < b; }
  KIBAN_DEVICE State next(Ground ground, State own, State best) const {
    const State sunk = best < own ? best : own;
    return sunk < ground ? ground : sunk;
  }
};

///   reads two values, writes one
template <class T>
__global__ void __launch_bounds__(kBlock)
    keep_kernel(std::int64_t voxels, const T* image, const T* marker, double shift, std::uint32_t turned, T* result) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= voxels) return;
  const T value = shifted(marker[at], shift);
  result[at] = level_of(value, turned) < level_of(image[at], turned) ? image[at] : value;
}

struct PitExtents {
  std::int64_t z, y, x;
};

/// Whether `body(neighbour)` holds for one of the voxels that touch `at`.
template <class Body>
KIBAN_DEVICE bool any_beside(const PitExtents& extent, int most_differing, std::int64_t at, Body body) {
  const std::int64_t x = at % extent.x, y = at / extent.x % extent.y, z = at / extent.x / extent.y;
#pragma unroll 1
  for (int k = 0; k < 27; ++k) {
    const int dx = k % 3 - 1, dy = k / 3 % 3 - 1, dz = k / 9 - 1;
    const int differing = (dz != 0) + (dy != 0) + (dx != 0);
    if (differing == 0 || differing > most_differing || x + dx < 0 || x + dx >= extent.x || y + dy < 0 ||
        y + dy >= extent.y || z + dz < 0 || z + dz >= extent.z)
      continue;
    if (body(at + (dz * extent.y + dy) * extent.x + dx)) return true;
  }
  return false;
}

///   reads a voxel and its neighbours, writes a byte
template <class T>
__global__ void __launch_bounds__(kBlock)
    pit_kernel(const PitExtents extent, int most_differing, const T* image, std::uint32_t turned, std::uint8_t* pits) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= extent.z * extent.y * extent.x) return;
  const std::uint32_t own = level_of(image[at], turned);
  pits[at] =
      any_beside(extent, most_differing, at, [&](std::int64_t beside) { return level_of(image[beside], turned) < own; })
          ? 0
          : 1;
}

///   reads a voxel, its byte and those of its neighbours, writes a byte
template <class T>
__global__ void __launch_bounds__(kBlock) leak_kernel(const PitExtents extent, int most_differing, const T* image,
                                                      const std::uint8_t* pits, std::uint8_t* leaks) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= extent.z * extent.y * extent.x) return;
  leaks[at] =
      pits[at] != 0 && any_beside(extent, most_differing, at,
                                  [&](std::int64_t beside) { return pits[beside] == 0 && image[beside] == image[at]; })
          ? 1
          : 0;
}

std::uint32_t turned_for(Extreme which) { return which == Extreme::largest ? ~std::uint32_t{0} : 0; }

}  // namespace

void reconstruct_from(Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
                      const VoxelSpan& result) {
  with_voxel_type(image.type(), [&]<class T>() {
    const ReconstructRule<T> rule{static_cast<const T*>(image.data()), static_cast<T*>(result.data()),
                                  turned_for(which)};
    relax(stream, rule, image.shape(), connectivity);
  });
}

void keep_beside(Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& marker, double shift, Extreme which,
                 const VoxelSpan& result) {
  with_voxel_type(image.type(), [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(image.size(), kBlock), kBlock, &keep_kernel<T>, image.size(),
                static_cast<const T*>(image.data()), static_cast<const T*>(marker.data()), shift, turned_for(which),
                static_cast<T*>(result.data()));
  });
}

void find_pits(Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
               Span<std::uint8_t, 3> pits, Span<std::uint8_t, 3> leaks) {
  const PitExtents extent{image.extent(0), image.extent(1), image.extent(2)};
  const int most = connectivity == Connectivity::faces ? 1 : connectivity == Connectivity::edges ? 2 : 3;
  const unsigned blocks = gpu::blocks_for(image.size(), kBlock);
  std::uint8_t* const pit = pits.on(stream.device()).data;
  with_voxel_type(image.type(), [&]<class T>() {
    const T* const values = static_cast<const T*>(image.data());
    gpu::launch(stream, blocks, kBlock, &pit_kernel<T>, extent, most, values, turned_for(which), pit);
    gpu::launch(stream, blocks, kBlock, &leak_kernel<T>, extent, most, values, pit, leaks.on(stream.device()).data);
  });
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
