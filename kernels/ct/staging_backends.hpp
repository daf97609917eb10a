#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/ct/staging.hpp"

namespace kiban::ct {

/// Replaces the `scans` that are elsewhere by where their views will be, in a buffer that holds `block`
/// [view,row,column].
KIBAN_BACKENDS(stage_views, Stream& stream, const Shape<3>& block, std::shared_ptr<void>& state,
               std::span<Span<const float, 3>> scans)

/// Copies from host memory into `to`, one after the other, by the stream's threads.
void gather_on_host(const Stream& stream, std::span<const Span<const float, 3>> parts, float* to);

}  // namespace kiban::ct
