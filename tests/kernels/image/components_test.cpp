#include "kernels/image/components.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "tests/kernels/image/label_maps.hpp"
#include "tests/reference/image.hpp"

namespace kiban::image {
namespace {

using test::Labels;

constexpr Connectivity kConnectivities[] = {Connectivity::faces, Connectivity::edges, Connectivity::corners};
constexpr VoxelType kTypes[] = {VoxelType::uint8, VoxelType::uint16, VoxelType::uint32};

struct Map {
  std::string name;
  Shape<3> shape;
  Labels labels;
};

/// A line that winds through the whole volume: trees become as deep as they can.
Labels serpentine(const Shape<3>& shape) {
  Labels labels;
  for (std::int64_t z = 0; z < shape[0]; ++z)
    for (std::int64_t y = 0; y < shape[1]; ++y)
      for (std::int64_t x = 0; x < shape[2]; ++x) {
        const bool solid = z % 2 == 0 && y % 2 == 0;
        const bool row_bridge = z % 2 == 0 && x == (y / 2 % 2 == 0 ? shape[2] - 1 : 0);
        const bool slice_bridge = z % 2 == 1 && y == (z / 2 % 2 == 0 ? shape[1] - 1 : 0) && x == 0;
        labels.push_back(solid || row_bridge || slice_bridge);
      }
  return labels;
}

/// Sizes around a vector's, a warp's and a band's; one voxel, flat and long ones; dense, sparse, one and many labels.
std::vector<Map> maps() {
  std::vector<Map> all;
  const auto add = [&](std::string name, const Shape<3>& shape, Labels labels) {
    all.push_back({std::move(name), shape, std::move(labels)});
  };
  add("one voxel", {1, 1, 1}, {3});
  add("one empty voxel", {1, 1, 1}, {0});
  for (const Shape<3>& shape : {Shape<3>{1, 1, 70},
                                {1, 70, 1},
                                {70, 1, 1},
                                {1, 9, 40},
                                {9, 1, 40},
                                {9, 40, 1},
                                {5, 6, 7},
                                {4, 5, 33},
                                {7, 3, 64},
                                {3, 4, 129},
                                {30, 2, 2},
                                {2, 31, 17}})
    for (const double filled : {0.15, 0.5, 0.9})
      for (const unsigned count : {1u, 3u})
        add("random", shape, test::random_labels(shape, count, filled, static_cast<std::uint32_t>(all.size())));
  add("full", {4, 5, 66}, Labels(4 * 5 * 66, 1));
  add("every voxel another label", {3, 5, 17}, [] {
    Labels labels(3 * 5 * 17);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint32_t>(i);
    return labels;
  }());
  add("serpentine", {9, 11, 40}, serpentine({9, 11, 40}));
  add("blobs", {20, 24, 37}, test::blobs({20, 24, 37}, 4, 5, 1));
  return all;
}

/// Labels that a byte does not hold are left to wider types.
bool fits(const Map& map, VoxelType type) {
  return type != VoxelType::uint8 || *std::ranges::max_element(map.labels) < 256;
}

class ComponentsTest : public testing::TestWithParam<Device> {
 protected:
  Stream stream_{GetParam(), 3};
};
INSTANTIATE_TEST_SUITE_P(Devices, ComponentsTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

TEST_P(ComponentsTest, AreThoseOfAFloodFill) {
  for (const Map& map : maps())
    for (const Connectivity connectivity : kConnectivities)
      for (const Joined joined : {Joined::labels, Joined::background}) {
        const Labels truth =
            reference::components(map.labels, map.shape, static_cast<int>(connectivity), joined == Joined::background);
        for (const VoxelType type : kTypes) {
          if (!fits(map, type)) continue;
          const VoxelArray labels = test::to_device(stream_, map.labels, type, map.shape);
          const Components components(stream_, labels.span(), connectivity, joined);
          ASSERT_EQ(components.count(), *std::ranges::max_element(truth)) << map.name << " " << name(type);
          VoxelArray numbers(VoxelType::uint32, map.shape, GetParam());
          components.number(stream_, numbers.span());
          ASSERT_EQ(test::to_labels(stream_, numbers.span()), truth)
              << map.name << " " << name(type) << " " << static_cast<int>(connectivity) << " of "
              << testing::PrintToString(map.shape);
        }
      }
}

TEST_P(ComponentsTest, DoNotDependOnThreads) {
  const Shape<3> shape{40, 30, 50};
  for (const Labels& labels : {test::random_labels(shape, 2, 0.4, 5), test::blobs(shape, 3, 6, 6)}) {
    const Labels truth = reference::components(labels, shape, 26);
    for (const int threads : {1, 2, 7}) {
      Stream stream(GetParam(), threads);
      const VoxelArray there = test::to_device(stream, labels, VoxelType::uint8, shape);
      VoxelArray numbers(VoxelType::uint32, shape, GetParam());
      Components(stream, there.span(), Connectivity::corners).number(stream, numbers.span());
      ASSERT_EQ(test::to_labels(stream, numbers.span()), truth) << threads;
    }
  }
}

TEST_P(ComponentsTest, AreMeasured) {
  for (const Map& map : maps())
    for (const bool of_background : {false, true}) {
      const Labels truth = reference::components(map.labels, map.shape, 6, of_background);
      const VoxelArray labels = test::to_device(stream_, map.labels, VoxelType::uint16, map.shape);
      const Components components(stream_, labels.span(), Connectivity::faces,
                                  of_background ? Joined::background : Joined::labels);
      std::vector<ComponentMeasure> expected(components.count());
      for (std::size_t i = 0; i < truth.size(); ++i) {
        if (truth[i] == 0) continue;
        ComponentMeasure& measure = expected[truth[i] - 1];
        ++measure.voxels;
        measure.label = map.labels[i];
        const auto at = static_cast<std::int64_t>(i);
        const std::int64_t place[3] = {at / map.shape[2] / map.shape[1], at / map.shape[2] % map.shape[1],
                                       at % map.shape[2]};
        for (std::size_t axis = 0; axis < 3; ++axis)
          measure.touches_border |= map.shape[axis] > 1 && (place[axis] == 0 || place[axis] + 1 == map.shape[axis]);
      }
      const std::vector<ComponentMeasure> found = components.measure(stream_);
      ASSERT_EQ(found.size(), expected.size());
      for (std::size_t k = 0; k < found.size(); ++k) {
        EXPECT_EQ(found[k].voxels, expected[k].voxels) << map.name << " " << k;
        EXPECT_EQ(found[k].label, expected[k].label) << map.name << " " << k;
        EXPECT_EQ(found[k].touches_border, expected[k].touches_border) << map.name << " " << k;
      }
    }
}

/// A box of 4 with a hole, a box of 4 and 9 with a hole between them, and a bay that is open to the border.
TEST_P(ComponentsTest, HolesKnowTheLabelsAroundThem) {
  const Shape<3> shape{5, 5, 14};
  Labels labels(5 * 5 * 14, 0);
  const auto at = [](int z, int y, int x) { return static_cast<std::size_t>((z * 5 + y) * 14 + x); };
  for (int z = 1; z < 4; ++z)
    for (int y = 1; y < 4; ++y)
      for (int x = 1; x < 13; ++x) labels[at(z, y, x)] = x < 7 ? 4 : 9;
  labels[at(2, 2, 2)] = labels[at(2, 2, 3)] = 0;  // in 4
  labels[at(2, 2, 6)] = 0;                        // between 4 and 9
  labels[at(2, 2, 12)] = 0;                       // open
  const VoxelArray there = test::to_device(stream_, labels, VoxelType::uint8, shape);
  const Components holes(stream_, there.span(), Connectivity::faces, Joined::background);
  const std::vector<ComponentMeasure> found = holes.measure(stream_);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].touches_border);
  EXPECT_EQ(std::tie(found[1].voxels, found[1].touches_border), std::tuple(2, false));
  EXPECT_EQ(std::tie(found[1].least_label, found[1].largest_label), std::tuple(4u, 4u));
  EXPECT_EQ(std::tie(found[2].least_label, found[2].largest_label), std::tuple(4u, 9u));

  Labels filled = labels;
  filled[at(2, 2, 2)] = filled[at(2, 2, 3)] = 4;
  VoxelArray values(VoxelType::uint8, shape, GetParam());
  holes.paint(stream_, std::vector<std::uint32_t>{0, 4, 0}, values.span());
  EXPECT_EQ(test::to_labels(stream_, values.span()), filled);
  VoxelArray in_place = test::to_device(stream_, labels, VoxelType::uint8, shape);
  const Components again(stream_, in_place.span(), Connectivity::faces, Joined::background);
  again.paint(stream_, std::vector<std::uint32_t>{0, 4, 0}, in_place.span());
  EXPECT_EQ(test::to_labels(stream_, in_place.span()), filled);
}

TEST_P(ComponentsTest, ArePaintedInPlace) {
  const Shape<3> shape{6, 7, 70};
  const Labels labels = test::random_labels(shape, 3, 0.4, 8);
  const Labels numbers = reference::components(labels, shape, 18);
  VoxelArray there = test::to_device(stream_, labels, VoxelType::uint16, shape);
  const Components components(stream_, there.span(), Connectivity::edges);
  std::vector<std::uint32_t> value_of(components.count());
  for (std::size_t k = 0; k < value_of.size(); ++k) value_of[k] = static_cast<std::uint32_t>(k % 5 == 0 ? 0 : 7 * k);
  components.paint(stream_, value_of, there.span());
  const Labels painted = test::to_labels(stream_, there.span());
  for (std::size_t i = 0; i < painted.size(); ++i)
    ASSERT_EQ(painted[i], numbers[i] == 0 ? 0 : value_of[numbers[i] - 1]) << i;
}

TEST_P(ComponentsTest, SayWhatATypeDoesNotHold) {
  const Shape<3> shape{1, 1, 600};
  Labels labels(600);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = i % 2;  // 300 components
  const VoxelArray there = test::to_device(stream_, labels, VoxelType::uint8, shape);
  const Components components(stream_, there.span(), Connectivity::faces);
  ASSERT_EQ(components.count(), 300u);
  VoxelArray bytes(VoxelType::uint8, shape, GetParam()), floats(VoxelType::float32, shape, GetParam());
  for (VoxelArray* wrong : {&bytes, &floats}) {
    try {
      components.number(stream_, wrong->span());
      ADD_FAILURE() << "300 components were written as " << name(wrong->type());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
    }
  }
  EXPECT_THROW(Components(stream_, floats.span(), Connectivity::faces), Error);
}

TEST_P(ComponentsTest, OfNothingAreNone) {
  const VoxelArray empty(VoxelType::uint8, {0, 5, 5}, GetParam());
  const Components components(stream_, empty.span(), Connectivity::corners);
  EXPECT_EQ(components.count(), 0u);
  EXPECT_TRUE(components.measure(stream_).empty());
  VoxelArray numbers(VoxelType::uint8, {0, 5, 5}, GetParam());
  components.number(stream_, numbers.span());

  const VoxelArray background = test::to_device(stream_, Labels(60, 0), VoxelType::uint8, {3, 4, 5});
  const Components none(stream_, background.span(), Connectivity::corners);
  EXPECT_EQ(none.count(), 0u);
  VoxelArray values = test::to_device(stream_, Labels(60, 9), VoxelType::uint8, {3, 4, 5});
  none.paint(stream_, {}, values.span());
  EXPECT_EQ(test::to_labels(stream_, values.span()), Labels(60, 0));
}

}  // namespace
}  // namespace kiban::image
