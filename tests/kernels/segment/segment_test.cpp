#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "kernels/segment/body.hpp"
#include "kernels/segment/lungs.hpp"
#include "tests/kernels/image/label_maps.hpp"
#include "tests/kernels/image/voxels_test.hpp"

namespace kiban::segment {
namespace {

/// A point of the phantom, mm: x to the left, y to the back, z to the head, about the middle of the trunk.
struct Point {
  double x, y, z;
};

bool in_ellipse(double a, double b, double from_a, double from_b, double radius_a, double radius_b) {
  return std::hypot((a - from_a) / radius_a, (b - from_b) / radius_b) <= 1;
}

/// An adult chest, arms down.
struct Phantom {
  bool has_lungs = true, lungs_touch = false, has_trachea = true;

  static bool in_trunk(const Point& p) { return in_ellipse(p.x, p.y, 0, 0, 170, 110); }
  static bool in_arm(const Point& p) { return in_ellipse(std::abs(p.x), p.y, 225, 10, 38, 42); }
  bool in_lung(const Point& p, double side) const {
    if (!has_lungs) return false;
    const bool in_bridge = lungs_touch && std::abs(p.x) <= 40 && std::abs(p.y + 40) <= 4 && std::abs(p.z) <= 12;
    const double r = std::hypot((p.x - side * 80) / 60, p.y / 75, (p.z + 10) / 75);
    return (r <= 1 || (in_bridge && p.x * side > 0)) && !in_trachea(p);
  }
  bool in_trachea(const Point& p) const { return has_trachea && p.z >= 10 && in_ellipse(p.x, p.y, 0, 20, 9, 9); }
  static bool in_stomach(const Point& p) { return std::hypot((p.x - 70) / 30, (p.y + 50) / 25, (p.z + 95) / 14) <= 1; }

  double hu(const Point& p) const {
    if (in_trunk(p)) {
      if (in_trachea(p) || in_stomach(p)) return -1000;
      if (in_lung(p, 1) || in_lung(p, -1)) return -850;
      return in_ellipse(p.x, p.y, 0, 75, 18, 18) ? 400 : 40;  // a spine
    }
    if (in_arm(p)) return in_ellipse(std::abs(p.x), p.y, 225, 10, 12, 12) ? 700 : 20;
    if (in_ellipse(p.x, p.y, 0, 0, 180, 120) && !in_ellipse(p.x, p.y, 0, 0, 177, 117)) return -150;  // clothing
    if (p.y >= 135 && p.y <= 138) return 100;  // the table's shell
    if (p.y > 138 && p.y < 160) return -960;   // and its foam
    if (p.y >= 160 && p.y <= 163) return 100;
    return -1000;
  }
};

/// What is scanned, in voxels of so many mm.
struct Scan {
  double mm;
  Shape<3> shape;

  Vec3 spacing() const { return {mm, mm, mm}; }
  Point point(std::int64_t z, std::int64_t y, std::int64_t x) const {
    return {(static_cast<double>(x) - 0.5 * static_cast<double>(shape[2] - 1)) * mm, static_cast<double>(y) * mm - 141,
            (static_cast<double>(z) - 0.5 * static_cast<double>(shape[0] - 1)) * mm};
  }
};
constexpr Scan kFine{3, {72, 106, 180}}, kCoarse{6, {36, 53, 90}};

/// Means over 2^3 points of each voxel, and noise.
std::vector<double> scanned(const Scan& scan, const Phantom& phantom, double noise) {
  std::mt19937 generator(4);
  std::normal_distribution<double> normal(0, noise);
  std::vector<double> values;
  for (std::int64_t z = 0; z < scan.shape[0]; ++z)
    for (std::int64_t y = 0; y < scan.shape[1]; ++y)
      for (std::int64_t x = 0; x < scan.shape[2]; ++x) {
        const Point p = scan.point(z, y, x);
        double sum = 0;
        for (int corner = 0; corner < 8; ++corner)
          sum += phantom.hu({p.x + ((corner & 1) - 0.5) * scan.mm / 2, p.y + ((corner >> 1 & 1) - 0.5) * scan.mm / 2,
                             p.z + ((corner >> 2 & 1) - 0.5) * scan.mm / 2});
        values.push_back(std::round(sum / 8 + normal(generator)));
      }
  return values;
}

double dice(const Scan& scan, const test::Labels& labels, std::uint32_t label,
            const std::function<bool(const Point&)>& truth) {
  double common = 0, both = 0;
  std::size_t at = 0;
  for (std::int64_t z = 0; z < scan.shape[0]; ++z)
    for (std::int64_t y = 0; y < scan.shape[1]; ++y)
      for (std::int64_t x = 0; x < scan.shape[2]; ++x, ++at) {
        const bool is_found = labels[at] == label, is_true = truth(scan.point(z, y, x));
        common += is_found && is_true ? 2 : 0;
        both += (is_found ? 1 : 0) + (is_true ? 1 : 0);
      }
  return common / both;
}

using Found = std::pair<test::Labels, std::string>;

/// Labels, and why there are no lungs.
Found segmented(Device device, const Scan& scan, const std::vector<double>& hu, bool of_lungs,
                VoxelType type = VoxelType::int16) {
  Stream stream(device, 3);
  VoxelArray host(type, scan.shape), image(type, scan.shape, device);
  with_voxel_type(type, [&]<class T>() {
    for (std::size_t i = 0; i < hu.size(); ++i) host.span().as<T>().host().data[i] = static_cast<T>(hu[i]);
  });
  copy(stream, host.span(), image.span());
  Array<std::uint8_t, 3> labels(scan.shape, device);
  std::string why;
  if (of_lungs)
    why = lungs(stream, image.span(), scan.spacing(), labels.span());
  else
    body(stream, image.span(), scan.spacing(), labels.span());
  return {test::to_labels(stream, ConstVoxelSpan(labels.span())), why};
}

TEST(Segment, TheBodyIsTrunkAndArmsWithoutTableAndClothing) {
  const auto is_body = [](const Point& p) { return Phantom::in_trunk(p) || Phantom::in_arm(p); };
  for (const bool has_lungs : {true, false}) {
    const Found found = segmented({}, kFine, scanned(kFine, {has_lungs}, 40), false);
    EXPECT_GE(dice(kFine, found.first, 1, is_body), 0.99) << has_lungs;
  }
}

TEST(Segment, LungsAreLeftAndRightAndTheTracheaIsApart) {
  for (const bool touch : {false, true}) {
    const Phantom phantom{true, touch, true};
    const auto [labels, why] = segmented({}, kFine, scanned(kFine, phantom, 30), true);
    EXPECT_EQ(why, "");
    EXPECT_GE(dice(kFine, labels, 1, [&](const Point& p) { return phantom.in_lung(p, 1); }), 0.97) << touch;
    EXPECT_GE(dice(kFine, labels, 2, [&](const Point& p) { return phantom.in_lung(p, -1); }), 0.97) << touch;
    EXPECT_GE(dice(kFine, labels, 3, [&](const Point& p) { return phantom.in_trachea(p); }), 0.9) << touch;
  }
}

TEST(Segment, WhereThereAreNoLungsTheMapIsEmptyAndSaysWhy) {
  const auto expect_empty = [](const std::vector<double>& hu, const char* why) {
    const Found found = segmented({}, kFine, hu, true);
    EXPECT_EQ(found.first, test::Labels(found.first.size()));
    EXPECT_NE(found.second.find(why), std::string::npos) << found.second;
  };
  expect_empty(scanned(kFine, {false, false, false}, 30), "is gas");
  std::vector<double> solid = scanned(kFine, {false, false, false}, 0);
  for (double& value : solid) value = std::max(value, -30.0);
  expect_empty(solid, "no air");
  expect_empty(std::vector<double>(solid.size(), -1000), "no patient");
}

/// A scanner's field is round, and cuts a wide patient: what lies outside of it is none of him.
TEST(Segment, WhatIsNotANumberIsNeitherTissueNorLung) {
  Scan narrow = kFine;
  narrow.shape[2] = 60;  // 90 mm to both sides
  const auto is_seen = [](const Point& p) { return std::hypot(p.x, p.y) <= 85; };
  for (const bool has_lungs : {false, true}) {
    std::vector<double> hu = scanned(narrow, {has_lungs}, 30), with_nan = hu;
    std::vector<bool> seen;
    for (std::int64_t z = 0; z < narrow.shape[0]; ++z)
      for (std::int64_t y = 0; y < narrow.shape[1]; ++y)
        for (std::int64_t x = 0; x < narrow.shape[2]; ++x) seen.push_back(is_seen(narrow.point(z, y, x)));
    for (std::size_t i = 0; i < hu.size(); ++i)
      if (!seen[i]) {
        hu[i] = -1000;
        with_nan[i] = NAN;
      }
    for (const bool of_lungs : {false, true}) {
      const test::Labels found = segmented({}, narrow, with_nan, of_lungs, VoxelType::float32).first;
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (!seen[i]) {
          ASSERT_EQ(found[i], 0U) << i;
        }
      }
      if (has_lungs || of_lungs) continue;
      EXPECT_EQ(found, segmented({}, narrow, hu, false, VoxelType::float32).first);
      EXPECT_GE(dice(narrow, found, 1, is_seen), 0.97);
    }
  }
}

class SegmentTest : public test::VoxelsTest {};
INSTANTIATE_TEST_SUITE_P(Devices, SegmentTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

/// Of coarse voxels, for the simulator's sake.
TEST_P(SegmentTest, EveryDeviceFindsTheSame) {
  for (const Phantom& phantom : {Phantom{true, true, true}, Phantom{false, false, false}}) {
    const std::vector<double> hu = scanned(kCoarse, phantom, 30);
    for (const bool of_lungs : {false, true}) {
      const Found here = segmented({}, kCoarse, hu, of_lungs);
      EXPECT_EQ(segmented(GetParam(), kCoarse, hu, of_lungs), here);
      EXPECT_EQ(here.second.empty(), phantom.has_lungs || !of_lungs);
    }
  }
}

TEST_P(SegmentTest, SmallAndOddVolumesAreAnswered) {
  for (const Shape<3>& shape : {Shape<3>{0, 4, 4}, {1, 1, 1}, {1, 5, 7}, {3, 1, 40}})
    for (const double value : {-1000.0, 50.0, static_cast<double>(NAN)}) {
      const VoxelArray image = there(
          VoxelType::float32, std::vector<double>(static_cast<std::size_t>(element_count<3>(shape)), value), shape);
      Array<std::uint8_t, 3> labels(shape, GetParam());
      body(stream_, image.span(), {1, 2, 3}, labels.span());
      EXPECT_NE(lungs(stream_, image.span(), {1, 2, 3}, labels.span()), "");
    }
}

}  // namespace
}  // namespace kiban::segment
