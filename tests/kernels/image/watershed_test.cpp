#include "kernels/image/watershed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

#include "kernels/image/reconstruct.hpp"
#include "tests/kernels/image/label_maps.hpp"
#include "tests/kernels/image/voxels_test.hpp"
#include "tests/reference/image.hpp"

namespace kiban::image {
namespace {

constexpr Connectivity kConnectivities[] = {Connectivity::faces, Connectivity::edges, Connectivity::corners};

std::vector<double> negated(std::vector<double> values) {
  for (double& value : values) value = -value;
  return values;
}

/// Values that `type` holds: as many different ones as `distinct`, or all different (0).
std::vector<double> random_values(VoxelType type, const Shape<3>& shape, unsigned distinct, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<double> values(static_cast<std::size_t>(element_count<3>(shape)));
  if (distinct == 0) {
    std::iota(values.begin(), values.end(), 0.0);
    std::ranges::shuffle(values, generator);
  } else {
    for (double& value : values) value = generator() % distinct;
  }
  for (double& value : values) {
    if (type == VoxelType::float32) value = static_cast<double>(static_cast<float>(value * 0.37 - 5));
    if (type == VoxelType::int32) value = value * 40000000 - 2147483648.0;
    if (type == VoxelType::int8 || type == VoxelType::int16) value -= 9;
  }
  return values;
}

struct Markers {
  test::Labels labels;
  std::vector<bool> floods;
};
Markers random_markers(const Shape<3>& shape, double filled, bool is_masked, std::uint32_t seed) {
  Markers made{test::random_labels(shape, 9, filled, seed), {}};
  const test::Labels holes = test::random_labels(shape, 1, 0.25, seed + 1);
  for (const std::uint32_t hole : holes) made.floods.push_back(!is_masked || hole == 0);
  return made;
}

class WatershedTest : public test::VoxelsTest {
 protected:
  test::Labels found(VoxelType type, const std::vector<double>& values, const Markers& markers, bool is_masked,
                     const Shape<3>& shape, Connectivity connectivity, Extreme from,
                     VoxelType label_type = VoxelType::uint8) {
    const VoxelArray image = there(type, values, shape);
    const VoxelArray starts = test::to_device(stream_, markers.labels, label_type, shape);
    const test::Labels floods(markers.floods.begin(), markers.floods.end());
    const VoxelArray mask = test::to_device(stream_, floods, VoxelType::uint8, shape);
    VoxelArray labels(label_type, shape, GetParam());
    watershed(stream_, image.span(), starts.span(),
              is_masked ? mask.span<std::uint8_t>() : Span<const std::uint8_t, 3>(), connectivity, from, labels.span());
    return test::to_labels(stream_, std::as_const(labels).span());
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, WatershedTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

TEST_P(WatershedTest, LabelsAreTheDefinitions) {
  std::uint32_t seed = 1;
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 1, 40}, {1, 17, 9}, {9, 1, 8}, {7, 10, 19}})
    for (const Connectivity connectivity : kConnectivities)
      for (const unsigned distinct : {0U, 1U, 3U, 60U})
        for (const double filled : {0.004, 0.2}) {
          const bool is_masked = seed % 3 == 0;
          const Extreme from = seed % 2 == 0 ? Extreme::largest : Extreme::least;
          const VoxelType type = distinct == 0 ? VoxelType::float32 : VoxelType::int16;
          const std::vector<double> values = random_values(type, shape, distinct, ++seed);
          const Markers markers = random_markers(shape, filled, is_masked, seed);
          EXPECT_EQ(found(type, values, markers, is_masked, shape, connectivity, from),
                    reference::watershed(from == Extreme::least ? values : negated(values), markers.labels,
                                         markers.floods, shape, static_cast<int>(connectivity)))
              << shape[0] << " " << shape[1] << " " << shape[2] << " values " << distinct << " markers " << filled;
        }
}

TEST_P(WatershedTest, EveryTypeFloodsInTheOrderOfItsValues) {
  const Shape<3> shape{5, 6, 11};
  for (const VoxelType type : test::kAllVoxelTypes)
    for (const VoxelType label_type : {VoxelType::uint8, VoxelType::uint16, VoxelType::uint32})
      for (const Extreme from : {Extreme::least, Extreme::largest}) {
        const std::vector<double> values = random_values(type, shape, 100, 7);
        Markers markers = random_markers(shape, 0.05, false, 8);
        const std::uint32_t largest = label_type == VoxelType::uint8    ? 255
                                      : label_type == VoxelType::uint16 ? 65535
                                                                        : 4294967295;
        std::ranges::replace(markers.labels, 3U, largest);
        EXPECT_EQ(found(type, values, markers, false, shape, Connectivity::faces, from, label_type),
                  reference::watershed(from == Extreme::least ? values : negated(values), markers.labels,
                                       markers.floods, shape, 6))
            << kiban::name(type);
      }
}

/// So large that layers go to several threads and waves cross many tiles: what is known of it is compared voxel by
/// voxel with one thread's answer on a CPU, and with symmetry.
TEST_P(WatershedTest, PlateausArePartedMidwayWhateverTheThreads) {
  const Shape<3> shape{33, 70, 71};
  std::vector<double> flat(static_cast<std::size_t>(element_count<3>(shape)), 4.0);
  Markers markers{test::Labels(flat.size()), std::vector<bool>(flat.size(), true)};
  const auto at = [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    return static_cast<std::size_t>((z * shape[1] + y) * shape[2] + x);
  };
  markers.labels[at(16, 35, 0)] = 2;
  markers.labels[at(16, 35, 70)] = 1;
  const test::Labels labels = found(VoxelType::uint8, flat, markers, false, shape, Connectivity::faces, Extreme::least);
  for (std::int64_t z = 0; z < shape[0]; ++z)
    for (std::int64_t y = 0; y < shape[1]; ++y)
      for (std::int64_t x = 0; x < shape[2]; ++x) ASSERT_EQ(labels[at(z, y, x)], x < 35 ? 2U : 1U) << z << " " << x;
}

/// So large that a CPU shares layers between threads, on as few as two cores.
TEST_P(WatershedTest, ThreadsGiveTheLabelsOfOne) {
  if (GetParam().kind != DeviceKind::cpu) GTEST_SKIP() << "a GPU has no threads to share a flood between";
  const Shape<3> shape{67, 91, 97};
  std::uint32_t seed = 500;
  for (const VoxelType type : {VoxelType::uint8, VoxelType::uint16, VoxelType::uint32})
    for (const Connectivity connectivity : kConnectivities)
      for (const unsigned distinct : {3U, 50U})
        for (const double filled : {0.0003, 0.2}) {
          std::mt19937 generator(++seed);
          test::Labels values(static_cast<std::size_t>(element_count<3>(shape)));
          for (std::uint32_t& value : values) value = generator() % distinct;
          const bool is_masked = seed % 2 == 0;
          const Markers markers = random_markers(shape, filled, is_masked, seed);
          const test::Labels floods(markers.floods.begin(), markers.floods.end());
          const auto labels_by = [&](Stream& stream, Device device) {
            const VoxelArray image = test::to_device(stream, values, type, shape);
            const VoxelArray starts = test::to_device(stream, markers.labels, VoxelType::uint16, shape);
            const VoxelArray mask = test::to_device(stream, floods, VoxelType::uint8, shape);
            VoxelArray labels(VoxelType::uint16, shape, device);
            watershed(stream, image.span(), starts.span(),
                      is_masked ? mask.span<std::uint8_t>() : Span<const std::uint8_t, 3>(), connectivity,
                      Extreme::least, labels.span());
            return test::to_labels(stream, std::as_const(labels).span());
          };
          Stream alone({}, 1);
          EXPECT_TRUE(labels_by(stream_, GetParam()) == labels_by(alone, {}))
              << kiban::name(type) << " connectivity " << static_cast<int>(connectivity) << " values " << distinct
              << " markers " << filled;
        }
}

/// At checks throughout the flood, one after the other, until none is left to stop at.
TEST_P(WatershedTest, AStopFromOutsideLeavesTheFlood) {
  if (GetParam().kind != DeviceKind::cpu) GTEST_SKIP() << "a GPU has no threads to share a flood between";
  const Shape<3> shape{70, 160, 160};
  const std::vector<double> values = random_values(VoxelType::uint8, shape, 5, 9);
  const VoxelArray image = there(VoxelType::uint8, values, shape);
  const VoxelArray starts = test::to_device(stream_, test::random_labels(shape, 9, 0.001, 4), VoxelType::uint8, shape);
  VoxelArray labels(VoxelType::uint8, shape, GetParam());
  std::atomic<int> left{0};
  stream_.check_between_pieces([&] {
    if (left.fetch_sub(1) == 0) throw std::runtime_error("stop");
  });
  int stops = 0;
  for (bool stopped = true; stopped; ++stops) {
    left = 61 * stops;
    stopped = false;
    try {
      watershed(stream_, image.span(), starts.span(), {}, Connectivity::faces, Extreme::least, labels.span());
    } catch (const std::runtime_error&) {
      stopped = true;
    }
  }
  stream_.check_between_pieces({});
  EXPECT_GT(stops, 2);
}

TEST_P(WatershedTest, TheVolumeTurnedOverGivesTheLabelsTurnedOver) {
  const Shape<3> shape{20, 30, 50};
  std::vector<double> values = random_values(VoxelType::uint8, shape, 4, 3);
  Markers markers = random_markers(shape, 0.002, false, 5);
  test::Labels labels = found(VoxelType::uint8, values, markers, false, shape, Connectivity::corners, Extreme::least);
  std::ranges::reverse(values);
  std::ranges::reverse(markers.labels);
  std::ranges::reverse(labels);
  EXPECT_EQ(found(VoxelType::uint8, values, markers, false, shape, Connectivity::corners, Extreme::least), labels);
}

TEST_P(WatershedTest, WhatCannotBeIsRefused) {
  const Shape<3> shape{1, 2, 2};
  const VoxelArray image = there(VoxelType::float32, {1, NAN, 2, 3}, shape);
  const VoxelArray markers = there(VoxelType::uint8, {1, 0, 0, 2}, shape);
  VoxelArray labels(VoxelType::uint8, shape, GetParam()), wide(VoxelType::uint16, shape, GetParam());
  const VoxelArray whole = there(VoxelType::int16, {1, 0, 2, 3}, shape);
  const auto run = [&](const VoxelArray& of, VoxelArray& result) {
    watershed(stream_, of.span(), markers.span(), {}, Connectivity::faces, Extreme::least, result.span());
  };
  EXPECT_THROW(run(image, labels), Error);
  EXPECT_THROW(run(whole, wide), Error);
  VoxelArray result(VoxelType::float32, shape, GetParam()), filled(VoxelType::int16, shape, GetParam());
  EXPECT_THROW(fill_shallow(stream_, image.span(), 1, Connectivity::faces, Extreme::least, result.span()), Error);
  EXPECT_THROW(fill_shallow(stream_, whole.span(), 0.5, Connectivity::faces, Extreme::least, filled.span()), Error);
  EXPECT_THROW(fill_shallow(stream_, whole.span(), -1, Connectivity::faces, Extreme::least, filled.span()), Error);
  EXPECT_THROW(minima(stream_, image.span(), Connectivity::faces, Extreme::least, labels.span()), Error);
}

TEST_P(WatershedTest, ReconstructionIsItsDefinition) {
  std::uint32_t seed = 100;
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 1, 40}, {1, 17, 9}, {23, 1, 1}, {17, 10, 19}})
    for (const Connectivity connectivity : kConnectivities)
      for (const VoxelType type : test::kAllVoxelTypes)
        for (const Extreme which : {Extreme::least, Extreme::largest}) {
          const std::vector<double> image_values = random_values(type, shape, 60, ++seed);
          const std::vector<double> marker_values = random_values(type, shape, 90, ++seed);
          const VoxelArray image = there(type, image_values, shape), marker = there(type, marker_values, shape);
          VoxelArray result(type, shape, GetParam());
          reconstruct(stream_, image.span(), marker.span(), connectivity, which, result.span());
          const bool sinks = which == Extreme::least;
          const std::vector<double> truth = reference::reconstructed(sinks ? image_values : negated(image_values),
                                                                     sinks ? marker_values : negated(marker_values),
                                                                     shape, static_cast<int>(connectivity));
          EXPECT_EQ(values_of(result), sinks ? truth : negated(truth)) << kiban::name(type) << " " << shape[0];
        }
}

/// One source at a corner, walls between every two slices with a hole at one end: water goes to and fro through all of
/// the volume, across slabs and tiles.
TEST_P(WatershedTest, ReconstructionFollowsAMaze) {
  const Shape<3> shape{21, 12, 13};
  std::vector<double> image_values(static_cast<std::size_t>(element_count<3>(shape)));
  for (std::int64_t z = 1; z < shape[0]; z += 2)
    for (std::int64_t i = 0; i < shape[1] * shape[2]; ++i)
      image_values[static_cast<std::size_t>(z * shape[1] * shape[2] + i)] =
          i == (z % 4 == 1 ? shape[1] * shape[2] - 1 : 0) ? static_cast<double>(z) : 200;
  std::vector<double> marker_values(image_values.size(), 255);
  marker_values[0] = 0;
  const VoxelArray image = there(VoxelType::uint8, image_values, shape);
  const VoxelArray marker = there(VoxelType::uint8, marker_values, shape);
  VoxelArray result(VoxelType::uint8, shape, GetParam());
  reconstruct(stream_, image.span(), marker.span(), Connectivity::faces, Extreme::least, result.span());
  EXPECT_EQ(values_of(result), reference::reconstructed(image_values, marker_values, shape, 6));
  EXPECT_EQ(values_of(result).back(), 19);
}

TEST_P(WatershedTest, MinimaAreThePlateausThatNothingLowerTouches) {
  std::uint32_t seed = 300;
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 1, 40}, {1, 17, 9}, {7, 10, 19}})
    for (const Connectivity connectivity : kConnectivities)
      for (const VoxelType type : test::kAllVoxelTypes)
        for (const unsigned distinct : {1U, 3U, 60U})
          for (const Extreme which : {Extreme::least, Extreme::largest}) {
            const std::vector<double> values = random_values(type, shape, distinct, ++seed);
            // Components of equal values, of which those go that touch a lower one.
            std::vector<double> sorted = values;
            std::ranges::sort(sorted);
            test::Labels ranks;
            for (const double value : values)
              ranks.push_back(1 + static_cast<std::uint32_t>(std::ranges::lower_bound(sorted, value) - sorted.begin()));
            const test::Labels plateaus = reference::components(ranks, shape, static_cast<int>(connectivity));
            std::vector<bool> is_minimum(plateaus.size() + 1, true);
            for (std::size_t p = 0; p < values.size(); ++p)
              for (const std::size_t q : reference::touching(shape, static_cast<int>(connectivity), p))
                if (which == Extreme::least ? values[q] < values[p] : values[q] > values[p])
                  is_minimum[plateaus[p]] = false;
            test::Labels truth, number(plateaus.size() + 1);
            std::uint32_t count = 0;
            for (const std::uint32_t plateau : plateaus) {
              if (is_minimum[plateau] && number[plateau] == 0) number[plateau] = ++count;
              truth.push_back(number[plateau]);
            }
            const VoxelArray image = there(type, values, shape);
            VoxelArray numbers(VoxelType::uint16, shape, GetParam());
            EXPECT_EQ(minima(stream_, image.span(), connectivity, which, numbers.span()), count);
            EXPECT_EQ(test::to_labels(stream_, std::as_const(numbers).span()), truth);
          }
}

TEST_P(WatershedTest, ShallowPitsAreFilledAsFarAsTheTypeGoes) {
  const Shape<3> shape{1, 1, 8};
  const auto filled = [&](VoxelType type, std::vector<double> values, double depth, Extreme which) {
    const VoxelArray image = there(type, values, shape);
    VoxelArray result(type, shape, GetParam());
    fill_shallow(stream_, image.span(), depth, Connectivity::faces, which, result.span());
    return values_of(result);
  };
  using Values = std::vector<double>;
  EXPECT_EQ(filled(VoxelType::uint8, {9, 5, 9, 0, 9, 8, 9, 250}, 3, Extreme::least),
            (Values{9, 8, 9, 3, 9, 9, 9, 250}));
  EXPECT_EQ(filled(VoxelType::uint8, {9, 5, 9, 0, 9, 8, 9, 250}, 1000, Extreme::least), Values(8, 255));
  EXPECT_EQ(filled(VoxelType::int8, {9, 5, 9, 0, 9, 8, 9, 120}, 4, Extreme::largest),
            (Values{5, 5, 5, 0, 8, 8, 9, 116}));
  EXPECT_EQ(filled(VoxelType::float32, {-0.0, 0, 1, 2.5, 1, 2, 1, 3}, 1.25, Extreme::largest),
            (Values{0, 0, 1, 1.25, 1, 1, 1, 1.75}));
}

}  // namespace
}  // namespace kiban::image
