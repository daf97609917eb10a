#include "kernels/ct/phantom.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cudasim/launch.h"
#include "tests/reference/ct.hpp"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

std::vector<float> project(Device device, std::span<const Ellipsoid> ellipsoids, const Geometry& geometry,
                           std::int64_t first = 0, std::int64_t count = -1, int threads = 0) {
  Stream stream(device, threads);
  if (count < 0) count = static_cast<std::int64_t>(geometry.views.size());
  Array<float, 3> projections({count, geometry.rows, geometry.columns}, device);
  project_ellipsoids(stream, ellipsoids, geometry, first, projections.span());
  return test::to_host(stream, projections);
}

struct Case {
  const char* name;
  std::vector<Ellipsoid> ellipsoids;
  Geometry geometry;
};

CircularGeometry tilted_scan(double sdd) {
  CircularGeometry scan = circular_scan(7, 600, sdd, 360, 11);
  for (std::size_t k = 0; k < scan.size(); ++k) {
    scan[k].source_offset_x_mm = 20;
    scan[k].source_offset_y_mm = -15;
    scan[k].projection_offset_x_mm = 5;
    scan[k].out_of_plane_angle_deg = 4. * static_cast<double>(k);
    scan[k].in_plane_angle_deg = -3. * static_cast<double>(k);
  }
  return scan;
}

/// Everything a ray can meet: offsets and tilts, sources in the head, ellipsoids behind the source or beside the panel.
std::vector<Case> cases() {
  const Panel panel = Panel::centred(37, 45, 10, 12);
  const std::vector<Ellipsoid> head = shepp_logan(116);
  std::vector<Ellipsoid> scattered = head;
  scattered.push_back({{20, 30, 10}, {0, 10, 800}, 30, 1});      // behind the source of view 0
  scattered.push_back({{5, 5, 5}, {5000, 4000, 600}, 0, 1});     // in the plane of that source
  scattered.push_back({{0.5, 0.25, 1}, {-30, 20, 40}, 20, 50});  // smaller than a pixel
  return {{"Divergent", head, geometry_from_circular(circular_scan(5, 600, 1200), panel)},
          {"Parallel", head, geometry_from_circular(tilted_scan(0), panel)},
          {"Tilted", head, geometry_from_circular(tilted_scan(1200), panel)},
          {"SourceInside", head, geometry_from_circular(circular_scan(5, 40, 1000), panel)},
          {"Scattered", scattered, geometry_from_circular(circular_scan(5, 600, 1200), panel)}};
}

class Phantom : public testing::TestWithParam<Device> {};

TEST_P(Phantom, LineIntegralsAreThoseOfTheReference) {
  for (const Case& tested : cases())
    EXPECT_LE(test::relative_l2(project(GetParam(), tested.ellipsoids, tested.geometry),
                                reference::line_integrals(tested.ellipsoids, tested.geometry)),
              1e-6)
        << tested.name;
}

TEST_P(Phantom, ChordsOfABallAreTwiceTheRootOfTheSquaredRadiusLessTheSquaredDistance) {
  const Ellipsoid ball[] = {{{30, 30, 30}, {0, 0, 0}, 0, 0.5}};
  const Geometry geometry = geometry_from_circular(circular_scan(3, 500, 0), Panel::centred(9, 9, 5, 5));
  const std::vector<float> projections = project(GetParam(), ball, geometry);
  for (std::size_t k = 0; k < 3; ++k)
    for (int row = 0; row < 9; ++row)
      for (int column = 0; column < 9; ++column) {
        const double squared = 25. * ((row - 4) * (row - 4) + (column - 4) * (column - 4));
        const double chord = squared < 900 ? 0.5 * 2 * std::sqrt(900 - squared) : 0;
        EXPECT_NEAR(projections[k * 81 + static_cast<std::size_t>(row * 9 + column)], chord, 2e-5);
      }
}

TEST_P(Phantom, ViewsDoNotDependOnHowTheyAreCutNorOnThreads) {
  const Case tested = cases()[2];
  const std::vector<float> whole = project(GetParam(), tested.ellipsoids, tested.geometry, 0, -1, 1);
  const std::vector<float> last = project(GetParam(), tested.ellipsoids, tested.geometry, 4, 3, 2);
  ASSERT_EQ(last.size(), 3 * 37 * 45u);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), whole.begin() + 4 * 37 * 45));
}

TEST_P(Phantom, RasterIsTheDensityAtVoxelCentres) {
  Grid grid = Grid::centred({33, 41, 29}, {7, 6, 8});
  grid.direction = {Vec3{0, -0.6, 0.8}, Vec3{1, 0, 0}, Vec3{0, 0.8, 0.6}};
  grid.origin = {-20, -100, -70};
  Stream stream(GetParam());
  Array<float, 3> volume(grid.shape, GetParam());
  const std::vector<Ellipsoid> head = shepp_logan(116, 0.02);
  rasterise_ellipsoids(stream, head, grid, volume.span());
  const reference::Values truth = reference::rasterise(head, grid);
  const std::vector<float> values = test::to_host(stream, volume);
  std::int64_t unlike = 0, inside = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    unlike += !(std::abs(values[i] - truth[i]) < 1e-7);
    inside += truth[i] != 0;
  }
  EXPECT_LE(unlike, 1);
  EXPECT_GT(inside, 1000);
}

TEST_P(Phantom, WithoutEllipsoidsIsEmpty) {
  const Geometry geometry = geometry_from_circular(circular_scan(2, 500, 900), Panel::centred(3, 4, 5, 5));
  EXPECT_EQ(project(GetParam(), {}, geometry), std::vector<float>(24, 0.0f));
}

INSTANTIATE_TEST_SUITE_P(Devices, Phantom, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

TEST(PhantomOnSim, IsTheSameInAnyOrderOfThreads) {
  const Device sim = parse_device("sim");
  const Geometry geometry = geometry_from_circular(circular_scan(5, 600, 1200), Panel::centred(32, 32, 14, 14));
  const std::vector<float> projections = project(sim, shepp_logan(116), geometry);
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_EQ(project(sim, shepp_logan(116), geometry), projections);
  }
}

TEST(PhantomErrors, NameTheEllipsoid) {
  const Geometry geometry = geometry_from_circular(circular_scan(2, 500, 900), Panel::centred(3, 4, 5, 5));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Ellipsoid& broken : {Ellipsoid{{0, 1, 1}, {}, 0, 1}, Ellipsoid{{1, -1, 1}, {}, 0, 1},
                                  Ellipsoid{{1, 1, nan}, {}, 0, 1}, Ellipsoid{{1, 1, 1}, {}, 0, nan}}) {
    const Ellipsoid list[] = {{{1, 1, 1}, {}, 0, 1}, broken};
    try {
      project(Device{}, list, geometry);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
      EXPECT_NE(std::string(error.what()).find("ellipsoid 1"), std::string::npos) << error.what();
    }
  }
}

TEST(PhantomErrors, ViewsBeyondTheGeometry) {
  const Geometry geometry = geometry_from_circular(circular_scan(2, 500, 900), Panel::centred(3, 4, 5, 5));
  EXPECT_THROW(project(Device{}, shepp_logan(100), geometry, 1, 2), Error);
}

}  // namespace
}  // namespace kiban::ct
