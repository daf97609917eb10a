#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/ct/noise.hpp"

namespace kiban::ct {

/// `first_pixel`: number in the whole scan of the first value.
KIBAN_BACKENDS(draw_photons, Stream& stream, double photons, std::uint64_t seed, std::uint64_t first_pixel,
               Span<float, 3> projections)

}  // namespace kiban::ct
