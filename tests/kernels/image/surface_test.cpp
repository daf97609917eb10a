#include "kernels/image/surface.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/image/label_maps.hpp"

namespace kiban::image {
namespace {

class SurfaceTest : public testing::TestWithParam<Device> {
 protected:
  SurfacePair distances(const test::Labels& labels, const test::Labels& reference, const Shape<3>& shape,
                        const VoxelBox& box, const Vec3& spacing, std::uint32_t label = 1) {
    const VoxelArray one = test::to_device(stream_, labels, VoxelType::uint8, shape);
    const VoxelArray other = test::to_device(stream_, reference, VoxelType::uint16, shape);
    return surface_distances(stream_, one.span(), other.span(), label, box, spacing);
  }
  Stream stream_{GetParam(), 3};
};
INSTANTIATE_TEST_SUITE_P(Devices, SurfaceTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

TEST(SurfelAreas, AreThoseOfMarchingCubes) {
  const Vec3 spacing{2, 3, 5};  // faces of 15, 10 and 6 mm^2 across x, y, z
  const auto areas = surfel_areas(spacing);
  EXPECT_EQ(areas[0], 0);
  EXPECT_EQ(areas[255], 0);
  EXPECT_DOUBLE_EQ(areas[0b11110000], 6);   // half of the cube, cut across z
  EXPECT_DOUBLE_EQ(areas[0b00110011], 10);  // across y
  EXPECT_DOUBLE_EQ(areas[0b01010101], 15);  // across x
  // One corner: the triangle between the middles of three edges.
  const double corner = std::sqrt(15.0 * 15 + 10 * 10 + 6 * 6) / 8;
  for (unsigned bit = 0; bit < 8; ++bit) {
    EXPECT_DOUBLE_EQ(areas[1U << bit], corner);
    EXPECT_DOUBLE_EQ(areas[255 - (1U << bit)], corner);
  }
  // An edge along x: a rectangle between the middles of four edges, 2 mm long.
  EXPECT_DOUBLE_EQ(areas[0b00000011], 2 * std::hypot(1.5, 2.5));
  for (std::size_t code = 1; code < 255; ++code) EXPECT_GT(areas[code], 0) << code;
}

/// Cubes of n voxels, one shifted along x: faces, edges and corners by hand.
TEST_P(SurfaceTest, ShiftedCubes) {
  const Shape<3> shape{8, 8, 12};
  const auto cube = [&](std::int64_t from) {
    test::Labels labels(8 * 8 * 12, 0);
    for (std::int64_t z = 2; z < 6; ++z)
      for (std::int64_t y = 2; y < 6; ++y)
        for (std::int64_t x = from; x < from + 4; ++x) labels[static_cast<std::size_t>((z * 8 + y) * 12 + x)] = 1;
    return labels;
  };
  const VoxelBox box{{2, 2, 2}, {7, 5, 5}};
  const SurfacePair same = distances(cube(2), cube(2), shape, {{2, 2, 2}, {5, 5, 5}}, {1, 1, 1});
  EXPECT_EQ(same.of_labels.mm.size(), 98U);  // 5^3 corners less the 3^3 within
  EXPECT_EQ(same.of_labels.mm.back(), 0);
  EXPECT_NEAR(same.of_labels.total_area(), 6 * 9 + 12 * 3 * std::sqrt(0.5) + 8 * std::sqrt(3) / 8, 1e-12);
  const SurfacePair shifted = distances(cube(2), cube(4), shape, box, {3, 1, 1});
  for (const SurfaceDistances& of : {shifted.of_labels, shifted.of_reference}) {
    EXPECT_EQ(of.mm.size(), 98U);
    EXPECT_EQ(of.percentile(100), 6);
    EXPECT_LT(of.percentile(1), 1e-6);
    EXPECT_NEAR(of.area_within(6), of.total_area(), 1e-12);
    EXPECT_GT(of.mean(), 0);
    EXPECT_LT(of.mean(), 6);
  }
  EXPECT_EQ(shifted.of_labels.area_mm2.size(), shifted.of_labels.mm.size());
}

TEST_P(SurfaceTest, AMissingLabelIsInfinitelyFar) {
  test::Labels labels(27, 0), none(27, 0);
  labels[13] = 1;
  const SurfacePair pair = distances(labels, none, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}, {1, 1, 1});
  EXPECT_EQ(pair.of_labels.mm.size(), 8U);
  EXPECT_TRUE(std::isinf(pair.of_labels.mm.front()));
  EXPECT_TRUE(pair.of_reference.mm.empty());
  EXPECT_TRUE(std::isnan(pair.of_reference.mean()));
  EXPECT_TRUE(std::isnan(pair.of_reference.percentile(95)));
  EXPECT_EQ(pair.of_labels.area_within(1e30), 0);
}

TEST_P(SurfaceTest, EqualLabelsStay) {
  const Shape<3> shape{3, 5, 70};
  const test::Labels one = test::random_labels(shape, 3, 0.8, 1), other = test::random_labels(shape, 3, 0.8, 2);
  for (const VoxelType type : {VoxelType::uint8, VoxelType::uint16, VoxelType::uint32}) {
    const VoxelArray labels = test::to_device(stream_, one, type, shape);
    const VoxelArray reference = test::to_device(stream_, other, VoxelType::uint32, shape);
    VoxelArray equal(type, shape, GetParam());
    keep_equal(stream_, labels.span(), reference.span(), equal.span());
    const test::Labels found = test::to_labels(stream_, equal.span());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], one[i] == other[i] ? one[i] : 0);
  }
}

}  // namespace
}  // namespace kiban::image
