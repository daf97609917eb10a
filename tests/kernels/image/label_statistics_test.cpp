#include "kernels/image/label_statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "tests/kernels/image/label_maps.hpp"

namespace kiban::image {
namespace {

using test::Labels;

class LabelStatisticsTest : public testing::TestWithParam<Device> {
 protected:
  Stream stream_{GetParam(), 3};

  template <class T>
  VoxelArray image(const std::vector<double>& values, const Shape<3>& shape) {
    VoxelArray host(voxel_type<T>(), shape), there(voxel_type<T>(), shape, GetParam());
    for (std::size_t i = 0; i < values.size(); ++i) host.span().as<T>().host().data[i] = static_cast<T>(values[i]);
    copy(stream_, host.span(), there.span());
    stream_.synchronize();
    return there;
  }

  /// Against two passes in long double.
  void expect_right(const Labels& labels, VoxelType type, const std::vector<double>& values,
                    const ConstVoxelSpan& image, const Shape<3>& shape) {
    const VoxelArray there = test::to_device(stream_, labels, type, shape);
    const std::vector<LabelStatistics> found = label_statistics(stream_, there.span(), image);
    std::map<std::uint32_t, std::vector<std::size_t>> places;
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (labels[i] != 0) places[labels[i]].push_back(i);
    ASSERT_EQ(found.size(), places.size());
    std::size_t k = 0;
    for (const auto& [label, of_label] : places) {
      const LabelStatistics& got = found[k++];
      ASSERT_EQ(got.label, label);
      ASSERT_EQ(got.voxels, static_cast<std::int64_t>(of_label.size()));
      long double sum = 0, squares = 0, largest_value = 0;
      double least = INFINITY, largest = -INFINITY;
      std::array<long double, 3> index_sum{};
      std::array<std::int64_t, 3> first{INT64_MAX, INT64_MAX, INT64_MAX}, last{-1, -1, -1};
      for (const std::size_t i : of_label) {
        const auto at = static_cast<std::int64_t>(i);
        const std::int64_t index[3] = {at % shape[2], at / shape[2] % shape[1], at / shape[2] / shape[1]};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          index_sum[axis] += static_cast<long double>(index[axis]);
          first[axis] = std::min(first[axis], index[axis]);
          last[axis] = std::max(last[axis], index[axis]);
        }
        sum += values[i];
        least = std::min(least, values[i]);
        largest = std::max(largest, values[i]);
      }
      const auto count = static_cast<long double>(of_label.size());
      for (const std::size_t i : of_label) squares += (values[i] - sum / count) * (values[i] - sum / count);
      for (const double value : values) largest_value = std::max<long double>(largest_value, std::abs(value));
      EXPECT_EQ(got.first, first) << label;
      EXPECT_EQ(got.last, last) << label;
      for (std::size_t axis = 0; axis < 3; ++axis)
        EXPECT_NEAR(got.centroid[axis], static_cast<double>(index_sum[axis] / count), 1e-12 * 100) << label;
      if (image.data() == nullptr) continue;
      const auto bound = static_cast<double>(1e-9L * largest_value);
      EXPECT_NEAR(got.mean, static_cast<double>(sum / count), bound) << label;
      EXPECT_NEAR(got.deviation, static_cast<double>(std::sqrt(squares / count)), 2 * bound) << label;
      EXPECT_EQ(got.least, least) << label;
      EXPECT_EQ(got.largest, largest) << label;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, LabelStatisticsTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

std::vector<double> whole_numbers(std::size_t count, double from, double to, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<double> values(count);
  for (double& value : values) value = std::floor(from + (to - from) * static_cast<double>(generator()) * 0x1p-32);
  return values;
}

TEST_P(LabelStatisticsTest, AreThoseOfTwoPasses) {
  std::uint32_t seed = 3;
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 1, 90}, {5, 6, 7}, {9, 4, 33}, {3, 70, 41}}) {
    const auto count = static_cast<std::size_t>(element_count<3>(shape));
    const Labels labels = test::blobs(shape, 5, 4, ++seed);
    std::vector<double> values = whole_numbers(count, -2000, 3000, seed);
    expect_right(labels, VoxelType::uint8, values, image<float>(values, shape).span(), shape);
    expect_right(labels, VoxelType::uint16, values, image<std::int16_t>(values, shape).span(), shape);
    expect_right(labels, VoxelType::uint32, values, image<std::int32_t>(values, shape).span(), shape);
    values = whole_numbers(count, 0, 256, seed);
    expect_right(labels, VoxelType::uint32, values, image<std::uint8_t>(values, shape).span(), shape);
    expect_right(labels, VoxelType::uint8, values, image<std::uint16_t>(values, shape).span(), shape);
    expect_right(labels, VoxelType::uint8, values, image<std::uint32_t>(values, shape).span(), shape);
    values = whole_numbers(count, -128, 128, seed);
    expect_right(labels, VoxelType::uint8, values, image<std::int8_t>(values, shape).span(), shape);
    expect_right(labels, VoxelType::uint8, values, {}, shape);
  }
}

/// Small differences of large values: sums of squares alone would lose them.
TEST_P(LabelStatisticsTest, KeepSmallDeviationsOfLargeValues) {
  const Shape<3> shape{8, 16, 100};
  std::vector<double> values = whole_numbers(8 * 16 * 100, 0, 2, 5);
  for (double& value : values) value += 1e6;
  const VoxelArray there = test::to_device(stream_, Labels(values.size(), 1), VoxelType::uint8, shape);
  const VoxelArray of = image<float>(values, shape);
  const std::vector<LabelStatistics> found = label_statistics(stream_, there.span(), of.span());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NEAR(found[0].mean, 1e6 + 0.5, 0.02);
  EXPECT_NEAR(found[0].deviation, 0.5, 0.01);
}

/// The ends of the types in runs so long that sums of 32 bits would overflow.
TEST_P(LabelStatisticsTest, AddUpTheLargestValuesOfLongRuns) {
  const Shape<3> shape{1, 1, 600001};
  Labels labels(600001, 1);
  labels[77] = 2;
  const auto expect = [&]<class T>() {
    std::vector<double> values;
    for (std::size_t i = 0; i < labels.size(); ++i)
      values.push_back(i % 3 == 0 ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max());
    const VoxelArray there = image<T>(values, shape);
    expect_right(labels, VoxelType::uint8, values, there.span(), shape);
  };
  expect.operator()<std::uint8_t>();
  expect.operator()<std::int8_t>();
  expect.operator()<std::uint16_t>();
  expect.operator()<std::int16_t>();
}

TEST_P(LabelStatisticsTest, DoNotDependOnThreads) {
  const Shape<3> shape{12, 20, 70};
  const Labels labels = test::blobs(shape, 4, 5, 2);
  const std::vector<float> values = test::uniform(element_count<3>(shape), 4);
  std::vector<LabelStatistics> first;
  for (const int threads : {1, 2, 5}) {
    Stream stream(GetParam(), threads);
    const VoxelArray there = test::to_device(stream, labels, VoxelType::uint8, shape);
    const Array<float, 3> of = test::to_device<3>(stream, values, shape);
    const std::vector<LabelStatistics> found = label_statistics(stream, there.span(), of.span());
    if (first.empty()) first = found;
    ASSERT_EQ(found.size(), first.size());
    for (std::size_t k = 0; k < found.size(); ++k) {
      EXPECT_EQ(found[k].mean, first[k].mean);
      EXPECT_EQ(found[k].deviation, first[k].deviation);
    }
  }
}

TEST_P(LabelStatisticsTest, NameWhatIsNoNumber) {
  const Shape<3> shape{1, 2, 20};
  Labels labels(40, 1);
  for (std::size_t i = 20; i < 40; ++i) labels[i] = 2;
  std::vector<double> values(40, 3);
  values[5] = NAN;
  const VoxelArray there = test::to_device(stream_, labels, VoxelType::uint8, shape);
  const std::vector<LabelStatistics> found =
      label_statistics(stream_, there.span(), image<float>(values, shape).span());
  EXPECT_TRUE(std::isnan(found[0].mean) && std::isnan(found[0].least) && std::isnan(found[0].deviation));
  EXPECT_EQ(found[1].mean, 3);
  EXPECT_EQ(found[1].deviation, 0);
  values[5] = -INFINITY;
  EXPECT_THROW(label_statistics(stream_, there.span(), image<float>(values, shape).span()), Error);
}

TEST_P(LabelStatisticsTest, OfLargeLabels) {
  const Shape<3> shape{1, 1, 4};
  const VoxelArray there = test::to_device(stream_, {4000000000U, 70000, 0, 70000}, VoxelType::uint32, shape);
  if (GetParam().kind != DeviceKind::cpu) {
    EXPECT_THROW(label_statistics(stream_, there.span()), Error);
    return;
  }
  const std::vector<LabelStatistics> found = label_statistics(stream_, there.span());
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].label, 70000U);
  EXPECT_EQ(found[0].centroid[0], 2);
  EXPECT_EQ(found[1].label, 4000000000U);
}

TEST_P(LabelStatisticsTest, OfNothingAreNone) {
  const VoxelArray none = test::to_device(stream_, Labels(8, 0), VoxelType::uint8, {2, 2, 2});
  EXPECT_TRUE(label_statistics(stream_, none.span()).empty());
  EXPECT_TRUE(label_statistics(stream_, VoxelArray(VoxelType::uint8, {0, 1, 1}, GetParam()).span()).empty());
}

}  // namespace
}  // namespace kiban::image
