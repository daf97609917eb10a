#include "kernels/image/distance.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/image/label_maps.hpp"
#include "tests/reference/image.hpp"

namespace kiban::image {
namespace {

using test::Labels;

constexpr DistanceRule kRules[] = {{false, false}, {true, false}, {false, true}, {true, true}};

class DistanceTest : public testing::TestWithParam<Device> {
 protected:
  std::vector<float> found(const Labels& labels, VoxelType type, const Shape<3>& shape, const Vec3& spacing,
                           const DistanceRule& rule, int threads = 2) {
    Stream stream(GetParam(), threads);
    const VoxelArray there = test::to_device(stream, labels, type, shape);
    Array<float, 3> distances(shape, GetParam());
    distance(stream, there.span(), spacing, rule, distances.span());
    return test::to_host(stream, distances);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, DistanceTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

void expect_near(const std::vector<float>& found, const std::vector<double>& truth, const std::string& what) {
  ASSERT_EQ(found.size(), truth.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::isinf(truth[i]))
      ASSERT_EQ(double{found[i]}, truth[i]) << what << " voxel " << i;
    else
      ASSERT_NEAR(found[i], truth[i], 3e-7 * std::abs(truth[i])) << what << " voxel " << i;
  }
}

/// Flat and long ones, around a vector's width; sparse and dense, one label and several.
TEST_P(DistanceTest, IsThatOfTheNearestOfAllPairs) {
  std::uint32_t seed = 0;
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1},
                                {1, 1, 50},
                                {1, 50, 1},
                                {50, 1, 1},
                                {1, 12, 17},
                                {9, 1, 33},
                                {6, 7, 8},
                                {5, 9, 16},
                                {11, 4, 19},
                                {3, 20, 31}})
    for (const double filled : {0.02, 0.5, 0.97})
      for (const Vec3& spacing : {Vec3{1, 1, 1}, Vec3{0.7, 1.3, 2.9}, Vec3{5, 0.25, 1}})
        for (const DistanceRule& rule : kRules) {
          const Labels labels =
              ++seed % 2 ? test::random_labels(shape, 3, filled, seed) : test::blobs(shape, 3, 4, seed);
          const std::vector<double> truth =
              reference::distances(labels, shape, spacing, rule.labels_apart, rule.is_signed);
          const VoxelType type = seed % 3 == 0   ? VoxelType::uint8
                                 : seed % 3 == 1 ? VoxelType::uint16
                                                 : VoxelType::uint32;
          expect_near(found(labels, type, shape, spacing, rule), truth,
                      testing::PrintToString(shape) + " " + std::to_string(seed));
          if (HasFatalFailure()) return;
        }
}

TEST_P(DistanceTest, IsInfiniteWhereThereIsNothingElse) {
  const Shape<3> shape{3, 4, 21};
  for (const DistanceRule& rule : kRules) {
    for (const float distance : found(Labels(3 * 4 * 21, 7), VoxelType::uint8, shape, {1, 2, 3}, rule))
      ASSERT_EQ(distance, rule.is_signed ? -INFINITY : INFINITY);
    for (const float distance : found(Labels(3 * 4 * 21, 0), VoxelType::uint8, shape, {1, 2, 3}, rule))
      ASSERT_EQ(distance, rule.is_signed ? INFINITY : 0);
  }
}

/// A single voxel of background in a solid block, and of a block in background: analytic, and far.
TEST_P(DistanceTest, FromOneVoxelIsAnalytic) {
  const Shape<3> shape{40, 30, 50};
  const Vec3 spacing{0.8, 1.1, 2.5};
  for (const bool hole : {false, true}) {
    Labels labels(40 * 30 * 50, hole ? 1 : 0);
    labels[(3 * 30 + 28) * 50 + 7] = hole ? 0 : 1;
    const std::vector<float> distances = found(labels, VoxelType::uint8, shape, spacing, {false, true});
    std::size_t i = 0;
    for (int z = 0; z < 40; ++z)
      for (int y = 0; y < 30; ++y)
        for (int x = 0; x < 50; ++x, ++i) {
          if (z == 3 && y == 28 && x == 7) continue;
          const double truth = std::hypot(0.8 * (x - 7), 1.1 * (y - 28), 2.5 * (z - 3));
          ASSERT_NEAR(distances[i], hole ? -truth : truth, 3e-7 * truth) << z << " " << y << " " << x;
        }
  }
}

TEST_P(DistanceTest, DoesNotDependOnThreadsNorOnTheType) {
  const Shape<3> shape{17, 19, 70};
  const Labels labels = test::blobs(shape, 5, 6, 4);
  for (const DistanceRule& rule : kRules) {
    const std::vector<float> one = found(labels, VoxelType::uint8, shape, {1, 1.5, 2}, rule, 1);
    EXPECT_EQ(found(labels, VoxelType::uint16, shape, {1, 1.5, 2}, rule, 3), one);
    EXPECT_EQ(found(labels, VoxelType::uint32, shape, {1, 1.5, 2}, rule, 7), one);
  }
}

/// In voxels of 1 mm squares are whole numbers, so that roots are the nearest floats.
TEST_P(DistanceTest, IsExactWhereSquaresAreWholeNumbers) {
  const Shape<3> shape{12, 13, 37};
  const Labels labels = test::random_labels(shape, 1, 0.99, 9);
  const std::vector<double> truth = reference::distances(labels, shape, {1, 1, 1}, false, false);
  const std::vector<float> distances = found(labels, VoxelType::uint8, shape, {1, 1, 1}, {});
  for (std::size_t i = 0; i < truth.size(); ++i) ASSERT_EQ(distances[i], static_cast<float>(truth[i])) << i;
}

TEST_P(DistanceTest, RefusesASpacingThatIsNone) {
  for (const double bad : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY), 1e300}) {
    try {
      found({1, 0}, VoxelType::uint8, {1, 1, 2}, {1, bad, 1}, {});
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
    }
  }
}

TEST_P(DistanceTest, OfNothingIsNothing) { EXPECT_TRUE(found({}, VoxelType::uint8, {0, 3, 4}, {1, 1, 1}, {}).empty()); }

}  // namespace
}  // namespace kiban::image
