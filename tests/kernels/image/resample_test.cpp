#include "kernels/image/resample.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/image/argmax.hpp"
#include "tests/kernels/image/label_maps.hpp"
#include "tests/kernels/image/voxels_test.hpp"
#include "tests/reference/image.hpp"

namespace kiban::image {
namespace {

struct Case {
  const char* name;
  Shape<3> image, result;
  Sampling on;
};

Sampling scaled(const Vec3& scale, const Vec3& offset) {
  return {{Vec3{scale[0], 0, 0}, {0, scale[1], 0}, {0, 0, scale[2]}}, offset};
}

/// A rotation about an oblique axis, and a step.
Sampling rotated(double degrees, double step, const Vec3& offset) {
  const double c = std::cos(degrees * M_PI / 180), s = std::sin(degrees * M_PI / 180), k = 1 / std::sqrt(3.0);
  Sampling on{{}, offset};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) {
      const double across = i == j ? 0 : (j == (i + 1) % 3 ? -k : k);
      on.matrix[i][j] = step * ((i == j ? c : 0) + s * across + (1 - c) * k * k);
    }
  return on;
}

/// No position is half-way between voxels, where rounding would tell.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"same", {5, 6, 37}, {5, 6, 37}, scaled({1, 1, 1}, {0, 0, 0})},
      {"one voxel", {1, 1, 1}, {2, 3, 4}, scaled({0.2, 0.3, 0.4}, {-0.4, -0.3, -0.2})},
      {"two voxels", {2, 2, 2}, {7, 6, 5}, scaled({0.4, 0.3, 0.2}, {-0.2, -0.11, 0})},
      {"growing", {9, 8, 21}, {13, 17, 50}, scaled({0.41, 0.45, 0.7}, {-0.3, -0.26, -0.12})},
      {"shrinking", {30, 25, 90}, {9, 12, 20}, scaled({4.4, 2.1, 3.3}, {1.2, 0.55, 1.15})},
      {"flipped", {9, 8, 21}, {9, 11, 33}, scaled({-0.6, 0.7, -1}, {20.12, 0.21, 8})},
      {"cut and padded", {9, 8, 21}, {14, 13, 40}, scaled({1, 1, 1}, {-7, 3, -2})},
      {"beside", {3, 4, 5}, {3, 4, 5}, scaled({1, 1, 1}, {0, 9, 0})},
      {"turned", {12, 9, 20}, {19, 11, 10}, {{Vec3{0, 0, -1.1}, {0.7, 0, 0}, {0, 1, 0}}, {19.32, 0.21, 0.4}}},
      {"turned and shrunk", {24, 19, 30}, {7, 11, 10}, {{Vec3{0, 2.5, 0}, {0, 0, 2.7}, {2.2, 0, 0}}, {0.3, 0.2, 0.4}}},
      {"rotated", {11, 12, 13}, {10, 11, 18}, rotated(24, 0.9, {-1.31, 2.13, 1.24})},
      {"rotated and shrunk", {21, 22, 23}, {10, 9, 11}, rotated(-31, 2.3, {1.31, 2.13, -1.24})},
  };
  return all;
}

class ResampleTest : public test::VoxelsTest {
 protected:
  std::vector<double> resampled(const VoxelArray& image, const Case& of, const ResampleRule& rule, VoxelType type) {
    VoxelArray made(type, of.result, GetParam());
    resample(stream_, image.span(), of.on, rule, made.span());
    return values_of(made);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, ResampleTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

std::vector<double> random_values(const Shape<3>& shape, double least, double most, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<double> values(static_cast<std::size_t>(element_count<3>(shape)));
  for (double& value : values) value = std::floor(least + (most - least) * generator() * 0x1p-32);
  return values;
}

Vec3 sigma_of(const Case& of, const ResampleRule& rule) {
  Vec3 sigma{};
  if (rule.antialias && rule.interpolation != Interpolation::nearest)
    for (std::size_t a = 0; a < 3; ++a) sigma[a] = std::max(0.0, (norm(of.on.matrix[a]) - 1) / 2);
  return sigma;
}

reference::ResampledImage asked(const std::vector<double>& values, const Case& of, const ResampleRule& rule) {
  return {values, of.image, of.on.matrix, of.on.offset, sigma_of(of, rule), !rule.padding, rule.padding.value_or(0)};
}

TEST_P(ResampleTest, ValuesAreTheDefinitions) {
  for (const Case& of : cases())
    for (const Interpolation interpolation : {Interpolation::nearest, Interpolation::linear, Interpolation::cubic})
      for (const bool extend : {false, true})
        for (const bool antialias : {false, true}) {
          ResampleRule rule{interpolation, antialias, std::nullopt};
          if (!extend) rule.padding = -7;
          const std::vector<double> values = random_values(of.image, -1000, 1000, 5);
          const int degree = interpolation == Interpolation::cubic ? 3 : interpolation == Interpolation::linear ? 1 : 0;
          const std::vector<double> truth = reference::resampled(asked(values, of, rule), of.result, degree);
          const auto found = resampled(there(VoxelType::float32, values, of.image), of, rule, VoxelType::float32);
          double worst = 0;
          for (std::size_t i = 0; i < truth.size(); ++i) worst = std::max(worst, std::abs(found[i] - truth[i]));
          // Positions are rounded to 2^-20 of a voxel, between which values lie up to 2000 apart (a spline's 2.5
          // times).
          EXPECT_LE(worst, degree == 0 ? 0 : 6e-3) << of.name << " degree " << degree << " extend " << extend;
        }
}

TEST_P(ResampleTest, EveryTypeIsRoundedToTheNearest) {
  for (const VoxelType type : test::kAllVoxelTypes)
    for (const Interpolation interpolation : {Interpolation::nearest, Interpolation::linear, Interpolation::cubic}) {
      const Case& of = cases()[3];
      const ResampleRule rule{interpolation, true, 1.0};
      const auto [least, most] = with_voxel_type(type, []<class T>() {
        return std::pair(std::max<double>(std::numeric_limits<T>::lowest(), -30000),
                         std::min<double>(std::numeric_limits<T>::max(), 30000));
      });
      const std::vector<double> values = random_values(of.image, least, most, 6);
      const int degree = interpolation == Interpolation::cubic ? 3 : interpolation == Interpolation::linear ? 1 : 0;
      const std::vector<double> truth = reference::resampled(asked(values, of, rule), of.result, degree);
      const std::vector<double> found = resampled(there(type, values, of.image), of, rule, type);
      const auto [lowest, largest] = with_voxel_type(type, []<class T>() {
        return std::pair<double, double>(std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max());
      });
      for (std::size_t i = 0; i < truth.size(); ++i) {
        const double expected = std::clamp(truth[i], lowest, largest);
        EXPECT_NEAR(found[i], expected, type == VoxelType::float32 ? 0.1 : 0.6) << name(type) << " degree " << degree;
        if (type != VoxelType::float32) {
          EXPECT_EQ(found[i], std::floor(found[i]));
        }
      }
      if (type == VoxelType::float32) continue;
      // Beyond what the type holds, and no number.
      const std::vector<double> wild{-1e30, 1e30, NAN, 3.5, 1, 2, 4, 8};
      const Case row{"row", {1, 1, 8}, {1, 1, 8}, scaled({1, 1, 1}, {0, 0, 0})};
      const std::vector<double> tame =
          resampled(there(VoxelType::float32, wild, row.image), row, {Interpolation::linear, true, 0.0}, type);
      EXPECT_EQ(tame[0], lowest);
      EXPECT_EQ(tame[1], largest);
      EXPECT_EQ(tame[2], 0);
      EXPECT_EQ(tame[3], 4);
    }
}

TEST_P(ResampleTest, NearestKeepsWholeNumbersThatFloatsDoNotHold) {
  const Case row{"row", {1, 1, 3}, {1, 1, 3}, scaled({1, 1, 1}, {0, 0, 0})};
  for (const Interpolation interpolation : {Interpolation::nearest, Interpolation::labels})
    EXPECT_EQ(resampled(there(VoxelType::uint32, {4294967295.0, 16777217.0, 3}, row.image), row,
                        {interpolation, true, 0.0}, VoxelType::uint32),
              (std::vector<double>{4294967295.0, 16777217.0, 3}));
}

/// Each label's weight by the reference's linear interpolation of its mask; where two are as good, either may be taken.
TEST_P(ResampleTest, LabelsHaveTheLargestWeight) {
  for (const Case& of : cases())
    for (const bool antialias : {false, true}) {
      const bool is_rotated = std::string(of.name).starts_with("rotated");
      const ResampleRule rule{Interpolation::labels, antialias && !is_rotated, 9.0};
      const test::Labels labels = test::blobs(of.image, 6, 3, 8);
      std::vector<std::vector<double>> weights;
      for (std::uint32_t label = 0; label <= 6; ++label) {
        std::vector<double> mask;
        for (const std::uint32_t voxel : labels) mask.push_back(voxel == label);
        ResampleRule of_mask = rule;
        of_mask.padding = 0;
        weights.push_back(reference::resampled(asked(mask, of, of_mask), of.result, 1));
      }
      for (const VoxelType type : {VoxelType::uint8, VoxelType::uint16, VoxelType::uint32}) {
        VoxelArray made(type, of.result, GetParam());
        const VoxelArray image = test::to_device(stream_, labels, type, of.image);
        resample(stream_, image.span(), of.on, rule, made.span());
        const test::Labels found = test::to_labels(stream_, made.span());
        for (std::size_t i = 0; i < found.size(); ++i) {
          double largest = 0;
          for (const auto& weight : weights) largest = std::max(largest, weight[i]);
          if (largest == 0) {
            EXPECT_EQ(found[i], 9U) << of.name;
            continue;
          }
          ASSERT_LE(found[i], 6U) << of.name;
          EXPECT_GE(weights[found[i]][i], largest - 1e-5) << of.name << " voxel " << i;
        }
      }
    }
}

TEST_P(ResampleTest, OfEqualLabelsTheSmallest) {
  const Case row{"row", {1, 1, 4}, {1, 1, 3}, scaled({1, 1, 1}, {0.5, 0, 0})};
  EXPECT_EQ(resampled(there(VoxelType::uint8, {5, 3, 3, 4}, row.image), row, {Interpolation::labels, true, 0.0},
                      VoxelType::uint8),
            (std::vector<double>{3, 3, 3}));
}

TEST_P(ResampleTest, ArgmaxIsThatOfResampledLogits) {
  for (const Case& of : cases()) {
    constexpr std::int64_t kClasses = 5;
    std::vector<std::vector<double>> weights;
    std::vector<float> logits;
    for (unsigned c = 0; c < kClasses; ++c) {
      const std::vector<double> values = random_values(of.image, -1000, 1000, 20 + c);
      logits.insert(logits.end(), values.begin(), values.end());
      weights.push_back(reference::resampled(asked(values, of, {Interpolation::linear, false, -5000.0}), of.result, 1));
    }
    const Shape<4> shape{kClasses, of.image[0], of.image[1], of.image[2]};
    Array<float, 4> there(shape, GetParam());
    copy(stream_, Span<const float, 4>(logits.data(), shape), there.span());
    for (const VoxelType type : {VoxelType::uint8, VoxelType::uint16}) {
      VoxelArray labels(type, of.result, GetParam());
      argmax_resample(stream_, there.span(), of.on, 77, labels.span());
      const test::Labels found = test::to_labels(stream_, labels.span());
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (weights[0][i] == -5000) {
          EXPECT_EQ(found[i], 77U) << of.name;
          continue;
        }
        double largest = -5000;
        for (const auto& weight : weights) largest = std::max(largest, weight[i]);
        ASSERT_LT(found[i], kClasses);
        EXPECT_GE(weights[found[i]][i], largest - 0.02) << of.name;
      }
    }
  }
}

TEST_P(ResampleTest, ArgmaxTakesTheFirstOfEqualClassesAndNoNumberNever) {
  const std::vector<float> logits{1, NAN, NAN, 2, 1, NAN, 2, 2, NAN};  // three classes of three voxels
  Array<float, 4> there({3, 1, 1, 3}, GetParam());
  copy(stream_, Span<const float, 4>(logits.data(), {3, 1, 1, 3}), there.span());
  VoxelArray labels(VoxelType::uint8, {1, 1, 3}, GetParam());
  argmax_resample(stream_, there.span(), scaled({1, 1, 1}, {0, 0, 0}), std::nullopt, labels.span());
  EXPECT_EQ(test::to_labels(stream_, labels.span()), (test::Labels{1, 2, 0}));
}

TEST_P(ResampleTest, WhatCannotBeIsRefused) {
  const Case row{"row", {1, 1, 3}, {1, 1, 3}, scaled({1, 1, 1}, {0, 0, 0})};
  const VoxelArray image = there(VoxelType::float32, {1, NAN, 2}, row.image);
  EXPECT_THROW(resampled(image, row, {Interpolation::cubic, true, 0.0}, VoxelType::float32), Error);
  EXPECT_THROW(resampled(image, row, {Interpolation::linear, true, 0.5}, VoxelType::uint8), Error);
  EXPECT_THROW(resampled(image, row, {Interpolation::linear, true, 256.0}, VoxelType::uint8), Error);
  EXPECT_THROW(resampled(image, row, {Interpolation::nearest, true, 0.0}, VoxelType::uint8), Error);
  const Case none{"none", {0, 1, 3}, {1, 1, 3}, row.on};
  EXPECT_THROW(resampled(VoxelArray(VoxelType::uint8, none.image, GetParam()), none, {}, VoxelType::uint8), Error);
  const Case to_none{"to none", {1, 1, 3}, {1, 0, 3}, row.on};
  EXPECT_TRUE(resampled(image, to_none, {}, VoxelType::float32).empty());
}

TEST(Sampling, LeadsFromOneGridToAnother) {
  Grid from{{4, 5, 6}, {0.7, 1.1, 2}, {10, -20, 30}, {Vec3{0, 1, 0}, {0, 0, -1}, {-1, 0, 0}}};
  Grid to{{7, 8, 9}, {0.9, 0.8, 0.5}, {11, -19, 27}, {Vec3{0.8, -0.6, 0}, {0.6, 0.8, 0}, {0, 0, 1}}};
  const Sampling on = sampling(from, to);
  for (const Vec3& index : {Vec3{0, 0, 0}, {3, 0, 1}, {5, 7, 2}}) {
    const Vec3 apart = from.world(on.offset + on.matrix * index) - to.world(index);
    EXPECT_LT(norm(apart), 1e-12);
  }
}

}  // namespace
}  // namespace kiban::image
