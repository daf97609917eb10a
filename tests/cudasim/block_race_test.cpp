// Blocks that step on each other. Without ThreadSanitizer a race must change an answer to be seen: two blocks take
// turns, and their order differs. A lost update inside one statement changes none here; only ThreadSanitizer sees it.
#include <algorithm>

#include "tests/cudasim/planted.hpp"

namespace kiban::sim_test {
namespace {

__global__ void last_writer_wins(int* out) { out[0] = static_cast<int>(blockIdx.x); }

__global__ void next_block_is_expected_to_be_done(int* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = i == 0 ? 1 : out[i - 1] + 1;
}

/// Reads, waits, and writes: another block has written in between.
__global__ void stale_sum(int* out) {
  const int before = *out;
  __syncthreads();
  if (threadIdx.x == 0) *out = before + 1;
}

#if CUDASIM_TSAN
__global__ void plain_count(int* out) { ++*out; }
#endif
__global__ void atomic_count(int* out) { atomicAdd(out, 1); }
__global__ void atomic_extremes(int* out) {
  const int mine = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicMax(&out[0], mine);
  atomicMin(&out[1], mine);
  if (mine == 5) atomicCAS(&out[2], -7, 11);
  atomicCAS(&out[3], -8, 12);
}
__global__ void atomic_float_sum(float* out) { atomicAdd(out, 0.5f); }

std::vector<int> run(void (*kernel)(int*), unsigned blocks, unsigned threads, const std::vector<int>& begin) {
  Stream stream(kSim);
  DeviceVector<int> out(stream, begin);
  gpu::launch(stream, dim3(blocks), dim3(threads), kernel, out.data());
  return out.values();
}

TEST(BlockRace, TheLastWriterDependsOnTheOrder) {
  expect_race([] { run(last_writer_wins, 8, 1, {-1}); }, [] { return run(last_writer_wins, 8, 1, {-1})[0] != 7; });
}

TEST(BlockRace, ReadingWhatAnotherBlockWritesDependsOnTheOrder) {
  const auto result = [] { return run(next_block_is_expected_to_be_done, 4, 8, std::vector<int>(32, -100)); };
  expect_race([=] { result(); }, [=] { return result()[31] != 32; });
}

TEST(BlockRace, AnUpdateAcrossABarrierIsLost) {
  const auto total = [] { return run(stale_sum, 8, 4, {0})[0]; };
  expect_race([=] { total(); }, [=] { return total() != 8; });
}

#if CUDASIM_TSAN
TEST(BlockRace, AnUpdateLostInsideAStatementIsReported) {
  expect_race([] { run(plain_count, 8, 4, {0}); }, [] { return false; });
}
#endif

TEST(BlockRace, AtomicsAreNoRace) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    EXPECT_EQ(run(atomic_count, 8, 40, {0}), std::vector<int>{320});
    EXPECT_EQ(run(atomic_extremes, 3, 32, {5, 5, -7, -8}), (std::vector<int>{95, 0, 11, 12}));
    Stream stream(kSim);
    DeviceVector<float> sum(stream, {0});
    gpu::launch(stream, dim3(4), dim3(32), atomic_float_sum, sum.data());
    EXPECT_EQ(sum.values(), std::vector<float>{64});
  }
}

/// Notes in which turn each thread of each block came.
__global__ void take_a_number(int* out) {
  const int turn = atomicAdd(&out[0], 1);
  __syncthreads();
  const int again = atomicAdd(&out[0], 1);
  out[1 + 2 * (blockIdx.x * blockDim.x + threadIdx.x)] = turn;
  out[2 + 2 * (blockIdx.x * blockDim.x + threadIdx.x)] = again;
}

TEST(BlockRace, TwoBlocksAreUnderWayAtATime) {
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder use(order);
    const std::vector<int> turns = run(take_a_number, 2, 8, std::vector<int>(33, 0));
    const auto first = std::minmax_element(turns.begin() + 1, turns.begin() + 17);
    const auto second = std::minmax_element(turns.begin() + 17, turns.end());
    EXPECT_LT(*first.first, *second.second);
    EXPECT_LT(*second.first, *first.second);
  }
}

}  // namespace
}  // namespace kiban::sim_test
