#include "kernels/skeleton/affine.hpp"

namespace kiban::skeleton {

void affine(Stream& stream, float scale, float offset, Span<float, 3> values) {
  if (values.size() == 0) return;
  KIBAN_BACKEND_FOR(stream, affine)(stream, scale, offset, values);
}

}  // namespace kiban::skeleton
