#include "kernels/core/fork.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "kernels/core/parallel.hpp"

namespace kiban {
namespace {

constexpr std::int64_t kCount = 2000;

/// Work of many small pieces; true if all were done.
bool compute(int threads) {
  const Stream stream(Device{}, threads);
  std::vector<std::int64_t> done(kCount, 0);
  parallel_for(stream, kCount, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) done[static_cast<std::size_t>(i)] = i;
  });
  return std::accumulate(done.begin(), done.end(), std::int64_t{0}) == kCount * (kCount - 1) / 2;
}

/// The exit status of a child that runs `body`, or -1 if it had to be stopped.
template <class Body>
int status_of_child(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);  // a child that waits for threads it does not have waits for ever
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Fork, IsNoticedInTheChildOnly) {
  EXPECT_FALSE(forked());
  EXPECT_EQ(status_of_child([] { return forked() ? 7 : 1; }), 7);
  EXPECT_FALSE(forked());
}

/// oneTBB's threads are in the middle of their work, and hold its locks, whenever the process is copied.
TEST(Fork, ChildrenComputeWhileTheParentDoes) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer does not go on after a fork of several threads";
#endif
  ASSERT_TRUE(compute(2));
  std::atomic<bool> stop{false};
  std::vector<std::jthread> busy;
  for (int k = 0; k < 3; ++k)
    busy.emplace_back([&] {
      while (!stop) ASSERT_TRUE(compute(2));
    });
  for (int k = 0; k < 100; ++k) ASSERT_EQ(status_of_child([] { return compute(2) ? 0 : 1; }), 0) << "child " << k;
  stop = true;
}

TEST(Fork, AChildHasOneThread) {
  EXPECT_EQ(status_of_child([] { return Stream(Device{}, 2).threads(); }), 1);
}

}  // namespace
}  // namespace kiban
