#include "kernels/ct/noise.hpp"

#include <fmt/format.h>

#include "kernels/ct/noise_backends.hpp"

namespace kiban::ct {

void add_poisson_noise(Stream& stream, double photons, std::uint64_t seed, std::int64_t first,
                       Span<float, 3> projections) {
  if (!(photons >= 1 && photons <= 1e12))
    throw Error(ErrorCode::usage, fmt::format("{} photons a pixel cannot be counted; give 1 to 1e12", photons));
  if (first < 0) throw Error(ErrorCode::internal, "views to make noisy begin before the first");
  if (projections.size() == 0) return;
  const std::int64_t pixels = projections.extent(1) * projections.extent(2);
  KIBAN_BACKEND_FOR(stream, draw_photons)
  (stream, photons, seed, static_cast<std::uint64_t>(first) * static_cast<std::uint64_t>(pixels), projections);
}

}  // namespace kiban::ct
