#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace kiban {

/// What `parallel_for` does in a build for ThreadSanitizer: oneTBB's library is not instrumented, so each of its
/// hand-overs would be taken for a race; the orders that these threads keep are seen, and the bodies' own races found.
template <class Body>
void on_watched_threads(int threads, std::int64_t count, std::int64_t piece, const Body& body) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::int64_t begin = next.fetch_add(piece); begin < count; begin = next.fetch_add(piece))
        body(begin, std::min(begin + piece, count));
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (int k = 1; k < threads; ++k) others.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace kiban
