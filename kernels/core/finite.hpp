#pragma once
#include "kernels/core/array.hpp"
#include "kernels/core/backends.hpp"

namespace kiban {

/// Whether every value is a number:  all |values[z,y,x]| < infinity
///   values [z,y,x] any unit; in host memory (of any stream) or on the stream's device; may be empty, which is true
/// Errors: device (memory of another device).
/// Cost: one read of the values; host memory by the stream's threads. Workspace: 4 bytes on a GPU. Synchronous: on a
/// GPU it comes after all work so far of the stream; host memory that such work writes must be synchronized first.
bool all_finite(Stream& stream, Span<const float, 3> values);

/// Its backends, for the files of this stem. `finite`: the answer, when the call returns.
KIBAN_BACKENDS(check_finite, Stream& stream, Span<const float, 3> values, bool& finite)

}  // namespace kiban
