#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/ct/noise_backends.hpp"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/ct/noise_math-inl.hpp"

constexpr unsigned kThreads = 256;

/// One thread a pixel: 8 bytes, and 200 operations of which 60 in double; bound by the latter.
__global__ void __launch_bounds__(kThreads)
    draw_pixels(double photons, std::uint64_t seed, std::uint64_t first_pixel, std::int64_t count, float* values) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) values[i] = noisy_line_integral(values[i], photons, seed, first_pixel + static_cast<std::uint64_t>(i));
}

}  // namespace

void draw_photons(Stream& stream, double photons, std::uint64_t seed, std::uint64_t first_pixel,
                  Span<float, 3> projections) {
  const auto values = projections.on(stream.device());
  gpu::launch(stream, dim3(gpu::blocks_for(values.size(), kThreads)), dim3(kThreads), &draw_pixels, photons, seed,
              first_pixel, values.size(), values.data);
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
