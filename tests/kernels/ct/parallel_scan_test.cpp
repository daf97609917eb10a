#include "kernels/ct/parallel_scan.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/core/error.hpp"

namespace kiban::ct {
namespace {

TEST(ParallelScan, ProjectsPointsWhereTheDefinitionSays) {
  const std::vector<double> angles = {0, 30, 90, 137.5, 180};
  for (const int direction : {1, -1}) {
    const ParallelScan scan{11, 64, 0.25, 29.75, direction};
    const Geometry geometry = parallel_scan_geometry(scan, angles);
    ASSERT_EQ(geometry.views.size(), angles.size());
    EXPECT_EQ(geometry.rows, 11);
    EXPECT_EQ(geometry.columns, 64);
    for (std::size_t k = 0; k < angles.size(); ++k) {
      const double t = direction * angles[k] * std::numbers::pi / 180;
      const Vec3 point{1.3, -0.4, 2.1};
      const PanelPoint at = world_to_panel(geometry, static_cast<std::int64_t>(k))(point[0], point[1], point[2]);
      EXPECT_NEAR(at.u, 29.75 + (point[0] * std::cos(t) - point[2] * std::sin(t)) / 0.25, 1e-9);
      EXPECT_NEAR(at.v, 5 + point[1] / 0.25, 1e-9);
      EXPECT_NEAR(at.w, 1, 1e-12);
      EXPECT_TRUE(geometry.views[k].parallel);
    }
  }
}

TEST(ParallelScan, OverAHalfTurnGivesEveryViewTheSameWeight) {
  std::vector<double> angles;
  for (int k = 0; k < 90; ++k) angles.push_back(2 * k);
  for (const double gap : angular_gaps(parallel_scan_geometry({4, 8, 1, 3.5, 1}, angles)))
    EXPECT_NEAR(gap, std::numbers::pi / 90, 1e-12);
}

TEST(ParallelScanErrors, NameTheFault) {
  const std::vector<double> one = {0}, none = {}, bad = {std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW(parallel_scan_geometry({4, 8, 1, 3.5, 1}, none), Error);
  EXPECT_THROW(parallel_scan_geometry({4, 8, 1, 3.5, 1}, bad), Error);
  EXPECT_THROW(parallel_scan_geometry({4, 8, 1, 3.5, 0}, one), Error);
  EXPECT_THROW(parallel_scan_geometry({0, 8, 1, 3.5, 1}, one), Error);
  EXPECT_THROW(parallel_scan_geometry({4, 8, 0, 3.5, 1}, one), Error);
  EXPECT_THROW(parallel_scan_geometry({4, 8, 1, bad[0], 1}, one), Error);
}

}  // namespace
}  // namespace kiban::ct
