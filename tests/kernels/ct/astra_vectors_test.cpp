#include "kernels/ct/astra_vectors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/core/error.hpp"

namespace kiban::ct {
namespace {

/// A circle about z as ASTRA's documentation of cone_vec writes it: the source at angle a is (sin a, -cos a, 0) times
/// the distance to the axis, u is (cos a, sin a, 0) and v is (0, 0, 1) times the pitch.
std::vector<double> circle(int views, double to_source, double to_detector, double pitch) {
  std::vector<double> vectors;
  for (int k = 0; k < views; ++k) {
    const double a = 2 * std::numbers::pi * k / views, s = std::sin(a), c = std::cos(a);
    for (const double number : {s * to_source, -c * to_source, 0., -s * to_detector, c * to_detector, 0., c * pitch,
                                s * pitch, 0., 0., 0., pitch})
      vectors.push_back(number);
  }
  return vectors;
}

TEST(AstraVectors, ProjectWhereSimilarTrianglesSay) {
  const Geometry geometry = geometry_from_astra(circle(8, 100, 50, 0.5), false, 20, 30, {0, 0, 2});
  ASSERT_EQ(geometry.views.size(), 8U);
  EXPECT_EQ(geometry.axis, (Vec3{0, 0, 1}));
  // At angle 0 the source is at -y: a point at depth y is magnified 150 / (100 + y) times.
  const PanelPoint p = world_to_panel(geometry, 0)(3, 20, 4);
  EXPECT_NEAR(p.u, 14.5 + 3 * 150 / 120. / 0.5, 1e-9);
  EXPECT_NEAR(p.v, 9.5 + 4 * 150 / 120. / 0.5, 1e-9);
  // At 90 degrees it is at +x, and columns run along +y.
  const PanelPoint q = world_to_panel(geometry, 2)(20, 3, 4);
  EXPECT_NEAR(q.u, 14.5 + 3 * 150 / 80. / 0.5, 1e-9);
  for (const double gap : angular_gaps(geometry)) EXPECT_NEAR(gap, 2 * std::numbers::pi / 8, 1e-12);
}

TEST(AstraVectors, RaysAreDirections) {
  std::vector<double> vectors = circle(4, 100, 50, 1);
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t i = 0; i < 3; ++i) vectors[12 * k + i] *= -0.3;  // from the source to the panel, of any length
  const Geometry geometry = geometry_from_astra(vectors, true, 20, 30, {0, 0, 1});
  EXPECT_TRUE(geometry.views[0].parallel);
  EXPECT_NEAR(norm(geometry.views[1].source), 1, 1e-15);
  const PanelPoint p = world_to_panel(geometry, 0)(3, 20, 4);
  EXPECT_NEAR(p.u, 14.5 + 3, 1e-9);
  EXPECT_NEAR(p.v, 9.5 + 4, 1e-9);
}

TEST(AstraVectors, RefusesWhatIsNoGeometry) {
  const std::vector<double> good = circle(3, 100, 50, 1);
  EXPECT_NO_THROW(geometry_from_astra(good, false, 2, 2, {0, 0, 1}));
  EXPECT_THROW(geometry_from_astra({}, false, 2, 2, {0, 0, 1}), Error);
  EXPECT_THROW(geometry_from_astra(std::span(good).first(35), false, 2, 2, {0, 0, 1}), Error);
  EXPECT_THROW(geometry_from_astra(good, false, 0, 2, {0, 0, 1}), Error);
  EXPECT_THROW(geometry_from_astra(good, false, 2, 2, {0, 0, 0}), Error);
  for (const auto& [place, value] : {std::pair{13, std::numeric_limits<double>::quiet_NaN()}, std::pair{11, 0.}}) {
    std::vector<double> bad = good;
    bad[static_cast<std::size_t>(place)] = value;
    EXPECT_THROW(geometry_from_astra(bad, false, 2, 2, {0, 0, 1}), Error) << place;
  }
}

}  // namespace
}  // namespace kiban::ct
