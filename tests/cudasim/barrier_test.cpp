// Barriers: kept, missing, and not reached by all.
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "tests/cudasim/planted.hpp"

namespace kiban::sim_test {
namespace {

struct Tile {
  float value[256];
};

/// Each block turns its 256 values around. `Barrier` false: the planted fault.
template <bool Barrier>
__global__ void reverse_blocks(float* values) {
  Tile& tile = gpu::block_shared<Tile>();
  float* mine = values + 256 * blockIdx.x;
  tile.value[threadIdx.x] = mine[threadIdx.x];
  if constexpr (Barrier) __syncthreads();
  mine[threadIdx.x] = tile.value[255 - threadIdx.x];
}

__global__ void half_of_the_block_waits(int* out) {
  if (threadIdx.x < 16) __syncthreads();
  if (threadIdx.x >= 16) __syncwarp(0xFFFF0000u);
  out[threadIdx.x] = 1;
  if (threadIdx.x >= 16) __syncwarp();
}

__global__ void two_barriers_that_meet(int* out) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}

__global__ void some_leave_early(int* out) {
  if (threadIdx.x >= 20) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

/// Sums 2^k values by halves, a barrier a step, in shared memory; every thread reads the last one's result.
__global__ void sum_block(const float* in, float* out) {
  Tile& tile = gpu::block_shared<Tile>();
  tile.value[threadIdx.x] = in[256 * blockIdx.x + threadIdx.x];
  for (unsigned step = 128; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) tile.value[threadIdx.x] += tile.value[threadIdx.x + step];
  }
  __syncthreads();
  out[256 * blockIdx.x + threadIdx.x] = tile.value[0];
}

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

std::vector<float> reversed(bool barrier) {
  Stream stream(kSim);
  DeviceVector<float> values(stream, ramp(5 * 256));
  gpu::launch(stream, dim3(5), dim3(256), barrier ? reverse_blocks<true> : reverse_blocks<false>, values.data());
  return values.values();
}

bool is_reversed(const std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] != static_cast<float>(i / 256 * 256 + 255 - i % 256)) return false;
  return true;
}

TEST(Barrier, AKernelThatKeepsItIsRightInEveryOrder) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    EXPECT_TRUE(is_reversed(reversed(true)));
  }
}

TEST(Barrier, ManyInALoopAreRightInEveryOrder) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    Stream stream(kSim);
    DeviceVector<float> in(stream, ramp(3 * 256)), out(stream, std::vector<float>(3 * 256));
    gpu::launch(stream, dim3(3), dim3(256), sum_block, in.data(), out.data());
    const std::vector<float> sums = out.values();
    for (std::size_t i = 0; i < sums.size(); ++i)
      ASSERT_EQ(sums[i], static_cast<float>(256 * 256 * (i / 256) + 255 * 128)) << i;
  }
}

TEST(Barrier, AMissingOneIsSeen) {
  expect_race([] { reversed(false); }, [] { return !is_reversed(reversed(false)); });
}

std::string failure_of_kernel(void (*kernel)(int*)) {
  Stream stream(kSim);
  DeviceVector<int> out(stream, std::vector<int>(32));
  return failure_of([&] {
    gpu::launch(stream, dim3(1), dim3(32), kernel, out.data());
    stream.synchronize();
  });
}

TEST(Barrier, OneThatSomeNeverReachIsAFault) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    EXPECT_TRUE(mentions(failure_of_kernel(half_of_the_block_waits), "divergent barrier"));
  }
}

TEST(Barrier, TwoThatMeetAreAFault) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    EXPECT_TRUE(mentions(failure_of_kernel(two_barriers_that_meet), "divergent barrier"));
  }
}

TEST(Barrier, ThreadsThatHaveLeftAreNotWaitedFor) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    EXPECT_EQ(failure_of_kernel(some_leave_early), "");
  }
}

TEST(Barrier, AFaultIsNotBlamedOnTheNextKernel) {
  EXPECT_NE(failure_of_kernel(half_of_the_block_waits), "");
  EXPECT_TRUE(is_reversed(reversed(true)));
}

}  // namespace
}  // namespace kiban::sim_test
