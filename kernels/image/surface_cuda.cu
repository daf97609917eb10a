// A thread a corner or voxel. Surfels are collected in any order: whoever sorts them has the same.
#include <utility>
#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/surface.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/surface_math-inl.hpp"

constexpr unsigned kBlock = 256;

KIBAN_DEVICE std::int64_t thread_number() { return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

///   reads 8 labels near each other, writes a byte
template <class T>
__global__ void __launch_bounds__(kBlock)
    code_kernel(const T* labels, const CornerFrame frame, std::uint32_t label, std::uint8_t* codes) {
  const std::int64_t rows = frame.last[1] - frame.first[1] + 2, columns = frame.last[2] - frame.first[2] + 2;
  const std::int64_t at = thread_number(), row = at / columns;
  if (at >= (frame.last[0] - frame.first[0] + 2) * rows * columns) return;
  codes[at] = code_at(labels, frame, label, row / rows, row % rows, at % columns);
}

__global__ void __launch_bounds__(kBlock)
    inner_kernel(std::int64_t corners, const std::uint8_t* codes, std::uint8_t* inner) {
  const std::int64_t at = thread_number();
  if (at < corners) inner[at] = codes[at] == 0 || codes[at] == 255;
}

__global__ void __launch_bounds__(kBlock)
    count_surfels(std::int64_t corners, const std::uint8_t* codes, unsigned long long* count) {
  const std::int64_t at = thread_number();
  if (at < corners && codes[at] != 0 && codes[at] != 255) atomicAdd(count, 1ULL);
}

__global__ void __launch_bounds__(kBlock)
    collect_kernel(std::int64_t corners, const std::uint8_t* codes, const float* distances, unsigned long long* count,
                   float* mm, std::uint8_t* collected) {
  const std::int64_t at = thread_number();
  if (at >= corners || codes[at] == 0 || codes[at] == 255) return;
  const unsigned long long place = atomicAdd(count, 1ULL);
  mm[place] = distances[at];
  collected[place] = codes[at];
}

template <class T, class U>
__global__ void __launch_bounds__(kBlock) equal_kernel(std::int64_t voxels, const T* one, const U* other, T* equal) {
  const std::int64_t at = thread_number();
  if (at < voxels)
    equal[at] = static_cast<std::uint32_t>(one[at]) == static_cast<std::uint32_t>(other[at]) ? one[at] : T(0);
}

}  // namespace

void find_codes(Stream& stream, const ConstVoxelSpan& labels, std::uint32_t label, const VoxelBox& box,
                Span<std::uint8_t, 3> codes) {
  with_label_type(labels.type(), [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(codes.on(stream.device()).size(), kBlock), kBlock, &code_kernel<T>,
                static_cast<const T*>(labels.data()), corner_frame<CornerFrame>(labels, box), label,
                codes.on(stream.device()).data);
  });
}

void mark_inner(Stream& stream, Span<const std::uint8_t, 3> codes, Span<std::uint8_t, 3> inner) {
  const auto from = codes.on(stream.device());
  gpu::launch(stream, gpu::blocks_for(from.size(), kBlock), kBlock, &inner_kernel, from.size(), from.data,
              inner.on(stream.device()).data);
}

void collect_surfels(Stream& stream, Span<const std::uint8_t, 3> codes, Span<const float, 3> distances,
                     Surfels& surfels) {
  const auto from = codes.on(stream.device());
  const unsigned blocks = gpu::blocks_for(from.size(), kBlock);
  Array<unsigned long long, 1> counter({1}, stream.device());
  unsigned long long count = 0;
  zero(stream, counter.span());
  gpu::launch(stream, blocks, kBlock, &count_surfels, from.size(), from.data, counter.span().on(stream.device()).data);
  copy(stream, std::as_const(counter).span(), Span<unsigned long long, 1>(&count, {1}));
  stream.synchronize();
  if (count == 0) return;
  const Shape<1> shape{static_cast<std::int64_t>(count)};
  Array<float, 1> mm(shape, stream.device());
  Array<std::uint8_t, 1> collected(shape, stream.device());
  zero(stream, counter.span());
  gpu::launch(stream, blocks, kBlock, &collect_kernel, from.size(), from.data, distances.on(stream.device()).data,
              counter.span().on(stream.device()).data, mm.span().on(stream.device()).data,
              collected.span().on(stream.device()).data);
  surfels.mm.resize(count);
  surfels.codes.resize(count);
  copy(stream, std::as_const(mm).span(), Span<float, 1>(surfels.mm.data(), shape));
  copy(stream, std::as_const(collected).span(), Span<std::uint8_t, 1>(surfels.codes.data(), shape));
  stream.synchronize();
}

void write_equal(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference,
                 const VoxelSpan& equal) {
  with_label_type(labels.type(), [&]<class T>() {
    with_label_type(reference.type(), [&]<class U>() {
      gpu::launch(stream, gpu::blocks_for(labels.size(), kBlock), kBlock, &equal_kernel<T, U>, labels.size(),
                  static_cast<const T*>(labels.data()), static_cast<const U*>(reference.data()),
                  static_cast<T*>(equal.data()));
    });
  });
  stream.synchronize();
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
