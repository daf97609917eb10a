#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/ct/flat_field_backends.hpp"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

KIBAN_HD inline float subtract(float a, float b) { return a - b; }
KIBAN_HD inline float multiply(float a, float b) { return a * b; }
KIBAN_HD inline float larger(float a, float b) { return fmaxf(a, b); }
KIBAN_HD inline float logarithm(float a) { return logf(a); }
KIBAN_HD inline float negated(float a) { return -a; }

#include "kernels/ct/flat_field_math-inl.hpp"

constexpr unsigned kThreads = 256, kViewsPerThread = 8;

/// A thread keeps the dark and gain of its pixel over 8 views: 9 bytes a pixel and view, bound by memory.
__global__ void __launch_bounds__(kThreads)
    correct_pixels(const float* dark, const float* gain, std::int64_t pixels, std::int64_t views, const float* counts,
                   float* line_integrals) {
  const std::int64_t pixel = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= pixels) return;
  const float pixel_dark = __ldg(dark + pixel), pixel_gain = __ldg(gain + pixel);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kViewsPerThread;
  for (std::int64_t view = first; view < min(first + kViewsPerThread, views); ++view)
    line_integrals[view * pixels + pixel] =
        line_integral(counts[view * pixels + pixel], pixel_dark, pixel_gain, kLeastTransmission);
}

/// One thread a dead pixel and view.
__global__ void __launch_bounds__(kThreads) bridge_pixels(const FlatFieldPlan::Bridge* bridges, std::int64_t count,
                                                          std::int64_t pixels, float* line_integrals) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const FlatFieldPlan::Bridge bridge = bridges[i];
  float* p = line_integrals + blockIdx.y * pixels;
  p[bridge.pixel] = (1 - bridge.weight) * p[bridge.left] + bridge.weight * p[bridge.right];
}

}  // namespace

void correct_flat_field(Stream& stream, Span<const float, 2> dark, Span<const float, 2> gain,
                        Span<const FlatFieldPlan::Bridge, 1> bridges, Span<const float, 3> counts,
                        Span<float, 3> line_integrals) {
  constexpr std::int64_t kViewsPerLaunch = 65535;  // a grid is no higher
  const Device device = stream.device();
  const ArrayView<const FlatFieldPlan::Bridge, 1> dead = bridges.on(device);
  const std::int64_t pixels = dark.size();
  for (std::int64_t first = 0; first < counts.extent(0); first += kViewsPerLaunch) {
    const std::int64_t views = std::min(kViewsPerLaunch, counts.extent(0) - first);
    const float* from = counts.on(device).data + first * pixels;
    float* to = line_integrals.on(device).data + first * pixels;
    gpu::launch(stream, dim3(gpu::blocks_for(pixels, kThreads), gpu::blocks_for(views, kViewsPerThread)),
                dim3(kThreads), &correct_pixels, dark.on(device).data, gain.on(device).data, pixels, views, from, to);
    if (dead.size() > 0)
      gpu::launch(stream, dim3(gpu::blocks_for(dead.size(), kThreads), static_cast<unsigned>(views)), dim3(kThreads),
                  &bridge_pixels, dead.data, dead.size(), pixels, to);
  }
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
