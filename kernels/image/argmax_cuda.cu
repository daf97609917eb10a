// A thread a voxel of the result, which walks the classes; neighbours read the same lines.
#include <cmath>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/argmax.hpp"
#include "kernels/image/resample_backends.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/resample_math-inl.hpp"

constexpr unsigned kBlock = 256;

struct Logits {
  const float* values;
  std::int64_t classes, of_class;
};

///   reads 8 floats a class, writes a label
template <class T>
__global__ void __launch_bounds__(kBlock) argmax_kernel(const Logits logits, const Placement on, std::int64_t voxels,
                                                        std::int64_t rows, std::int64_t columns, T outside, T* labels) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= voxels) return;
  double place[3];
  const std::int64_t row = at / columns;
  labels[at] = place_of(on, static_cast<double>(at % columns), static_cast<double>(row % rows),
                        static_cast<double>(row / rows), place)
                   ? static_cast<T>(largest_at(logits.values, logits.classes, logits.of_class, on.extent, place))
                   : outside;
}

}  // namespace

void argmax_anywhere(Stream& stream, Span<const float, 4> logits, const Sampling& on_logits, const ResampleRule& rule,
                     const VoxelSpan& labels) {
  const ArrayView<const float, 4> view = logits.on(stream.device());
  const ConstVoxelSpan first(view.data, VoxelType::float32, {view.shape[1], view.shape[2], view.shape[3]},
                             stream.device());
  const Placement on = placement_of<Placement>(first, on_logits, rule);
  with_label_type(labels.type(), [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(labels.size(), kBlock), kBlock, &argmax_kernel<T>,
                Logits{view.data, view.shape[0], first.size()}, on, labels.size(), labels.extent(1), labels.extent(2),
                static_cast<T>(rule.padding.value_or(0)), static_cast<T*>(labels.data()));
  });
  stream.synchronize();
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
