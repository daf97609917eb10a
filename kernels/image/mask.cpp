#include "kernels/image/mask.hpp"

namespace kiban::image {

void fill_where(Stream& stream, Span<const std::uint8_t, 3> mask, Where where, std::uint8_t value,
                Span<std::uint8_t, 3> values) {
  if (mask.shape() != values.shape()) throw Error(ErrorCode::internal, "a mask of another shape than the values");
  if (values.size() != 0) KIBAN_BACKEND_FOR(stream, fill_masked)(stream, mask, where, value, values);
}

}  // namespace kiban::image
