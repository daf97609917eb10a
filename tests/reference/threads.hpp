#pragma once
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace kiban::reference {

/// Calls body(i) for each i in [0, count), on every core.
template <class Body>
void on_threads(std::size_t count, const Body& body) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::jthread> threads;
  for (unsigned t = 1; t < std::thread::hardware_concurrency(); ++t) threads.emplace_back(work);
  work();
}

}  // namespace kiban::reference
