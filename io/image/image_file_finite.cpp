#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "io/image/image_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

// A float is NaN or infinite when all its exponent bits are set. No branch, so that the compiler can use vectors.
bool all_finite(const float* values, std::int64_t count) {
  constexpr std::uint32_t exponent = 0x7f800000;
  std::uint32_t found = 0;
  for (std::int64_t i = 0; i < count; ++i)
    found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(values[i]) & exponent) == exponent);
  return found == 0;
}

}  // namespace

void require_finite(Span<const float, 3> values, const std::string& slice_name, const std::filesystem::path& path,
                    std::int64_t first_slice) {
  const auto view = values.host();
  const std::int64_t columns = view.shape[2];
  for (std::int64_t slice = 0; slice < view.shape[0]; ++slice) {
    const float* const begin = view.data + slice * view.shape[1] * columns;
    if (all_finite(begin, view.shape[1] * columns)) continue;
    const float* bad = begin;
    while (std::isfinite(*bad)) ++bad;
    throw Error(ErrorCode::input,
                fmt::format("{}: {} {}, row {}, column {} (counting from 0) holds {}; replace what is not a number",
                            path.string(), slice_name, first_slice + slice, (bad - begin) / columns,
                            (bad - begin) % columns, std::isnan(*bad) ? "NaN" : "an infinite value"));
  }
}

}  // namespace kiban::io
