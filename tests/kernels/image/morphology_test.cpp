#include "kernels/image/morphology.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <type_traits>

#include "tests/kernels/image/label_maps.hpp"
#include "tests/kernels/image/voxels_test.hpp"
#include "tests/reference/image.hpp"

namespace kiban::image {
namespace {

using Offsets = std::vector<std::array<std::int64_t, 3>>;

class MorphologyTest : public test::VoxelsTest {
 protected:
  test::Labels morphed(const test::Labels& labels, VoxelType type, const Shape<3>& shape, const Vec3& spacing,
                       double radius, MorphologyStep step) {
    const VoxelArray from = test::to_device(stream_, labels, type, shape);
    VoxelArray made(type, shape, GetParam());
    ball_morphology(stream_, from.span(), spacing, radius, step, made.span());
    return test::to_labels(stream_, made.span());
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, MorphologyTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

Offsets offsets_within(const std::array<std::int64_t, 3>& most, auto is_in) {
  Offsets offsets;
  for (std::int64_t z = -most[2]; z <= most[2]; ++z)
    for (std::int64_t y = -most[1]; y <= most[1]; ++y)
      for (std::int64_t x = -most[0]; x <= most[0]; ++x)
        if (is_in(x, y, z)) offsets.push_back({x, y, z});
  return offsets;
}

struct ElementCase {
  const char* name;
  Element element;
  Offsets offsets;
};

std::vector<ElementCase> elements() {
  const auto all = [](auto...) { return true; };
  const auto in_ball = [](double radius, Vec3 spacing) {
    return [=](std::int64_t x, std::int64_t y, std::int64_t z) {
      const Vec3 mm{static_cast<double>(x) * spacing[0], static_cast<double>(y) * spacing[1],
                    static_cast<double>(z) * spacing[2]};
      return norm(mm) <= radius * (1 + 1e-6);
    };
  };
  return {
      {"one voxel", box({0, 0, 0}), {{0, 0, 0}}},
      {"box", box({1, 1, 1}), offsets_within({1, 1, 1}, all)},
      {"long box", box({5, 0, 2}), offsets_within({5, 0, 2}, all)},
      {"large box", box({20, 9, 7}), offsets_within({20, 9, 7}, all)},
      {"cross", cross(), {{0, 0, 0}, {1, 0, 0}, {-1, 0, 0}, {0, 1, 0}, {0, -1, 0}, {0, 0, 1}, {0, 0, -1}}},
      {"ball", ball(2, {1, 1, 1}), offsets_within({2, 2, 2}, in_ball(2, {1, 1, 1}))},
      {"flat ball", ball(4.2, {0.7, 1.4, 2.1}), offsets_within({6, 3, 2}, in_ball(4.2, {0.7, 1.4, 2.1}))},
      {"point", ball(0, {1, 1, 1}), {{0, 0, 0}}},
  };
}

TEST_P(MorphologyTest, ExtremesAreThoseUnderTheElement) {
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 1, 40}, {3, 2, 5}, {9, 70, 33}, {40, 5, 18}})
    for (const auto& [name, element, offsets] : elements()) {
      const test::Labels values = test::random_labels(shape, 100, 0.9, 4);
      const std::vector<double> image(values.begin(), values.end());
      for (const Extreme which : {Extreme::least, Extreme::largest}) {
        const VoxelArray from = there(VoxelType::int16, image, shape);
        VoxelArray made(VoxelType::int16, shape, GetParam());
        extreme(stream_, from.span(), element, which, made.span());
        EXPECT_EQ(values_of(made), reference::extremes(image, shape, offsets, which == Extreme::largest)) << name;
      }
    }
}

TEST_P(MorphologyTest, EveryTypeOpensAndCloses) {
  const Shape<3> shape{3, 5, 613};  // some vectors of each type, and less than one
  for (const VoxelType type : test::kAllVoxelTypes) {
    std::mt19937 generator(9);
    std::vector<double> image(3 * 5 * 613);
    for (double& value : image)
      value = with_voxel_type(type, [&]<class T>() {
        return static_cast<double>(static_cast<T>(std::is_signed_v<T> ? static_cast<std::int32_t>(generator()) / 4
                                                                      : static_cast<std::int64_t>(generator())));
      });
    const Offsets offsets = elements()[4].offsets;
    const auto least = [&](const auto& of) { return reference::extremes(of, shape, offsets, false); };
    const auto largest = [&](const auto& of) { return reference::extremes(of, shape, offsets, true); };
    const std::pair<MorphologyStep, std::vector<double>> truths[] = {{MorphologyStep::erode, least(image)},
                                                                     {MorphologyStep::dilate, largest(image)},
                                                                     {MorphologyStep::open, largest(least(image))},
                                                                     {MorphologyStep::close, least(largest(image))}};
    for (const auto& [step, truth] : truths) {
      const VoxelArray from = there(type, image, shape);
      VoxelArray made(type, shape, GetParam());
      grey_morphology(stream_, from.span(), cross(), step, made.span());
      EXPECT_EQ(values_of(made), truth) << kiban::name(type);
    }
  }
}

/// Of a volume in memory that begins anywhere, with a canary on both sides of the result.
template <class T>
std::vector<double> extremes_from(const std::vector<double>& image, const Shape<3>& shape, const Element& element,
                                  std::size_t first) {
  const T canary = 77;
  const std::size_t end = first + image.size();
  std::vector<T> from(end), made(end + 1, canary);
  std::copy(image.begin(), image.end(), from.begin() + static_cast<std::ptrdiff_t>(first));
  Stream stream(Device{}, 2);
  extreme(stream, ConstVoxelSpan(static_cast<const T*>(from.data()) + first, shape), element, Extreme::least,
          VoxelSpan(made.data() + first, shape));
  EXPECT_EQ(made[end], canary);
  for (std::size_t i = 0; i < first; ++i) EXPECT_EQ(made[i], canary);
  return {made.begin() + static_cast<std::ptrdiff_t>(first), made.begin() + static_cast<std::ptrdiff_t>(end)};
}

TEST(MorphologyInMemory, BeginsAnywhere) {
  for (const std::int64_t columns : {5, 64, 301, 640}) {
    const Shape<3> shape{3, 4, columns};
    const test::Labels values = test::random_labels(shape, 100, 0.9, 5);
    const std::vector<double> image(values.begin(), values.end());
    for (const auto& [name, element, offsets] : elements()) {
      const std::vector<double> truth = reference::extremes(image, shape, offsets, false);
      for (const std::size_t first : {1, 7, 8, 31}) {
        EXPECT_EQ(extremes_from<std::uint8_t>(image, shape, element, first), truth) << name;
        EXPECT_EQ(extremes_from<float>(image, shape, element, first), truth) << name;
      }
    }
  }
}

// What is larger than caches goes past them.
TEST(MorphologyInMemory, IsLargerThanCaches) {
  const Shape<3> shape{5, 1000, 1801};
  const test::Labels values = test::random_labels(shape, 100, 0.9, 6);
  const std::vector<double> image(values.begin(), values.end());
  for (const std::size_t k : {1U, 4U}) {
    const auto [name, element, offsets] = elements()[k];
    const std::vector<double> truth = reference::extremes(image, shape, offsets, false);
    for (const std::size_t first : {0, 3})
      EXPECT_TRUE(extremes_from<float>(image, shape, element, first) == truth) << name;
  }
}

TEST_P(MorphologyTest, BallsAreMeasuredInMillimetres) {
  const std::pair<Vec3, double> balls[] = {{{1, 1, 1}, 2}, {{1, 1, 1}, 0}, {{0.7, 1.3, 2.9}, 2.9}, {{2, 2, 2}, 3.9}};
  for (const Shape<3>& shape : {Shape<3>{1, 1, 1}, {1, 1, 30}, {7, 8, 21}, {12, 9, 8}})
    for (const auto& [spacing, radius] : balls)
      for (const VoxelType type : {VoxelType::uint8, VoxelType::uint16, VoxelType::uint32}) {
        const test::Labels labels = test::blobs(shape, 3, 4, 5);
        const double most = radius * (1 + 1e-6);
        // Eroded: farther than the radius from every other kind.
        const auto depth = reference::distances(labels, shape, spacing, true, false);
        const test::Labels eroded = morphed(labels, type, shape, spacing, radius, MorphologyStep::erode);
        for (std::size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(eroded[i], depth[i] > most ? labels[i] : 0);
        // Dilated: the nearest label, of those as near the smallest.
        const auto expect_dilated = [&](const test::Labels& from, const test::Labels& found) {
          const reference::NearestLabels near = reference::nearest_labels(from, shape, spacing);
          for (std::size_t i = 0; i < from.size(); ++i) {
            if (!(near.mm[i] <= most)) {
              EXPECT_EQ(found[i], 0U);
            } else if (spacing[0] == spacing[2]) {
              EXPECT_EQ(found[i], near.labels[i].front());
            } else {
              EXPECT_TRUE(std::ranges::count(near.labels[i], found[i]) != 0) << found[i];
            }
          }
        };
        expect_dilated(labels, morphed(labels, type, shape, spacing, radius, MorphologyStep::dilate));
        expect_dilated(eroded, morphed(labels, type, shape, spacing, radius, MorphologyStep::open));
        // Closed: what was there, and of the dilated what is deep in it.
        const test::Labels dilated = morphed(labels, type, shape, spacing, radius, MorphologyStep::dilate);
        const auto dilated_depth = reference::distances(dilated, shape, spacing, true, false);
        const test::Labels closed = morphed(labels, type, shape, spacing, radius, MorphologyStep::close);
        for (std::size_t i = 0; i < labels.size(); ++i)
          EXPECT_EQ(closed[i], labels[i] != 0 || dilated_depth[i] > most ? dilated[i] : 0);
      }
}

TEST_P(MorphologyTest, AnInfiniteRadiusIsTheNearestFeature) {
  const Shape<3> shape{6, 7, 9};
  test::Labels labels(6 * 7 * 9, 0);
  labels[5] = 70000;
  labels[100] = 3;
  labels[377] = 4000000000U;
  const auto near = reference::nearest_labels(labels, shape, {1, 1, 1});
  const test::Labels found = morphed(labels, VoxelType::uint32, shape, {1, 1, 1},
                                     std::numeric_limits<double>::infinity(), MorphologyStep::dilate);
  for (std::size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(found[i], near.labels[i].front());
  EXPECT_EQ(morphed(test::Labels(6 * 7 * 9, 0), VoxelType::uint8, shape, {1, 1, 1},
                    std::numeric_limits<double>::infinity(), MorphologyStep::dilate),
            test::Labels(6 * 7 * 9, 0));
}

TEST_P(MorphologyTest, WhatCannotBeIsRefused) {
  const Shape<3> shape{1, 2, 2};
  const VoxelArray image = there(VoxelType::float32, {1, NAN, 2, 3}, shape);
  VoxelArray made(VoxelType::float32, shape, GetParam());
  EXPECT_THROW(extreme(stream_, image.span(), cross(), Extreme::least, made.span()), Error);
  const VoxelArray labels = there(VoxelType::uint8, {1, 0, 2, 3}, shape);
  VoxelArray result(VoxelType::uint8, shape, GetParam());
  EXPECT_THROW(ball_morphology(stream_, labels.span(), {1, 1, 1}, -1, MorphologyStep::erode, result.span()), Error);
  EXPECT_THROW(ball_morphology(stream_, labels.span(), {1, 0, 1}, 1, MorphologyStep::erode, result.span()), Error);
  EXPECT_THROW(ball_morphology(stream_, labels.span(), {1, 1, 1}, NAN, MorphologyStep::dilate, result.span()), Error);
  VoxelArray none(VoxelType::uint8, {0, 2, 2}, GetParam()), of_none(VoxelType::uint8, {0, 2, 2}, GetParam());
  ball_morphology(stream_, none.span(), {1, 1, 1}, 1, MorphologyStep::close, of_none.span());
  extreme(stream_, none.span(), cross(), Extreme::least, of_none.span());
}

}  // namespace
}  // namespace kiban::image
