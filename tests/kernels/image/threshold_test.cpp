#include "kernels/image/threshold.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "kernels/image/components.hpp"
#include "tests/kernels/image/label_maps.hpp"
#include "tests/kernels/image/voxels_test.hpp"

namespace kiban::image {
namespace {

class ThresholdTest : public test::VoxelsTest {
 protected:
  test::Labels classes(const VoxelArray& of, const std::vector<double>& thresholds, bool only_odd = false) {
    VoxelArray found(VoxelType::uint8, of.shape(), GetParam());
    classify(stream_, of.span(), thresholds, found.span().as<std::uint8_t>(), only_odd);
    return test::to_labels(stream_, found.span());
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, ThresholdTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

template <class T>
std::vector<double> ends_and_middle() {
  std::vector<double> values{std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max(), 0, 1, 2, 3, 100, 127};
  if constexpr (std::is_signed_v<T>) values.insert(values.end(), {-1.0, -2.0, -100.0});
  if constexpr (std::is_same_v<T, float>) values.insert(values.end(), {0.5, -0.0, 2.4999, NAN, INFINITY, -INFINITY});
  return values;
}

TEST_P(ThresholdTest, ClassesAreCountedInDouble) {
  const std::vector<std::vector<double>> all = {{},
                                                {0},
                                                {0.5},
                                                {1, 1, 2.5},
                                                {-1e30, -200, -1.5, 0, 127, 127.5, 300, 65536, 4294967295.0, 1e30},
                                                {-INFINITY, 2, INFINITY}};
  for (const VoxelType type : test::kAllVoxelTypes) {
    const std::vector<double> values = with_voxel_type(type, []<class T>() { return ends_and_middle<T>(); });
    const VoxelArray of = there(type, values, {1, 1, static_cast<std::int64_t>(values.size())});
    for (const std::vector<double>& thresholds : all) {
      const test::Labels found = classes(of, thresholds), odd = classes(of, thresholds, true);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double value =
            type == VoxelType::float32 ? static_cast<double>(static_cast<float>(values[i])) : values[i];
        const auto truth = std::ranges::count_if(thresholds, [&](double t) { return value >= t; });
        EXPECT_EQ(found[i], static_cast<std::uint32_t>(truth)) << name(type) << " " << value;
        EXPECT_EQ(odd[i], found[i] % 2) << name(type) << " " << value;
      }
    }
  }
}

TEST_P(ThresholdTest, HistogramsCountEveryFiniteValue) {
  for (const VoxelType type : test::kAllVoxelTypes) {
    std::vector<double> values;
    std::mt19937 generator(7);
    for (int i = 0; i < 20000; ++i)
      values.push_back(with_voxel_type(type, [&]<class T>() {
        const double part = static_cast<double>(generator()) * 0x1p-32;
        return std::floor(std::max<double>(std::numeric_limits<T>::lowest(), -3e4) * (1 - part) +
                          std::min<double>(std::numeric_limits<T>::max(), 3e4) * part);
      }));
    std::int64_t finite = 20000;
    if (type == VoxelType::float32) {
      values[7] = NAN;
      values[8] = INFINITY;
      finite -= 2;
    }
    const Histogram found = histogram(stream_, there(type, values, {2, 100, 100}).span(), 100);
    std::vector<std::int64_t> truth(found.counts.size());
    double least = INFINITY, largest = -INFINITY;
    for (const double value : values)
      if (std::isfinite(value)) {
        least = std::min(least, value);
        largest = std::max(largest, value);
      }
    EXPECT_EQ(found.least, least) << name(type);
    EXPECT_EQ(found.largest, largest);
    EXPECT_EQ(found.counts.size(), type == VoxelType::float32 ? 100U : static_cast<std::size_t>(largest - least) + 1);
    for (const double value : values)
      if (std::isfinite(value))
        ++truth[std::min(truth.size() - 1, static_cast<std::size_t>((value - found.first_edge) / found.width))];
    EXPECT_EQ(found.counts, truth) << name(type);
    EXPECT_EQ(std::accumulate(truth.begin(), truth.end(), std::int64_t{0}), finite);
  }
}

TEST_P(ThresholdTest, HistogramOfNothingIsEmpty) {
  EXPECT_TRUE(histogram(stream_, VoxelArray(VoxelType::int16, {0, 3, 3}, GetParam()).span(), 10).counts.empty());
  EXPECT_TRUE(histogram(stream_, there(VoxelType::float32, {NAN, INFINITY}, {1, 1, 2}).span(), 10).counts.empty());
  const Histogram one = histogram(stream_, there(VoxelType::float32, {2.5, 2.5}, {1, 1, 2}).span(), 10);
  EXPECT_EQ(one.counts, std::vector<std::int64_t>{2});
}

TEST_P(ThresholdTest, ComponentsKnowTheirMarks) {
  const Shape<3> shape{7, 9, 40};
  const test::Labels labels = test::random_labels(shape, 2, 0.35, 3), marks = test::random_labels(shape, 200, 0.02, 4);
  const VoxelArray there = test::to_device(stream_, labels, VoxelType::uint16, shape);
  const VoxelArray marked = test::to_device(stream_, marks, VoxelType::uint8, shape);
  const Components components(stream_, there.span(), Connectivity::edges);
  VoxelArray numbers(VoxelType::uint32, shape, GetParam());
  components.number(stream_, numbers.span());
  const test::Labels number = test::to_labels(stream_, numbers.span());
  std::vector<std::uint32_t> truth(components.count());
  for (std::size_t i = 0; i < number.size(); ++i)
    if (number[i] != 0 && marks[i] != 0) truth[number[i] - 1] = 1;
  EXPECT_EQ(components.marked(stream_, std::as_const(marked).span<std::uint8_t>()), truth);
}

/// Every partition of a small histogram.
TEST(Otsu, IsTheBestOfAllPartitions) {
  std::mt19937 generator(5);
  for (int trial = 0; trial < 200; ++trial) {
    Histogram histogram;
    histogram.first_edge = -3;
    histogram.width = 0.5;
    histogram.counts.resize(4 + generator() % 8);
    for (std::int64_t& count : histogram.counts)
      count = generator() % 4 ? static_cast<std::int64_t>(generator() % 50) : 0;
    const int classes = 2 + static_cast<int>(generator() % 3);
    const std::size_t bins = histogram.counts.size();
    if (std::ranges::count_if(histogram.counts, [](auto c) { return c != 0; }) < classes) {
      EXPECT_THROW(otsu_thresholds(histogram, classes), Error);
      continue;
    }
    const auto spread = [&](unsigned cuts) {  // bit k: a class begins with bin k + 1
      double total = 0, count = 0, sum = 0, squares = 0;
      for (std::size_t bin = 0; bin < bins; ++bin) {
        const auto of_bin = static_cast<double>(histogram.counts[bin]), value = static_cast<double>(bin);
        count += of_bin;
        sum += of_bin * value;
        squares += of_bin * value * value;
        if (bin + 1 < bins && !(cuts >> bin & 1)) continue;
        total += count > 0 ? squares - sum * sum / count : 0;
        count = sum = squares = 0;
      }
      return total;
    };
    double least = INFINITY;
    for (unsigned cuts = 0; cuts < 1U << (bins - 1); ++cuts)
      if (std::popcount(cuts) == classes - 1) least = std::min(least, spread(cuts));
    unsigned chosen = 0;
    for (const double threshold : otsu_thresholds(histogram, classes)) {
      const double bin = (threshold - histogram.first_edge) / histogram.width;
      ASSERT_EQ(bin, std::round(bin));
      chosen |= 1U << (static_cast<unsigned>(bin) - 1);
    }
    EXPECT_EQ(std::popcount(chosen), classes - 1);
    EXPECT_NEAR(spread(chosen), least, 1e-9 * (1 + least));
  }
}

}  // namespace
}  // namespace kiban::image
