#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/components.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kWarp = 32, kBlock = 256;

/// A ComponentMeasure as atomics take it.
struct Counts {
  unsigned long long voxels;
  std::uint32_t label, touches_border, least_label, largest_label;
};

template <class T>
struct Numbered {
  const T* labels;
  const std::uint32_t* numbers;
  std::int64_t nz, ny, nx;

  KIBAN_DEVICE std::int64_t size() const { return nz * ny * nx; }
};

KIBAN_DEVICE std::int64_t thread_number() { return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

KIBAN_DEVICE bool ends(std::int64_t at, std::int64_t extent) { return extent > 1 && (at == 0 || at + 1 == extent); }

/// The first lane of equal numbers in a row counts for all of them: a large component is not one address for millions.
template <class T>
__global__ void __launch_bounds__(kBlock) count_voxels(const Numbered<T> volume, Counts* counts) {
  const std::int64_t at = thread_number();
  const unsigned lane = threadIdx.x % kWarp;
  const std::uint32_t number = at < volume.size() ? volume.numbers[at] : 0;
  const std::uint32_t before = __shfl_up_sync(~0u, number, 1);
  const bool begins = lane == 0 || before != number;
  const unsigned beginnings = __ballot_sync(~0u, begins);
  if (number == 0) return;
  Counts& mine = counts[number - 1];
  if (begins) {
    unsigned length = 1;
    while (lane + length < kWarp && !(beginnings >> (lane + length) & 1)) ++length;
    atomicAdd(&mine.voxels, length);
    mine.label = volume.labels[at];  // all write the same
  }
  const std::int64_t x = at % volume.nx, y = at / volume.nx % volume.ny, z = at / volume.nx / volume.ny;
  if (ends(x, volume.nx) || ends(y, volume.ny) || ends(z, volume.nz)) mine.touches_border = 1;
}

/// Of components in the interior: the labels that their faces touch.
template <class T>
__global__ void __launch_bounds__(kBlock) find_surroundings(const Numbered<T> volume, Counts* counts) {
  const std::int64_t at = thread_number();
  if (at >= volume.size() || volume.numbers[at] == 0) return;
  Counts& mine = counts[volume.numbers[at] - 1];
  if (mine.touches_border) return;
  const std::int64_t position[3] = {at % volume.nx, at / volume.nx % volume.ny, at / volume.nx / volume.ny};
  const std::int64_t extent[3] = {volume.nx, volume.ny, volume.nz}, step[3] = {1, volume.nx, volume.nx * volume.ny};
  for (int axis = 0; axis < 3; ++axis)
    for (int side = -1; side <= 1; side += 2) {
      const std::int64_t there = position[axis] + side;
      if (there < 0 || there >= extent[axis]) continue;
      const std::uint32_t label = volume.labels[at + side * step[axis]];
      if (label == 0) continue;
      atomicMin(&mine.least_label, label);
      atomicMax(&mine.largest_label, label);
    }
}

__global__ void __launch_bounds__(kBlock)
    mark(std::int64_t voxels, const std::uint32_t* numbers, const std::uint8_t* marks, std::uint32_t* marked) {
  const std::int64_t at = thread_number();
  if (at < voxels && numbers[at] != 0 && marks[at] != 0) marked[numbers[at] - 1] = 1;  // all write the same
}

/// In place of the labels each thread reads its voxel before it writes it.
template <class T>
__global__ void __launch_bounds__(kBlock) paint(std::int64_t voxels, const std::uint32_t* numbers,
                                                const std::uint32_t* value_of, const T* others, T* values) {
  const std::int64_t at = thread_number();
  if (at >= voxels) return;
  const std::uint32_t number = numbers[at];
  if (number != 0)
    values[at] = static_cast<T>(value_of ? value_of[number - 1] : number);
  else
    values[at] = others ? others[at] : T{0};
}

}  // namespace

void measure_components(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                        std::vector<ComponentMeasure>& measures) {
  const Device device = stream.device();
  const Shape<1> shape{static_cast<std::int64_t>(measures.size())};
  std::vector<Counts> counts(measures.size(), Counts{0, 0, 0, UINT32_MAX, 0});
  Array<Counts, 1> there(shape, device);
  copy(stream, Span<const Counts, 1>(counts.data(), shape), there.span());
  with_label_type(problem.labels.type(), [&]<class T>() {
    const Shape<3>& extents = problem.labels.shape();
    const Numbered<T> volume{problem.labels.as<T>().on(device).data, state.numbers.span().on(device).data, extents[0],
                             extents[1], extents[2]};
    const unsigned blocks = gpu::blocks_for(problem.labels.size(), kBlock);
    gpu::launch(stream, blocks, kBlock, &count_voxels<T>, volume, there.span().on(device).data);
    if (problem.joined == Joined::background)
      gpu::launch(stream, blocks, kBlock, &find_surroundings<T>, volume, there.span().on(device).data);
  });
  copy(stream, std::as_const(there).span(), Span<Counts, 1>(counts.data(), shape));
  stream.synchronize();
  for (std::size_t k = 0; k < counts.size(); ++k)
    measures[k] = {static_cast<std::int64_t>(counts[k].voxels), counts[k].label, counts[k].touches_border != 0,
                   counts[k].largest_label ? counts[k].least_label : 0, counts[k].largest_label};
}

void find_marked_components(Stream& stream, const ComponentProblem&, const ComponentState& state,
                            const ConstVoxelSpan& marks, std::vector<std::uint32_t>& marked) {
  const Device device = stream.device();
  const Shape<1> shape{static_cast<std::int64_t>(marked.size())};
  Array<std::uint32_t, 1> there(shape, device);
  zero(stream, there.span());
  gpu::launch(stream, gpu::blocks_for(marks.size(), kBlock), kBlock, &mark, marks.size(),
              state.numbers.span().on(device).data, marks.as<std::uint8_t>().on(device).data,
              there.span().on(device).data);
  copy(stream, std::as_const(there).span(), Span<std::uint32_t, 1>(marked.data(), shape));
  stream.synchronize();
}

void paint_components(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                      std::span<const std::uint32_t> value_of, const VoxelSpan& values) {
  const Device device = stream.device();
  Array<std::uint32_t, 1> table({std::max<std::int64_t>(1, static_cast<std::int64_t>(value_of.size()))}, device);
  if (!value_of.empty())
    copy(stream, Span<const std::uint32_t, 1>(value_of.data(), {static_cast<std::int64_t>(value_of.size())}),
         table.span());
  with_label_type(values.type(), [&]<class T>() {
    const bool others_stay = problem.joined == Joined::background && !value_of.empty();
    const T* const others = others_stay ? problem.labels.as<T>().on(device).data : nullptr;
    gpu::launch(stream, gpu::blocks_for(values.size(), kBlock), kBlock, &paint<T>, values.size(),
                state.numbers.span().on(device).data, value_of.empty() ? nullptr : table.span().on(device).data, others,
                values.as<T>().on(device).data);
  });
  stream.synchronize();  // the table goes away
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
