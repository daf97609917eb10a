#pragma once
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>

#include <cstdint>

#include "kernels/core/stream.hpp"

namespace kiban {

/// Calls `body(begin, end)` for disjoint ranges that cover [0, count), each at least `grain` long (but for the last), on
/// the threads of `stream`. Results may not depend on how the range was cut: bodies write to places of their own.
template <class Body>
void parallel_for(const Stream& stream, std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= 0) return;
  if (stream.threads() == 1 || count <= grain) {
    body(std::int64_t{0}, count);
    return;
  }
  stream.execute([&] {
    using Range = oneapi::tbb::blocked_range<std::int64_t>;
    oneapi::tbb::parallel_for(Range(0, count, grain), [&](const Range& range) { body(range.begin(), range.end()); });
  });
}

}  // namespace kiban
