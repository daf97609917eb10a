#pragma once
#include <cstdint>

#include "kernels/core/backends.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::image {

enum class Where { zero, not_zero };

/// values[z,y,x] = value where the mask is (not) zero: what is common to two masks, what only one has, or both.
///   mask, values [z,y,x]
/// Errors: internal (shapes) · device. Cost: one read of the mask, one write. Ordered on the stream. Exact.
void fill_where(Stream& stream, Span<const std::uint8_t, 3> mask, Where where, std::uint8_t value,
                Span<std::uint8_t, 3> values);

KIBAN_BACKENDS(fill_masked, Stream& stream, Span<const std::uint8_t, 3> mask, Where where, std::uint8_t value,
               Span<std::uint8_t, 3> values)

}  // namespace kiban::image
