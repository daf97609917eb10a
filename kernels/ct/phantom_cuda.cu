#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/ct/phantom_backends.hpp"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

template <class T>
KIBAN_HD inline T splat(T value) {
  return value;
}
KIBAN_HD inline float add(float a, float b) { return a + b; }
KIBAN_HD inline float subtract(float a, float b) { return a - b; }
KIBAN_HD inline float multiply(float a, float b) { return a * b; }
KIBAN_HD inline float divide(float a, float b) { return a / b; }
KIBAN_HD inline float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
KIBAN_HD inline float square_root(float a) { return sqrtf(a); }
KIBAN_HD inline float positive_part(float a) { return fmaxf(a, 0.0f); }
KIBAN_HD inline float where_positive(float a, float b) { return a > 0 ? b : 0.0f; }
KIBAN_HD inline float where_at_most_one(float a, float b) { return a <= 1 ? b : 0.0f; }

#include "kernels/ct/phantom_math-inl.hpp"

/// A warp takes 32 neighbours along the fastest index, a block eight lines of them. All threads of a block read the
/// same ellipsoids, which therefore come from L1; 60 operations an ellipsoid against 4 bytes written: bound by
/// arithmetic.
constexpr unsigned kLanes = 32, kLines = 8;
constexpr std::int64_t kLayersPerLaunch = 65535;  // a grid is no deeper

__global__ void __launch_bounds__(kLanes* kLines)
    project_pixels(const EllipsoidShadow* shadows, int ellipsoids, const RayLength* lengths, int rows, int columns,
                   float* projections) {
  const int column = static_cast<int>(blockIdx.x * kLanes + threadIdx.x);
  const int row = static_cast<int>(blockIdx.y * kLines + threadIdx.y);
  if (column >= columns || row >= rows) return;
  const std::int64_t view = blockIdx.z;
  const float u = static_cast<float>(column), v = static_cast<float>(row);
  float sum = 0;
  for (int e = 0; e < ellipsoids; ++e) sum += weighted_chord(shadows[view * ellipsoids + e], u, v);
  const RayLength& length = lengths[view];
  projections[(view * rows + row) * columns + column] =
      sum * sqrtf(quadratic(length.squared, u - length.u, v - length.v));
}

__global__ void __launch_bounds__(kLanes* kLines)
    rasterise_voxels(const UnitBall* balls, int count, int first_z, int rows, int columns, float* volume) {
  const int x = static_cast<int>(blockIdx.x * kLanes + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * kLines + threadIdx.y);
  if (x >= columns || y >= rows) return;
  const std::int64_t z = first_z + static_cast<int>(blockIdx.z);
  float sum = 0;
  for (int e = 0; e < count; ++e)
    sum += density_at(balls[e], static_cast<float>(x), static_cast<float>(y), static_cast<float>(z));
  volume[(z * rows + y) * columns + x] = sum;
}

dim3 blocks(std::int64_t layers, std::int64_t rows, std::int64_t columns) {
  return dim3(gpu::blocks_for(columns, kLanes), gpu::blocks_for(rows, kLines), static_cast<unsigned>(layers));
}

}  // namespace

void project_shadows(Stream& stream, Span<const EllipsoidShadow, 2> shadows, Span<const RayLength, 1> lengths,
                     Span<float, 3> projections) {
  const auto shadow = shadows.on(stream.device());
  const auto length = lengths.on(stream.device());
  const auto out = projections.on(stream.device());
  const std::int64_t rows = out.shape[1], columns = out.shape[2], ellipsoids = shadow.shape[1];
  for (std::int64_t first = 0; first < out.shape[0]; first += kLayersPerLaunch)
    gpu::launch(stream, blocks(std::min(kLayersPerLaunch, out.shape[0] - first), rows, columns), dim3(kLanes, kLines),
                &project_pixels, shadow.data + first * ellipsoids, static_cast<int>(ellipsoids), length.data + first,
                static_cast<int>(rows), static_cast<int>(columns), out.data + first * rows * columns);
}

void rasterise_balls(Stream& stream, Span<const UnitBall, 1> balls, Span<float, 3> volume) {
  const auto ball = balls.on(stream.device());
  const auto out = volume.on(stream.device());
  for (std::int64_t first = 0; first < out.shape[0]; first += kLayersPerLaunch)
    gpu::launch(stream, blocks(std::min(kLayersPerLaunch, out.shape[0] - first), out.shape[1], out.shape[2]),
                dim3(kLanes, kLines), &rasterise_voxels, ball.data, static_cast<int>(ball.shape[0]),
                static_cast<int>(first), static_cast<int>(out.shape[1]), static_cast<int>(out.shape[2]), out.data);
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
