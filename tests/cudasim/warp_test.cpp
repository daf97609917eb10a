// Warp collectives: values, groups that go their own ways, masks that are wrong.
#include <numeric>

#include "tests/cudasim/planted.hpp"

namespace kiban::sim_test {
namespace {

/// The two halves of a warp exchange a different number of times.
__global__ void halves_apart(int* out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const unsigned mask = lane < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  int value = lane;
  for (int round = 0; round < (lane < 16 ? 5 : 3); ++round) value = __shfl_xor_sync(mask, value, 1, 16);
  if (lane >= 16)
    for (int round = 0; round < 4; ++round) value = __shfl_xor_sync(mask, value, 2, 16);
  out[threadIdx.x] = value;
}

__global__ void suffix_sums(int* out) {
  int value = 1;
  for (unsigned step = 1; step < 32; step *= 2) {
    const int other = __shfl_down_sync(~0u, value, step);
    if (threadIdx.x % 32 + step < 32) value += other;
  }
  out[threadIdx.x] = value;
}

__global__ void votes(int* out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const unsigned odd = __ballot_sync(~0u, lane % 2);
  const bool right = odd == 0xAAAAAAAAu && __any_sync(~0u, lane == 7) && !__any_sync(~0u, lane > 31) &&
                     __all_sync(~0u, lane < 32) && !__all_sync(~0u, lane != 31) && __shfl_sync(~0u, lane, 9) == 9 &&
                     __shfl_up_sync(~0u, lane, 3u) == (lane < 3 ? lane : lane - 3);
  out[threadIdx.x] = right;
}

struct Staged {
  int value[64];
};

/// What a lane wrote before __syncwarp the others read after it.
__global__ void through_shared_memory(int* out) {
  Staged& staged = gpu::block_shared<Staged>();
  staged.value[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncwarp();
  out[threadIdx.x] = staged.value[threadIdx.x ^ 1];
}

__global__ void last_lanes_left(int* out) {
  if (threadIdx.x % 32 >= 20) return;
  out[threadIdx.x] = __ballot_sync(~0u, 1) == 0xFFFFFu;
}

__global__ void not_in_the_mask(int* out) { out[threadIdx.x] = __shfl_sync(0xFFFFu, 1, 0); }
__global__ void masks_disagree(int* out) { out[threadIdx.x] = __shfl_sync(threadIdx.x < 16 ? ~0u : 0xFFFF0000u, 1, 0); }
__global__ void some_never_come(int* out) {
  if (threadIdx.x % 32 < 31) out[threadIdx.x] = __shfl_sync(~0u, 1, 0);
  __syncthreads();
}
__global__ void collectives_differ(int* out) {
  out[threadIdx.x] = threadIdx.x % 2 ? __shfl_sync(~0u, 1, 0) : __shfl_xor_sync(~0u, 1, 1);
}

std::vector<int> run(void (*kernel)(int*)) {
  Stream stream(kSim);
  DeviceVector<int> out(stream, std::vector<int>(64, -1));
  gpu::launch(stream, dim3(1), dim3(64), kernel, out.data());
  return out.values();
}

class Warp : public ::testing::TestWithParam<cudasim::Order> {
 protected:
  cudasim::ScopedOrder use_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Orders, Warp, ::testing::ValuesIn(cudasim::kOrders));

TEST_P(Warp, GroupsDoNotInterfere) {
  const std::vector<int> out = run(halves_apart);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i % 32 ^ 1);
}

TEST_P(Warp, ShufflesAddUp) {
  const std::vector<int> out = run(suffix_sums);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], 32 - i % 32);
}

TEST_P(Warp, VotesAndShufflesMeanWhatCudaSays) { EXPECT_EQ(run(votes), std::vector<int>(64, 1)); }

TEST_P(Warp, SyncwarpOrdersMemory) {
  const std::vector<int> out = run(through_shared_memory);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i ^ 1);
}

TEST_P(Warp, LanesThatHaveLeftAreNotWaitedFor) {
  const std::vector<int> out = run(last_lanes_left);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i % 32 < 20 ? 1 : -1);
}

TEST_P(Warp, WrongMasksAreFaults) {
  EXPECT_TRUE(mentions(failure_of([] { run(not_in_the_mask); }), "wrong warp mask"));
  EXPECT_TRUE(mentions(failure_of([] { run(masks_disagree); }), "wrong warp mask"));
  EXPECT_NE(failure_of([] { run(some_never_come); }), "");
  EXPECT_TRUE(mentions(failure_of([] { run(collectives_differ); }), "divergent warp"));
}

}  // namespace
}  // namespace kiban::sim_test
