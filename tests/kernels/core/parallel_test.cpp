#include "kernels/core/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace kiban {
namespace {

class Parallel : public testing::TestWithParam<int> {};

TEST_P(Parallel, CoversEveryIndexOnce) {
  const Stream stream(Device{}, GetParam());
  for (const std::int64_t count : {0, 1, 2, 127, 128, 129, 1000, 100003})
    for (const std::int64_t grain : {1, 7, 100000}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
      parallel_for(stream, count, grain, [&](std::int64_t begin, std::int64_t end) {
        ASSERT_LT(begin, end);
        for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
      });
      for (const std::atomic<int>& visit : visits) ASSERT_EQ(visit, 1) << count << ' ' << grain;
    }
}

TEST_P(Parallel, StopsWhereTheCheckThrows) {
  Stream stream(Device{}, GetParam());
  std::atomic<bool> stop{false};
  std::atomic<int> pieces{0};
  stream.check_between_pieces([&] {
    if (stop) throw std::runtime_error("stop");
  });
  const auto run = [&] {
    parallel_for(stream, 100000, 1, [&](std::int64_t, std::int64_t) {
      ++pieces;
      stop = true;
    });
  };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_LE(pieces, GetParam());  // each thread may have been in one
  pieces = 0;
  stream.check_between_pieces({});
  run();
  EXPECT_GE(pieces, 100);
}

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2));

}  // namespace
}  // namespace kiban
