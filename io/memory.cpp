#include "io/memory.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "kernels/core/device.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {

void require_memory(std::int64_t bytes, const std::string& what) {
  const std::int64_t available = available_memory_bytes();
  if (bytes > available)
    throw Error(ErrorCode::input,
                fmt::format("{} need {:.1f} GiB of memory and {:.1f} GiB are free; crop the data, or use "
                            "a machine with more memory",
                            what, static_cast<double>(bytes) / (1 << 30), static_cast<double>(available) / (1 << 30)),
                ENOMEM);
}

}  // namespace kiban::io
