#include <cmath>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/noise_backends.hpp"

namespace kiban::ct::cpu {
namespace {

using std::cos, std::exp, std::floor, std::log, std::sqrt;
#define KIBAN_HD
#include "kernels/ct/noise_math-inl.hpp"
#undef KIBAN_HD

}  // namespace

void draw_photons(Stream& stream, double photons, std::uint64_t seed, std::uint64_t first_pixel,
                  Span<float, 3> projections) {
  const auto values = projections.host();
  parallel_for(stream, values.size(), 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      values.data[i] = noisy_line_integral(values.data[i], photons, seed, first_pixel + static_cast<std::uint64_t>(i));
  });
}

}  // namespace kiban::ct::cpu
