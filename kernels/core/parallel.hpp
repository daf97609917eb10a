#pragma once
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>

#include <algorithm>
#include <cstdint>

#include "kernels/core/stream.hpp"
#ifdef __SANITIZE_THREAD__
#include "kernels/core/watched_threads.hpp"
#endif

namespace kiban {

/// Calls `body(begin, end)` for disjoint ranges that cover [0, count), each at least half of `grain` long (but for the
/// last), on the threads of `stream`, and the stream's check before each. Results may not depend on how the range was
/// cut: bodies write to places of their own. Errors: what a body or the check throws; the rest of the work is then left
/// undone.
template <class Body>
void parallel_for(const Stream& stream, std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= 0) return;
  // So many pieces that a long run can be stopped within about a hundredth of its time, on one thread, too.
  constexpr std::int64_t kPieces = 128;
  const std::int64_t piece = std::max(grain, (count + kPieces - 1) / kPieces);
  if (stream.threads() == 1 || count <= grain) {
    for (std::int64_t begin = 0; begin < count; begin += piece) {
      stream.check();
      body(begin, std::min(begin + piece, count));
    }
    return;
  }
#ifdef __SANITIZE_THREAD__
  on_watched_threads(stream.threads(), count, piece, [&](std::int64_t begin, std::int64_t end) {
    stream.check();
    body(begin, end);
  });
#else
  stream.execute([&] {
    using Range = oneapi::tbb::blocked_range<std::int64_t>;
    const auto checked_body = [&](const Range& range) {
      stream.check();
      body(range.begin(), range.end());
    };
    oneapi::tbb::parallel_for(Range(0, count, piece), checked_body, oneapi::tbb::simple_partitioner());
  });
#endif
}

}  // namespace kiban
