// Who may touch device memory, and how far. What ends a process on a GPU ends it here, so these are death tests; each
// has a twin that does it right and lives.
#include <cmath>
#include <csignal>
#include <cstdlib>

#include "tests/cudasim/planted.hpp"

namespace kiban::sim_test {
namespace {

#if CUDASIM_ASAN
constexpr char kTouched[] = "AddressSanitizer: SEGV";
constexpr char kBeyond[] = "AddressSanitizer";
#elif CUDASIM_TSAN
constexpr char kTouched[] = "ThreadSanitizer: SEGV";
constexpr char kBeyond[] = "ThreadSanitizer: SEGV";
#else
constexpr char kTouched[] = "the host touched device memory";
constexpr char kBeyond[] = "out of bounds: access beyond the end of device memory";
#endif

__global__ void write_at(float* values, int at) { values[at] = 1; }
__global__ void read_at(const float* values, int at, float* out) { *out = values[at]; }

struct Sixteen {
  float value[16];
};
__global__ void write_shared_at(float* out, int at) {
  Sixteen& shared = gpu::block_shared<Sixteen>();
  float* beyond = shared.value;
  beyond[at] = 1;
  *out = beyond[at];
}
__global__ void read_unset_shared(float* out) { *out = gpu::block_shared<Sixteen>().value[threadIdx.x]; }

class Memory : public ::testing::Test {
 protected:
  Memory() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

float host_read(bool copied) {
  Stream stream(kSim);
  DeviceVector<float> values(stream, {1, 2, 3});
  return copied ? values.values()[1] : *static_cast<volatile float*>(values.data() + 1);
}

TEST_F(Memory, AHostReadDies) {
  EXPECT_EQ(host_read(true), 2);
  EXPECT_DEATH(std::exit(host_read(false) == 2 ? 0 : 1), kTouched);
}

TEST_F(Memory, AHostWriteDiesAlsoAfterAKernel) {
  Stream stream(kSim);
  DeviceVector<float> values(stream, {1, 2, 3});
  gpu::launch(stream, dim3(1), dim3(1), write_at, values.data(), 2);
  EXPECT_EQ(values.values()[2], 1);
  EXPECT_DEATH(*static_cast<volatile float*>(values.data()) = 4, kTouched);
}

// 16 floats end right at the guard page.
void touch_beyond_the_guard(int at) {
  Stream stream(kSim);
  DeviceVector<float> values(stream, std::vector<float>(16));
  gpu::launch(stream, dim3(1), dim3(1), write_at, values.data(), at);
  stream.synchronize();
}

TEST_F(Memory, AnAccessBeyondTheEndDies) {
  touch_beyond_the_guard(15);
  EXPECT_DEATH(touch_beyond_the_guard(16), kBeyond);
}

// 5 floats leave 44 bytes up to the guard page.
std::string write_into_the_slack(int at) {
  return failure_of([=] {
    Stream stream(kSim);
    DeviceVector<float> values(stream, std::vector<float>(5));
    gpu::launch(stream, dim3(1), dim3(1), write_at, values.data(), at);
    stream.synchronize();
  });
}

TEST_F(Memory, AWriteJustOutsideIsSeen) {
  EXPECT_EQ(write_into_the_slack(4), "");
  for (const int at : {5, 15, -1}) {
#if CUDASIM_ASAN
    EXPECT_DEATH(write_into_the_slack(at), "AddressSanitizer: use-after-poison");
#else
    EXPECT_TRUE(mentions(write_into_the_slack(at), "out of bounds")) << at;
#endif
  }
  EXPECT_EQ(write_into_the_slack(4), "");
}

float read_the_slack(int at) {
  Stream stream(kSim);
  DeviceVector<float> values(stream, std::vector<float>(5, 3)), out(stream, {0});
  gpu::launch(stream, dim3(1), dim3(1), read_at, values.data(), at, out.data());
  return out.values()[0];
}

TEST_F(Memory, AReadJustOutsideIsSeen) {
  EXPECT_EQ(read_the_slack(4), 3);
#if CUDASIM_ASAN
  EXPECT_DEATH(read_the_slack(5), "AddressSanitizer: use-after-poison");
#else
  EXPECT_TRUE(std::isnan(read_the_slack(5)));
#endif
}

float touch_shared(int at) {
  Stream stream(kSim);
  DeviceVector<float> out(stream, {0});
  gpu::launch(stream, dim3(1), dim3(1), write_shared_at, out.data(), at);
  return out.values()[0];
}

TEST_F(Memory, AnAccessBeyondSharedMemoryDies) {
  EXPECT_EQ(touch_shared(15), 1);
  EXPECT_DEATH(touch_shared(16), CUDASIM_ASAN ? "AddressSanitizer" : CUDASIM_TSAN ? "ThreadSanitizer: SEGV" : "");
#if CUDASIM_ASAN
  EXPECT_DEATH(touch_shared(-1), "AddressSanitizer: use-after-poison");
#endif
}

TEST_F(Memory, SharedMemoryIsNanInEachBlock) {
  Stream stream(kSim);
  DeviceVector<float> out(stream, {0});
  gpu::launch(stream, dim3(1), dim3(1), write_shared_at, out.data(), 0);
  gpu::launch(stream, dim3(1), dim3(1), read_unset_shared, out.data());
  EXPECT_TRUE(std::isnan(out.values()[0]));
}

TEST_F(Memory, CopiesAreHeldToTheAllocation) {
  Stream stream(kSim);
  Array<float, 1> there({10}, kSim);
  std::vector<float> here(20);
  float* data = there.span().on(kSim).data;
  const auto copy_of = [&](void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const cudaError_t status = cudaMemcpyAsync(to, from, bytes, kind, gpu::native(stream));
    cudaGetLastError();
    return status;
  };
  EXPECT_EQ(copy_of(data, here.data(), 40, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(copy_of(data, here.data(), 44, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(copy_of(data + 8, here.data(), 12, cudaMemcpyDefault), cudaErrorInvalidValue);
  EXPECT_EQ(copy_of(here.data(), data, 40, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(copy_of(here.data(), data, 40, cudaMemcpyDeviceToHost), cudaSuccess);
  stream.synchronize();
}

TEST_F(Memory, PinnedMemoryIsTheHosts) {
  float* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&pinned), 4 * sizeof(float)), cudaSuccess);
  Stream stream(kSim);
  DeviceVector<float> values(stream, {1, 2, 3, 4});
  ASSERT_EQ(cudaMemcpyAsync(pinned, values.data(), 16, cudaMemcpyDeviceToHost, gpu::native(stream)), cudaSuccess);
  stream.synchronize();
  EXPECT_EQ(pinned[3], 4);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

}  // namespace
}  // namespace kiban::sim_test
