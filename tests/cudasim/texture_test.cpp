// Textures against the definition in double: bilinear between pixel centres, zero outside, fractions of 8 bits.
#include "kernels/core/cuda/texture.cuh"

#include <cmath>
#include <random>

#include "tests/cudasim/planted.hpp"

namespace kiban::sim_test {
namespace {

constexpr int kLayers = 3, kRows = 5, kColumns = 7, kPitch = 9, kLayerRows = 6;

__global__ void fetch(cudaTextureObject_t texture, const float3* at, float* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = tex2DLayered<float>(texture, at[i].x + 0.5f, at[i].y + 0.5f, static_cast<int>(at[i].z));
}
__global__ void fetch3d(cudaTextureObject_t texture, const float3* at, float* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = tex3D<float>(texture, at[i].x + 0.5f, at[i].y + 0.5f, at[i].z + 0.5f);
}

double pixel(const std::vector<float>& pixels, int x, int y, int layer) {
  if (x < 0 || x >= kColumns || y < 0 || y >= kRows || layer < 0 || layer >= kLayers) return 0;
  return pixels[static_cast<std::size_t>((layer * kLayerRows + y) * kPitch + x)];
}

/// Linear along each of the axes, with the weights rounded to `bits` (0: not at all).
double sample(const std::vector<float>& pixels, const float3& at, bool along_z, int bits) {
  const auto weight = [&](double position, int texel) {
    double fraction = position - std::floor(position);
    if (bits) fraction = std::round(fraction * (1 << bits)) / (1 << bits);
    return texel == 0 ? 1 - fraction : fraction;
  };
  const int x = static_cast<int>(std::floor(at.x)), y = static_cast<int>(std::floor(at.y)),
            z = static_cast<int>(std::floor(at.z));
  double sum = 0;
  for (int dz = 0; dz < (along_z ? 2 : 1); ++dz)
    for (int dy = 0; dy < 2; ++dy)
      for (int dx = 0; dx < 2; ++dx)
        sum += (along_z ? weight(at.z, dz) : 1) * weight(at.y, dy) * weight(at.x, dx) *
               pixel(pixels, x + dx, y + dy, z + dz);
  return sum;
}

std::vector<float> random_pixels() {
  std::mt19937 random(7);
  std::vector<float> pixels(kLayers * kLayerRows * kPitch);
  for (float& p : pixels) p = std::uniform_real_distribution<float>(-1, 1)(random);
  return pixels;
}

std::vector<float3> positions(bool whole_layers) {
  std::mt19937 random(8);
  std::vector<float3> at = {{0, 0, 0},         {6, 4, 2},     {-1, 0, 1},  {7, 4, 1},
                            {-0.5f, -0.5f, 0}, {6.25f, 2, 1}, {1e9f, 0, 0}};
  for (int i = 0; i < 500; ++i) {
    const float layer = std::uniform_real_distribution<float>(0, kLayers - 0.01f)(random);
    at.push_back({std::uniform_real_distribution<float>(-2, 9)(random),
                  std::uniform_real_distribution<float>(-2, 7)(random), whole_layers ? std::floor(layer) : layer});
  }
  return at;
}

TEST(Texture, LayersAreBilinearWithFractionsOfEightBits) {
  Stream stream(kSim);
  const std::vector<float> pixels = random_pixels();
  const std::vector<float3> at = positions(true);
  DeviceVector<float> there(stream, pixels), out(stream, std::vector<float>(at.size()));
  DeviceVector<float3> where(stream, at);
  gpu::LayeredTexture texture(stream, kLayers, kRows, kColumns);
  texture.load(there.data(), kLayers, kLayerRows, kPitch);
  gpu::launch(stream, dim3(gpu::blocks_for(static_cast<std::int64_t>(at.size()), 64)), dim3(64), fetch,
              texture.object(), where.data(), out.data(), static_cast<int>(at.size()));
  const std::vector<float> got = out.values();
  double rounding = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    EXPECT_NEAR(got[i], sample(pixels, at[i], false, 8), 2e-6) << i;
    rounding = std::max(rounding, std::abs(got[i] - sample(pixels, at[i], false, 0)));
  }
  EXPECT_GT(rounding, 1e-4);  // as coarse as the hardware,
  EXPECT_LT(rounding, 1e-2);  // and no coarser: 2 axes, 1/512 each, differences below 2
}

TEST(Texture, LoadingIsWorkOfTheStream) {
  Stream stream(kSim);
  std::vector<float> pixels(kLayers * kLayerRows * kPitch, 1);
  DeviceVector<float> there(stream, pixels), out(stream, {0});
  DeviceVector<float3> where(stream, {{1, 1, 1}});
  gpu::LayeredTexture texture(stream, kLayers, kRows, kColumns);
  texture.load(there.data(), kLayers, kLayerRows, kPitch);
  gpu::launch(stream, dim3(1), dim3(1), fetch, texture.object(), where.data(), out.data(), 1);
  ASSERT_EQ(cudaMemsetAsync(there.data(), 0, pixels.size() * sizeof(float), gpu::native(stream)), cudaSuccess);
  texture.load(there.data(), kLayers, kLayerRows, kPitch);
  EXPECT_EQ(out.values()[0], 1);
}

TEST(Texture, MoreThanTheBufferHoldsIsRefused) {
  Stream stream(kSim);
  DeviceVector<float> there(stream, std::vector<float>(kLayers * kLayerRows * kPitch));
  gpu::LayeredTexture texture(stream, kLayers, kRows, kColumns);
  EXPECT_EQ(failure_of([&] { texture.load(there.data(), kLayers, kLayerRows, kPitch); }), "");
  EXPECT_NE(failure_of([&] { texture.load(there.data(), kLayers, kLayerRows + 1, kPitch); }), "");
  EXPECT_NE(failure_of([&] { texture.load(there.data() + 20, kLayers, kLayerRows, kPitch); }), "");
  EXPECT_NE(failure_of([&] { gpu::LayeredTexture(stream, 2049, kRows, kColumns); }), "");
}

TEST(Texture, ThreeDimensionsAreTrilinear) {
  Stream stream(kSim);
  const std::vector<float> pixels = random_pixels();
  const std::vector<float3> at = positions(false);
  DeviceVector<float> there(stream, pixels), out(stream, std::vector<float>(at.size()));
  DeviceVector<float3> where(stream, at);
  const cudaChannelFormatDesc channel = cudaCreateChannelDesc<float>();
  cudaArray_t array = nullptr;
  ASSERT_EQ(cudaMalloc3DArray(&array, &channel, make_cudaExtent(kColumns, kRows, kLayers)), cudaSuccess);
  cudaMemcpy3DParms copy{};
  copy.srcPtr = make_cudaPitchedPtr(there.data(), kPitch * sizeof(float), kPitch, kLayerRows);
  copy.dstArray = array;
  copy.extent = make_cudaExtent(kColumns, kRows, kLayers);
  copy.kind = cudaMemcpyDeviceToDevice;
  ASSERT_EQ(cudaMemcpy3DAsync(&copy, gpu::native(stream)), cudaSuccess);
  cudaResourceDesc resource{};
  resource.res.array.array = array;
  cudaTextureDesc description{};
  description.addressMode[0] = description.addressMode[1] = description.addressMode[2] = cudaAddressModeBorder;
  description.filterMode = cudaFilterModeLinear;
  cudaTextureObject_t texture = 0;
  ASSERT_EQ(cudaCreateTextureObject(&texture, &resource, &description, nullptr), cudaSuccess);
  gpu::launch(stream, dim3(8), dim3(64), fetch3d, texture, where.data(), out.data(), static_cast<int>(at.size()));
  const std::vector<float> got = out.values();
  for (std::size_t i = 0; i < at.size(); ++i) EXPECT_NEAR(got[i], sample(pixels, at[i], true, 8), 2e-6) << i;
  EXPECT_EQ(cudaDestroyTextureObject(texture), cudaSuccess);
  EXPECT_EQ(cudaFreeArray(array), cudaSuccess);
}

}  // namespace
}  // namespace kiban::sim_test
