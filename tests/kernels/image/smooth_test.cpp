#include "kernels/image/smooth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "tests/kernels/image/label_maps.hpp"
#include "tests/kernels/image/voxels_test.hpp"
#include "tests/reference/image.hpp"

namespace kiban::image {
namespace {

class SmoothTest : public test::VoxelsTest {};
INSTANTIATE_TEST_SUITE_P(Devices, SmoothTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

TEST_P(SmoothTest, GaussiansAreTheDefinitions) {
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 3, 40}, {7, 20, 33}})
    for (const Vec3& sigma : {Vec3{0, 0, 0}, {1, 1, 1}, {0.4, 2.2, 0}, {7, 0, 3}}) {
      const test::Labels random = test::random_labels(shape, 1000, 0.9, 4);
      const std::vector<double> values(random.begin(), random.end());
      const std::vector<double> truth =
          reference::resampled({values, shape, identity3(), {0, 0, 0}, sigma, false, 0}, shape, 0);
      for (const VoxelType type : {VoxelType::float32, VoxelType::uint16}) {
        const VoxelArray image = there(type, values, shape);
        VoxelArray made(type, shape, GetParam());
        gaussian(stream_, image.span(), sigma, made.span());
        const std::vector<double> found = values_of(made);
        for (std::size_t i = 0; i < truth.size(); ++i)
          EXPECT_NEAR(found[i], truth[i], type == VoxelType::float32 ? 1e-3 : 0.501);
      }
    }
}

TEST_P(SmoothTest, MediansAreTheMiddleOfTheSorted) {
  const std::pair<Element, double> elements[] = {
      {box({1, 1, 1}), 0}, {box({3, 0, 2}), 0}, {cross(), 0}, {ball(2.5, {1, 1, 1}), 2.5}, {box({0, 0, 0}), 0}};
  for (const VoxelType type : test::kAllVoxelTypes)
    for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 2, 300}, {6, 5, 37}})
      for (const auto& [element, radius] : elements) {
        std::mt19937 generator(5);
        std::vector<double> values(static_cast<std::size_t>(element_count<3>(shape)));
        for (double& value : values)
          value = with_voxel_type(type, [&]<class T>() {
            if constexpr (std::is_same_v<T, float>)
              return static_cast<double>(static_cast<float>(generator() % 64) * 0.37F - 9);
            else
              return static_cast<double>(static_cast<T>(generator()));
          });
        const VoxelArray image = there(type, values, shape);
        VoxelArray made(type, shape, GetParam());
        median(stream_, image.span(), element, made.span());
        const std::vector<double> found = values_of(made);
        for (std::int64_t z = 0, at = 0; z < shape[0]; ++z)
          for (std::int64_t y = 0; y < shape[1]; ++y)
            for (std::int64_t x = 0; x < shape[2]; ++x, ++at) {
              std::vector<double> under;
              for (const Element::Row& row : element.rows)
                for (std::int64_t i = x - row.reach; i <= x + row.reach; ++i) {
                  const std::int64_t j = y + row.dy, k = z + row.dz;
                  if (i >= 0 && i < shape[2] && j >= 0 && j < shape[1] && k >= 0 && k < shape[0])
                    under.push_back(values[static_cast<std::size_t>((k * shape[1] + j) * shape[2] + i)]);
                }
              std::ranges::sort(under);
              ASSERT_EQ(found[static_cast<std::size_t>(at)], under[(under.size() - 1) / 2]) << kiban::name(type);
            }
      }
}

TEST_P(SmoothTest, WhatCannotBeIsRefused) {
  const Shape<3> shape{1, 2, 2};
  const VoxelArray image = there(VoxelType::float32, {1, NAN, 2, 3}, shape);
  VoxelArray made(VoxelType::float32, shape, GetParam());
  EXPECT_THROW(median(stream_, image.span(), cross(), made.span()), Error);
  EXPECT_THROW(gaussian(stream_, image.span(), {-1, 0, 0}, made.span()), Error);
  EXPECT_THROW(gaussian(stream_, image.span(), {NAN, 0, 0}, made.span()), Error);
  const VoxelArray whole = there(VoxelType::uint8, {1, 0, 2, 3}, shape);
  VoxelArray result(VoxelType::uint8, shape, GetParam());
  EXPECT_THROW(median(stream_, whole.span(), box({20, 20, 20}), result.span()), Error);
}

}  // namespace
}  // namespace kiban::image
