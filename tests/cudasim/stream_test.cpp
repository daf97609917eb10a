// Streams do nothing before somebody waits for them, so a forgotten wait shows.
#include <thread>

#include "kernels/core/device_hooks.hpp"
#include "tests/cudasim/planted.hpp"

namespace kiban::sim_test {
namespace {

__global__ void add_to(int* values, int n, int what) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) values[i] += what;
}
__global__ void multiply(const int* in, int* out, int n, int factor) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = factor * in[i];
}

TEST(Streams, AForgottenWaitShows) {
  Stream stream(kSim);
  DeviceVector<int> values(stream, {1});
  int here = -1;
  gpu::launch(stream, dim3(1), dim3(1), add_to, values.data(), 1, 4);
  ASSERT_EQ(cudaMemcpyAsync(&here, values.data(), sizeof here, cudaMemcpyDeviceToHost, gpu::native(stream)),
            cudaSuccess);
  EXPECT_EQ(here, -1);
  stream.synchronize();
  EXPECT_EQ(here, 5);
}

TEST(Streams, HostMemoryIsReadWhenTheCopyIsDone) {
  Stream stream(kSim);
  DeviceVector<int> values(stream, {1});
  int here = 10;
  ASSERT_EQ(cudaMemcpyAsync(values.data(), &here, sizeof here, cudaMemcpyHostToDevice, gpu::native(stream)),
            cudaSuccess);
  here = 20;  // too early
  EXPECT_EQ(values.values()[0], 20);
}

/// One stream makes, another one uses. `waits` false: the planted fault.
int made_and_used(bool waits) {
  Stream maker(kSim), user(kSim);
  DeviceVector<int> made(maker, {-1}), used(maker, {-1});
  gpu::launch(maker, dim3(1), dim3(1), add_to, made.data(), 1, 8);
  if (waits) sim::stream_wait(0, user.native(), maker.native());
  gpu::launch(user, dim3(1), dim3(1), multiply, made.data(), used.data(), 1, 3);
  int here = 0;
  EXPECT_EQ(cudaMemcpyAsync(&here, used.data(), sizeof here, cudaMemcpyDeviceToHost, gpu::native(user)), cudaSuccess);
  maker.synchronize();  // by luck in the right order, when nothing but this stream moves
  user.synchronize();
  return here;
}

TEST(Streams, AMissingWaitBetweenStreamsShowsInSomeOrder) {
  bool seen = false;
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    EXPECT_EQ(made_and_used(true), 21);
    seen = seen || made_and_used(false) != 21;
  }
  EXPECT_TRUE(seen);
}

TEST(Streams, AnEventCanBeWaitedForByTheHost) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    Stream stream(kSim);
    DeviceVector<int> values(stream, {0});
    int first = -1, second = -1;
    cudaEvent_t event = nullptr;
    ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);  // not recorded: nothing to wait for
    gpu::launch(stream, dim3(1), dim3(1), add_to, values.data(), 1, 1);
    cudaMemcpyAsync(&first, values.data(), sizeof first, cudaMemcpyDeviceToHost, gpu::native(stream));
    ASSERT_EQ(cudaEventRecord(event, gpu::native(stream)), cudaSuccess);
    gpu::launch(stream, dim3(1), dim3(1), add_to, values.data(), 1, 1);
    cudaMemcpyAsync(&second, values.data(), sizeof second, cudaMemcpyDeviceToHost, gpu::native(stream));
    EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, -1);
    EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
    stream.synchronize();
    EXPECT_EQ(second, 2);
  }
}

TEST(Streams, ABadLaunchIsRefusedAtOnce) {
  Stream stream(kSim);
  DeviceVector<int> values(stream, {0});
  const auto launch_of = [&](dim3 grid, dim3 block) {
    return failure_of([&] { gpu::launch(stream, grid, block, add_to, values.data(), 1, 1); });
  };
  EXPECT_TRUE(mentions(launch_of(dim3(1), dim3(1025)), "invalid configuration"));
  EXPECT_TRUE(mentions(launch_of(dim3(0), dim3(1)), "invalid configuration"));
  EXPECT_TRUE(mentions(launch_of(dim3(1, 65536), dim3(1)), "invalid configuration"));
  EXPECT_TRUE(mentions(launch_of(dim3(1), dim3(1, 1, 65)), "invalid configuration"));
  EXPECT_EQ(launch_of(dim3(1), dim3(1024)), "");
  EXPECT_EQ(values.values()[0], 1);
}

TEST(Streams, HostThreadsMayHaveStreamsOfTheirOwn) {
  constexpr int kCount = 1000;
  std::vector<std::thread> threads;
  std::vector<std::vector<int>> results(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([=, &results] {
      Stream stream(kSim);
      DeviceVector<int> values(stream, std::vector<int>(kCount, t));
      for (int round = 0; round < 10; ++round)
        gpu::launch(stream, dim3(8), dim3(128), add_to, values.data(), kCount, round);
      results[static_cast<std::size_t>(t)] = values.values();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) EXPECT_EQ(results[static_cast<std::size_t>(t)], std::vector<int>(kCount, t + 45));
}

TEST(Streams, AKernelThatNeverWaitsCostsNoSwitchesOfItsThreads) {
  if (CUDASIM_TSAN) GTEST_SKIP() << "under ThreadSanitizer every thread has a stack of its own";
  Stream stream(kSim);
  DeviceVector<int> values(stream, std::vector<int>(100000, 1));
  const std::size_t before = cudasim::switches();
  gpu::launch(stream, dim3(391), dim3(256), add_to, values.data(), 100000, 1);
  EXPECT_EQ(values.values(), std::vector<int>(100000, 2));
  EXPECT_LE(cudasim::switches() - before, 2u);  // in and out
}

}  // namespace
}  // namespace kiban::sim_test
