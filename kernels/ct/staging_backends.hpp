#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/ct/staging.hpp"

namespace kiban::ct {

/// `staged`: where `views` will be, in a buffer that holds `block` [view,row,column].
KIBAN_BACKENDS(stage_views, Stream& stream, const Shape<3>& block, std::shared_ptr<void>& state,
               Span<const float, 3> views, Span<const float, 3>& staged)

/// Copies within host memory, by the stream's threads.
void copy_on_host(const Stream& stream, const float* from, std::int64_t count, float* to);

}  // namespace kiban::ct
