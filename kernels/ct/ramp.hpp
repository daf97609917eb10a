#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace kiban::ct {

enum class Window { ram_lak, shepp_logan, cosine, hamming, hann };

/// Frequency response of the ramp filter for rows of `columns` pixels zero-padded to `padded` samples.
///   returns [padded/2 + 1]  1/mm, real: the transform of the band-limited ramp's samples (Kak & Slaney 1988, eq. 3.61:
///   h(0) = 1/(4 d^2), h(odd n) = -1/(pi n d)^2, 0 else) times d, times the window, which is zero beyond `cutoff` of
///   the Nyquist frequency.
/// Cost: padded log padded. Exactness: 1e-12 of the largest value.
/// Errors: usage (cutoff outside (0, 1]) · internal (padded < 2 columns - 1).
std::vector<double> ramp_response(std::int64_t columns, std::int64_t padded, double spacing_mm, Window window,
                                  double cutoff);

/// Smallest length >= 2 columns - 1 that is even and a product of 2, 3 and 5.
std::int64_t padded_length(std::int64_t columns);

}  // namespace kiban::ct
