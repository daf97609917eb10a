#pragma once
#include "kernels/core/array.hpp"
#include "kernels/core/backends.hpp"

namespace kiban::skeleton {

/// Straight line through every value:  values[z,y,x] = scale values[z,y,x] + offset
///   scale    1       factor
///   offset   any     unit of the values
///   values   [z,y,x] any, changed in place; may be empty
/// Errors: device (memory elsewhere).
/// Cost: one read and one write of the values. Workspace: none. On a GPU asynchronous.
/// Exactness: one rounding where the instruction set fuses product and sum, else two; independent of threads.
void affine(Stream& stream, float scale, float offset, Span<float, 3> values);

/// Its backends, for the files of this stem.
KIBAN_BACKENDS(affine, Stream& stream, float scale, float offset, Span<float, 3> values)

}  // namespace kiban::skeleton
