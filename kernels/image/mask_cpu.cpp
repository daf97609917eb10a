#include "kernels/core/parallel.hpp"
#include "kernels/image/mask.hpp"

namespace kiban::image::cpu {

void fill_masked(Stream& stream, Span<const std::uint8_t, 3> mask, Where where, std::uint8_t value,
                 Span<std::uint8_t, 3> values) {
  const std::uint8_t* const marks = mask.host().data;
  std::uint8_t* const made = values.host().data;
  const bool of_zero = where == Where::zero;
  parallel_for(stream, values.size(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) made[i] = (marks[i] == 0) == of_zero ? value : made[i];
  });
}

}  // namespace kiban::image::cpu
