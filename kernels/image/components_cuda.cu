// Union-find over voxels: each begins with the first voxel of its run within a warp as its parent, then joins the trees
// of the neighbours before it. The root of a tree is its least voxel, so numbers in the order of roots are numbers in
// the order of first voxels, in whatever order the threads came.
#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/components.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kWarp = 32, kBlock = 256, kScanBlock = 1024;

/// How a voxel is found in memory; Index: 32 bits suffice below 2^31 voxels.
template <class T>
struct Labels {
  const T* values;
  std::int64_t nz, ny, nx;
  bool of_background;

  KIBAN_DEVICE std::int64_t size() const { return nz * ny * nx; }
  KIBAN_DEVICE bool counts(T label) const { return (label == 0) == of_background; }
  /// Whether voxel `at` and the one before it in memory are of one run.
  KIBAN_DEVICE bool goes_on(std::int64_t at) const { return at % nx != 0 && values[at] == values[at - 1]; }
};

/// Of a voxel that belongs to no component; and what marks a root that has its number.
template <class Index>
KIBAN_DEVICE constexpr Index none() {
  return static_cast<Index>(~Index{0});
}
template <class Index>
KIBAN_DEVICE constexpr Index numbered() {
  return static_cast<Index>(Index{1} << (8 * sizeof(Index) - 1));
}

template <class Index>
KIBAN_DEVICE Index root_of(volatile Index* parent, Index voxel) {
  for (Index above = parent[voxel]; above != voxel; above = parent[voxel]) voxel = above;
  return voxel;
}

/// The lower root becomes the parent of the higher, unless that has got another parent meanwhile, with which it then
/// goes on.
template <class Index>
KIBAN_DEVICE void unite(Index* parent, Index a, Index b) {
  while (true) {
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a == b) return;
    const Index low = a < b ? a : b, high = a < b ? b : a;
    const Index before = atomicMin(&parent[high], low);
    if (before == high) return;
    a = before;
    b = low;
  }
}

KIBAN_DEVICE std::int64_t thread_number() { return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

/// A voxel's run within its warp begins at the last lane up to its own where one begins.   1 read, 1 write a voxel
template <class T, class Index>
__global__ void __launch_bounds__(kBlock) begin_trees(const Labels<T> labels, Index* parent) {
  const std::int64_t at = thread_number();
  const unsigned lane = threadIdx.x % kWarp;
  const bool inside = at < labels.size();
  const bool begins = !inside || lane == 0 || !labels.goes_on(at);
  const unsigned beginnings = __ballot_sync(~0u, begins) & (~0u >> (kWarp - 1 - lane));
  if (!inside) return;
  unsigned first = lane;
  while (!(beginnings >> first & 1)) --first;
  parent[at] = labels.counts(labels.values[at]) ? static_cast<Index>(at - lane + first) : none<Index>();
}

/// Joins a voxel with those before it that it touches, unless the voxel to its left has done so.
template <class T, class Index>
__global__ void __launch_bounds__(kBlock, 4) join_trees(const Labels<T> labels, int connectivity, Index* parent) {
  const std::int64_t at = thread_number();
  if (at >= labels.size()) return;
  const T label = labels.values[at];
  if (!labels.counts(label)) return;
  const std::int64_t x = at % labels.nx, y = at / labels.nx % labels.ny, z = at / labels.nx / labels.ny;
  const bool goes_on = labels.goes_on(at);
  if (goes_on && threadIdx.x % kWarp == 0) unite(parent, static_cast<Index>(at), static_cast<Index>(at - 1));
#pragma unroll 1
  for (int row = 0; row < 4; ++row) {  // y - 1 of this slice; y - 1, y, y + 1 of the one before
    const int dz = row == 0 ? 0 : -1, dy = row == 0 ? -1 : row - 2;
    const bool is_diagonal = dz != 0 && dy != 0;
    if ((is_diagonal && connectivity == 6) || z + dz < 0 || y + dy < 0 || y + dy >= labels.ny) continue;
    const int reach = connectivity == 26 || (connectivity == 18 && !is_diagonal);
    const std::int64_t beside = at + (dz * labels.ny + dy) * labels.nx;
    // The voxel to the left, of the same run, has met all of these but the last.
    for (int dx = goes_on ? reach : -reach; dx <= reach; ++dx) {
      if (x + dx < 0 || x + dx >= labels.nx || labels.values[beside + dx] != label) continue;
      const bool met = goes_on && reach == 0 && labels.goes_on(beside);
      if (!met) unite(parent, static_cast<Index>(at), static_cast<Index>(beside + dx));
    }
  }
}

template <class Index>
__global__ void __launch_bounds__(kBlock) flatten_trees(std::int64_t voxels, Index* parent) {
  const std::int64_t at = thread_number();
  if (at >= voxels) return;
  const Index above = parent[at];
  if (above != none<Index>()) parent[at] = root_of(parent, above);
}

struct WarpSums {
  std::uint32_t of[kScanBlock / kWarp];
};

/// Sum of `value` over the threads of the block up to this one; `total` over all. The whole block calls it.
KIBAN_DEVICE std::uint32_t block_scan(std::uint32_t value, WarpSums& sums, std::uint32_t& total) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  for (unsigned step = 1; step < kWarp; step *= 2) {
    const std::uint32_t before = __shfl_up_sync(~0u, value, step);
    if (lane >= step) value += before;
  }
  if (lane == kWarp - 1) sums.of[warp] = value;
  __syncthreads();
  std::uint32_t before = 0;
  total = 0;
  for (unsigned w = 0; w < blockDim.x / kWarp; ++w) {
    if (w < warp) before += sums.of[w];
    total += sums.of[w];
  }
  __syncthreads();
  return before + value;
}

template <class Index>
__global__ void __launch_bounds__(kScanBlock)
    count_roots(std::int64_t voxels, const Index* parent, std::uint32_t* roots_of_block) {
  const std::int64_t at = thread_number();
  const bool is_root = at < voxels && parent[at] == static_cast<Index>(at);
  std::uint32_t total;
  block_scan(is_root, gpu::block_shared<WarpSums>(), total);
  if (threadIdx.x == 0) roots_of_block[blockIdx.x] = total;
}

/// Counts become the sums of those before them, and `total` the sum of all. One block.
__global__ void __launch_bounds__(kScanBlock)
    sum_counts(std::int64_t count, std::uint32_t* counts, unsigned long long* total) {
  WarpSums& sums = gpu::block_shared<WarpSums>();
  unsigned long long before = 0;
  for (std::int64_t first = 0; first < count; first += blockDim.x) {
    const std::int64_t at = first + threadIdx.x;
    const std::uint32_t value = at < count ? counts[at] : 0;
    std::uint32_t of_these;
    const std::uint32_t up_to_this = block_scan(value, sums, of_these);
    if (at < count) counts[at] = static_cast<std::uint32_t>(before) + up_to_this - value;
    before += of_these;
  }
  if (threadIdx.x == 0) *total = before;
}

template <class Index>
__global__ void __launch_bounds__(kScanBlock)
    number_roots(std::int64_t voxels, const std::uint32_t* roots_before_block, Index* parent) {
  const std::int64_t at = thread_number();
  const bool is_root = at < voxels && parent[at] == static_cast<Index>(at);
  std::uint32_t total;
  const std::uint32_t up_to_this = block_scan(is_root, gpu::block_shared<WarpSums>(), total);
  if (is_root) parent[at] = numbered<Index>() | static_cast<Index>(roots_before_block[blockIdx.x] + up_to_this);
}

/// `numbers` may be the memory of 32-bit parents: roots, which others read, keep their mark.
template <class Index>
__global__ void __launch_bounds__(kBlock) number_voxels(std::int64_t voxels, const Index* parent, Index* numbers) {
  const std::int64_t at = thread_number();
  if (at >= voxels) return;
  const Index above = parent[at];
  if (above == none<Index>())
    numbers[at] = 0;
  else if (!(above & numbered<Index>()))
    numbers[at] = parent[above] & ~numbered<Index>();
}

template <class Index>
__global__ void __launch_bounds__(kBlock) unmark(std::int64_t voxels, const Index* marked, std::uint32_t* numbers) {
  const std::int64_t at = thread_number();
  if (at < voxels) numbers[at] = static_cast<std::uint32_t>(marked[at] & ~numbered<Index>());
}

template <class T>
Labels<T> labels_of(const ComponentProblem& problem) {
  const auto view = problem.labels.as<T>().on(problem.labels.device());
  return {view.data, view.shape[0], view.shape[1], view.shape[2], problem.joined == Joined::background};
}

template <class T, class Index>
void find(Stream& stream, const ComponentProblem& problem, Index* parent, ComponentState& state) {
  const Labels<T> labels = labels_of<T>(problem);
  const std::int64_t voxels = problem.labels.size();
  const unsigned blocks = gpu::blocks_for(voxels, kBlock), scan_blocks = gpu::blocks_for(voxels, kScanBlock);
  gpu::launch(stream, blocks, kBlock, &begin_trees<T, Index>, labels, parent);
  gpu::launch(stream, blocks, kBlock, &join_trees<T, Index>, labels, static_cast<int>(problem.connectivity), parent);
  gpu::launch(stream, blocks, kBlock, &flatten_trees<Index>, voxels, parent);
  Array<std::uint32_t, 1> roots({scan_blocks}, stream.device());
  Array<unsigned long long, 1> total({1}, stream.device());
  std::uint32_t* const counts = roots.span().on(stream.device()).data;
  gpu::launch(stream, scan_blocks, kScanBlock, &count_roots<Index>, voxels, parent, counts);
  gpu::launch(stream, 1, kScanBlock, &sum_counts, std::int64_t{scan_blocks}, counts,
              total.span().on(stream.device()).data);
  gpu::launch(stream, scan_blocks, kScanBlock, &number_roots<Index>, voxels, counts, parent);
  gpu::launch(stream, blocks, kBlock, &number_voxels<Index>, voxels, parent, parent);
  gpu::launch(stream, blocks, kBlock, &unmark<Index>, voxels, parent, state.numbers.span().on(stream.device()).data);
  unsigned long long count = 0;
  copy(stream, std::as_const(total).span(), Span<unsigned long long, 1>(&count, {1}));
  stream.synchronize();
  if (count >= UINT32_MAX)
    throw Error(ErrorCode::input, "the labels have more than 4294967294 components; crop the volume");
  state.count = static_cast<std::uint32_t>(count);
}

}  // namespace

void find_components(Stream& stream, const ComponentProblem& problem, ComponentState& state) {
  const std::int64_t voxels = problem.labels.size();
  state.numbers = Array<std::uint32_t, 1>({voxels}, stream.device());
  with_label_type(problem.labels.type(), [&]<class T>() {
    if (voxels < (std::int64_t{1} << 31))
      return find<T, std::uint32_t>(stream, problem, state.numbers.span().on(stream.device()).data, state);
    Array<unsigned long long, 1> parents({voxels}, stream.device());
    find<T, unsigned long long>(stream, problem, parents.span().on(stream.device()).data, state);
  });
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
