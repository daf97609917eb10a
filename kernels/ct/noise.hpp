#pragma once
#include <cstdint>

#include "kernels/core/array.hpp"

namespace kiban::ct {

/// The noise of counted photons:  I = Poisson(photons exp(-p)),  p' = -ln(max(I, 1) / photons)
///   projections  [n,row,column]  line integrals of views first ... first + n - 1, changed in place
///   photons                      mean counts of a pixel behind nothing
///   seed                         every pixel of every view has random numbers of its own, counted and not drawn in
///   turn
/// Errors: usage (photons outside [1, 1e12]) · internal (first < 0) · device.
/// Cost: about 100 operations a pixel. No workspace. Asynchronous on a GPU.
/// Exactness: bytes independent of threads and of how views are cut; between devices a count may differ by one in 1e12.
/// Sources: Salmon et al., SC 2011 (Philox4x32-10); Giles, ACM Trans. Math. Softw. 42 (2016), eq. 7 (quantiles of
/// Poisson from those of the normal distribution; its error, under 1e-4 in probability, is below that of any practical
/// count).
void add_poisson_noise(Stream& stream, double photons, std::uint64_t seed, std::int64_t first,
                       Span<float, 3> projections);

}  // namespace kiban::ct
