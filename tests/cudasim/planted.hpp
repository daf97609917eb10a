#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "kernels/core/array.hpp"
#include "kernels/core/cuda/launch.cuh"
#include "tests/cudasim/fiber.hpp"

namespace kiban::sim_test {

inline const Device kSim{DeviceKind::sim, 0};

/// A vector on the device. Kernels get `data()`; `values()` waits, and throws what went wrong on the stream.
template <class T>
class DeviceVector {
 public:
  DeviceVector(Stream stream, const std::vector<T>& values)
      : stream_(stream), there_({static_cast<std::int64_t>(values.size())}, kSim) {
    const Span<const T, 1> here(values.data(), there_.shape());
    copy(stream_, here, there_.span());
    stream_.synchronize();
  }
  T* data() { return there_.span().on(kSim).data; }
  std::vector<T> values() {
    std::vector<T> here(static_cast<std::size_t>(there_.size()));
    copy<T, 1>(stream_, there_.span(), Span<T, 1>(here.data(), there_.shape()));
    stream_.synchronize();
    return here;
  }

 private:
  Stream stream_;
  Array<T, 1> there_;
};

/// The sentence of the Error that `body` ends with; empty if it ends well.
inline std::string failure_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code() == ErrorCode::device ? error.what() : "not a device error";
  }
  return "";
}

inline ::testing::AssertionResult mentions(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << text << "' does not mention '" << part << "'";
}

/// A planted race. Under ThreadSanitizer it is reported, whatever the order; without, `in_some_order` says whether a
/// different answer gives it away.
inline void expect_race([[maybe_unused]] const std::function<void()>& run,
                        [[maybe_unused]] const std::function<bool()>& gives_itself_away) {
#if CUDASIM_TSAN
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // 66 is ThreadSanitizer's exit status after a report.
  EXPECT_EXIT((run(), std::exit(0)), ::testing::ExitedWithCode(66), "ThreadSanitizer: data race");
#else
  bool seen = false;
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    seen = seen || gives_itself_away();
  }
  EXPECT_TRUE(seen) << "the race showed in none of the orders";
#endif
}

}  // namespace kiban::sim_test
