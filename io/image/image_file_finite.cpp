#include <fmt/format.h>

#include <cmath>

#include "io/image/image_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/finite.hpp"

namespace kiban::io {

void require_finite(Span<const float, 3> values, const std::string& slice_name, const std::filesystem::path& path,
                    std::int64_t first_slice) {
  Stream this_thread(Device{}, 1);
  if (all_finite(this_thread, values)) return;
  const auto view = values.host();
  const std::int64_t columns = view.shape[2], pixels = view.shape[1] * columns;
  std::int64_t bad = 0;
  while (std::isfinite(view.data[bad])) ++bad;
  throw Error(ErrorCode::input,
              fmt::format("{}: {} {}, row {}, column {} (counting from 0) holds {}; replace what is not a number",
                          path.string(), slice_name, first_slice + bad / pixels, bad % pixels / columns, bad % columns,
                          std::isnan(view.data[bad]) ? "NaN" : "an infinite value"));
}

}  // namespace kiban::io
