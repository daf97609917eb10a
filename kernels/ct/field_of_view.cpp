#include "kernels/ct/field_of_view.hpp"

#include "kernels/core/backends.hpp"

namespace kiban::ct {

KIBAN_BACKENDS(mask_outside, Stream&, std::span<const ProjectionMatrix>, std::int64_t rows, std::int64_t columns,
               float outside, Span<float, 3> volume)

void mask_field_of_view(Stream& stream, std::span<const ProjectionMatrix> matrices, std::int64_t rows,
                        std::int64_t columns, float outside, Span<float, 3> volume) {
  if (volume.size() == 0) return;
  KIBAN_BACKEND_FOR(stream, mask_outside)(stream, matrices, rows, columns, outside, volume);
}

}  // namespace kiban::ct
