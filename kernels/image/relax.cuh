#pragma once
// Floods on a GPU: every voxel is what a rule makes of the neighbour that comes first in an order, and the only volume
// where all agree is the answer. Tiles of 8^3 voxels find it for themselves, in shared memory, and wake their
// neighbours where a face has changed. Tiles that touch never run at once: they are of eight colours, which take turns.
// Included into the namespace of the kernels.
#include <array>
#include <cstdint>

#include "kernels/core/array.hpp"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/components.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {

constexpr int kTile = 8, kHalo = kTile + 2;
constexpr unsigned kTileThreads = kTile * kTile * kTile, kColours = 8, kListBlock = 256;

struct RelaxExtents {
  std::int64_t z, y, x;     ///< of the volume
  std::int64_t tz, ty, tx;  ///< of its tiles
};

/// Which tiles are to be done: `awake` by tile, `list` by colour, `counts` of each.
struct TileLists {
  unsigned* awake;
  unsigned* list;
  unsigned* counts;
};

template <class State>
struct RelaxShared {
  State at[kHalo * kHalo * kHalo];
  unsigned last_change;
};

/// Wakes the tiles that this voxel of the tile touches.
KIBAN_DEVICE void wake_beside(const RelaxExtents& extent, std::int64_t tz, std::int64_t ty, std::int64_t tx, int z,
                              int y, int x, unsigned* awake) {
  const int sz = z == 0           ? -1
                 : z == kTile - 1 ? 1
                                  : 0,
            sy = y == 0           ? -1
                 : y == kTile - 1 ? 1
                                  : 0,
            sx = x == 0           ? -1
                 : x == kTile - 1 ? 1
                                  : 0;
#pragma unroll 1
  for (int side = 1; side < 8; ++side) {
    const int dz = (side & 4) != 0 ? sz : 0, dy = (side & 2) != 0 ? sy : 0, dx = (side & 1) != 0 ? sx : 0;
    const bool is_one = ((side & 4) == 0 || sz != 0) && ((side & 2) == 0 || sy != 0) && ((side & 1) == 0 || sx != 0);
    const std::int64_t bz = tz + dz, by = ty + dy, bx = tx + dx;
    if (!is_one || bz < 0 || bz >= extent.tz || by < 0 || by >= extent.ty || bx < 0 || bx >= extent.tx) continue;
    atomicMax(&awake[(bz * extent.ty + by) * extent.tx + bx], 1U);
  }
}

/// A block a tile, a thread a voxel. Rule:
///   State nowhere()                           of what lies outside of the volume, or where no water comes
///   Ground ground(at)                         what a voxel knows and does not change
///   State load(at), void store(at, State)
///   bool first(State a, State b)              whether a is reached before b
///   State next(Ground, State own, State best) of the voxel whose best neighbour is `best`
///   reads 2 states a voxel for its tile and what lies around, and writes one, as often as its tile is awake
template <class Rule>
__global__ void __launch_bounds__(kTileThreads, 2)
    relax_tiles(const Rule rule, const RelaxExtents extent, int most_differing, const unsigned* tiles,
                unsigned* awake) {
  using State = typename Rule::State;
  auto& shared = gpu::block_shared<RelaxShared<State>>();
  const std::int64_t tile = tiles[blockIdx.x];
  const std::int64_t tx = tile % extent.tx, ty = tile / extent.tx % extent.ty, tz = tile / extent.tx / extent.ty;
  for (unsigned i = threadIdx.x; i < kHalo * kHalo * kHalo; i += kTileThreads) {
    const std::int64_t x = tx * kTile + i % kHalo - 1, y = ty * kTile + i / kHalo % kHalo - 1,
                       z = tz * kTile + i / (kHalo * kHalo) - 1;
    const bool inside = x >= 0 && x < extent.x && y >= 0 && y < extent.y && z >= 0 && z < extent.z;
    shared.at[i] = inside ? rule.load((z * extent.y + y) * extent.x + x) : rule.nowhere();
  }
  if (threadIdx.x == 0) shared.last_change = 0;
  const int x = static_cast<int>(threadIdx.x) % kTile, y = static_cast<int>(threadIdx.x) / kTile % kTile,
            z = static_cast<int>(threadIdx.x) / (kTile * kTile);
  const bool inside = tx * kTile + x < extent.x && ty * kTile + y < extent.y && tz * kTile + z < extent.z;
  const std::int64_t at = ((tz * kTile + z) * extent.y + ty * kTile + y) * extent.x + tx * kTile + x;
  const int me = ((z + 1) * kHalo + y + 1) * kHalo + x + 1;
  __syncthreads();
  typename Rule::Ground ground{};
  if (inside) ground = rule.ground(at);
  State own = shared.at[me];
  bool has_changed = false;
  for (unsigned round = 1;; ++round) {
    State best = rule.nowhere();
#pragma unroll 1
    for (int dz = -1; dz <= 1; ++dz)
#pragma unroll 1
      for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
          const int differing = (dz != 0) + (dy != 0) + (dx != 0);
          if (differing == 0 || differing > most_differing) continue;
          const State beside = shared.at[me + (dz * kHalo + dy) * kHalo + dx];
          if (rule.first(beside, best)) best = beside;
        }
    const State next = inside ? rule.next(ground, own, best) : own;
    const bool changes = !(next == own);
    __syncthreads();
    if (changes) {
      own = next;
      shared.at[me] = own;
      has_changed = true;
      atomicMax(&shared.last_change, round);
    }
    __syncthreads();
    if (shared.last_change < round) break;
  }
  if (!has_changed) return;
  rule.store(at, own);
  wake_beside(extent, tz, ty, tx, z, y, x, awake);
}

namespace {  // each file has its own

/// Tiles that are awake go to the lists of their colours, and sleep.
__global__ void __launch_bounds__(kListBlock) list_tiles(const RelaxExtents extent, const TileLists lists) {
  const std::int64_t tiles = extent.tz * extent.ty * extent.tx;
  const std::int64_t tile = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (tile >= tiles || lists.awake[tile] == 0) return;
  lists.awake[tile] = 0;
  const std::int64_t tx = tile % extent.tx, ty = tile / extent.tx % extent.ty, tz = tile / extent.tx / extent.ty;
  const auto colour = static_cast<unsigned>((tz & 1) << 2 | (ty & 1) << 1 | (tx & 1));
  lists.list[colour * tiles + atomicAdd(&lists.counts[colour], 1U)] = static_cast<unsigned>(tile);
}

__global__ void __launch_bounds__(kListBlock) wake_all(std::int64_t tiles, unsigned* awake) {
  const std::int64_t tile = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (tile < tiles) awake[tile] = 1;
}

}  // namespace

/// Applies `rule` until nothing changes.
template <class Rule>
void relax(Stream& stream, const Rule& rule, const Shape<3>& shape, Connectivity connectivity) {
  const auto tiles_along = [&](std::size_t axis) { return (shape[axis] + kTile - 1) / kTile; };
  const RelaxExtents extent{shape[0], shape[1], shape[2], tiles_along(0), tiles_along(1), tiles_along(2)};
  const std::int64_t tiles = extent.tz * extent.ty * extent.tx;
  const int most = connectivity == Connectivity::faces ? 1 : connectivity == Connectivity::edges ? 2 : 3;
  Array<unsigned, 1> awake({tiles}, stream.device()), list({kColours * tiles}, stream.device()),
      counts({kColours}, stream.device());
  const auto data = [&](auto& array) { return array.span().on(stream.device()).data; };
  const TileLists lists{data(awake), data(list), data(counts)};
  const unsigned blocks = gpu::blocks_for(tiles, kListBlock);
  gpu::launch(stream, blocks, kListBlock, &wake_all, tiles, lists.awake);
  while (true) {
    zero(stream, counts.span());
    gpu::launch(stream, blocks, kListBlock, &list_tiles, extent, lists);
    std::array<unsigned, kColours> found{};
    copy(stream, Span<const unsigned, 1>(counts.span()), Span<unsigned, 1>(found.data(), {kColours}));
    stream.synchronize();
    stream.check();
    bool any = false;
    for (unsigned colour = 0; colour < kColours; ++colour) {
      if (found[colour] == 0) continue;
      any = true;
      gpu::launch(stream, found[colour], kTileThreads, &relax_tiles<Rule>, rule, extent, most,
                  lists.list + colour * tiles, lists.awake);
    }
    if (!any) return;
  }
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
