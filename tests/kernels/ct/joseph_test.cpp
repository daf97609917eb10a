#include "kernels/ct/joseph.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cudasim/launch.h"
#include "tests/reference/ct.hpp"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

Shape<3> stack_shape(const Geometry& geometry) {
  return {static_cast<std::int64_t>(geometry.views.size()), geometry.rows, geometry.columns};
}

std::vector<float> project(Device device, const std::vector<float>& volume, const Grid& grid, const Geometry& geometry,
                           int threads = 0) {
  Stream stream(device, threads);
  const Array<float, 3> input = test::to_device<3>(stream, volume, grid.shape);
  Array<float, 3> projections(stack_shape(geometry), device);
  joseph_project(stream, input.span(), grid, geometry, 0, projections.span());
  return test::to_host(stream, projections);
}

std::vector<float> backproject(Device device, const std::vector<float>& projections, const Grid& grid,
                               const Geometry& geometry, int threads = 0) {
  Stream stream(device, threads);
  const Array<float, 3> input = test::to_device<3>(stream, projections, stack_shape(geometry));
  Array<float, 3> volume(grid.shape, device);
  zero(stream, volume.span());
  joseph_backproject(stream, input.span(), geometry, 0, grid, volume.span());
  return test::to_host(stream, volume);
}

struct Case {
  const char* name;
  Geometry geometry;
  Grid grid;
};

CircularGeometry tilted_scan(std::int64_t views, double sid, double sdd) {
  CircularGeometry scan = circular_scan(views, sid, sdd, 360, 3);
  for (std::size_t k = 0; k < scan.size(); ++k) {
    scan[k].source_offset_x_mm = 9;
    scan[k].projection_offset_y_mm = -6;
    scan[k].out_of_plane_angle_deg = 9. * static_cast<double>(k);
    scan[k].in_plane_angle_deg = 5. * static_cast<double>(k);
  }
  return scan;
}

std::vector<Case> cases() {
  const Panel panel = Panel::centred(23, 37, 7, 8);
  const Grid grid = Grid::centred({17, 21, 19}, {5, 4, 6});
  Grid turned = Grid::centred({17, 21, 19}, {5, 4, 6});
  turned.direction = {Vec3{0, -0.6, 0.8}, Vec3{1, 0, 0}, Vec3{0, 0.8, 0.6}};
  turned.origin = {-5, -45, -42};
  return {{"Divergent", geometry_from_circular(circular_scan(9, 300, 600, 360, 3), panel), grid},
          {"Tilted", geometry_from_circular(tilted_scan(9, 300, 600), panel), grid},
          {"TurnedGrid", geometry_from_circular(tilted_scan(9, 300, 600), panel), turned},
          {"Parallel", geometry_from_circular(tilted_scan(9, 300, 0), panel), grid},
          {"SourceInside", geometry_from_circular(tilted_scan(9, 25, 600), panel), grid},
          {"PanelInside", geometry_from_circular(tilted_scan(9, 300, 310), panel), grid},
          {"FewLargePixels", geometry_from_circular(circular_scan(9, 300, 600, 360, 3), Panel::centred(3, 5, 60, 50)),
           grid},
          {"OneSlice", geometry_from_circular(circular_scan(9, 300, 0, 180, 3), Panel::centred(1, 37, 4, 4)),
           Grid::centred({21, 1, 19}, {5, 4, 6})},
          {"OneVoxel", geometry_from_circular(tilted_scan(9, 300, 600), panel), Grid::centred({1, 1, 1}, {50, 60, 70})},
          // Rays in the faces of the volume and through its voxels, at the angles where two axes tie.
          {"OnTheGrid", geometry_from_circular(circular_scan(8, 300, 0), Panel::centred(21, 19, 5, 4)),
           Grid::centred({19, 21, 19}, {5, 4, 5})}};
}

class Joseph : public testing::TestWithParam<Device> {};

TEST_P(Joseph, LineIntegralsAreThoseOfTheReference) {
  for (const Case& tested : cases()) {
    // At a tie the reference may take the other axis, which is as right.
    if (std::string(tested.name) == "OnTheGrid") continue;
    const std::vector<float> volume = test::uniform(element_count<3>(tested.grid.shape), 5);
    const reference::Values truth = reference::joseph({volume.begin(), volume.end()}, tested.grid, tested.geometry);
    EXPECT_GT(test::inner_product(truth, truth), 0) << tested.name;
    EXPECT_LE(test::relative_l2(project(GetParam(), volume, tested.grid, tested.geometry), truth), 1e-5) << tested.name;
  }
}

TEST_P(Joseph, BackprojectionIsTheAdjoint) {
  for (const Case& tested : cases()) {
    const std::vector<float> x = test::uniform(element_count<3>(tested.grid.shape), 5);
    const std::vector<float> y = test::uniform(element_count<3>(stack_shape(tested.geometry)), 6);
    const std::vector<float> ax = project(GetParam(), x, tested.grid, tested.geometry);
    const std::vector<float> aty = backproject(GetParam(), y, tested.grid, tested.geometry);
    EXPECT_GT(test::inner_product(ax, y), 0) << tested.name;
    EXPECT_LE(test::adjoint_error(ax, y, x, aty), 1e-5) << tested.name;
  }
}

/// Sums can agree where their parts do not: here every entry of both matrices is compared.
TEST_P(Joseph, BackprojectionIsTheTransposeEntryByEntry) {
  const Grid grid = Grid::centred({4, 3, 5}, {11, 13, 9});
  for (const CircularGeometry& scan : {tilted_scan(3, 300, 600), tilted_scan(3, 30, 600), tilted_scan(3, 300, 0)}) {
    const Geometry geometry = geometry_from_circular(scan, Panel::centred(4, 5, 25, 20));
    const auto voxels = static_cast<std::size_t>(element_count<3>(grid.shape));
    const auto pixels = static_cast<std::size_t>(element_count<3>(stack_shape(geometry)));
    std::vector<std::vector<float>> columns;
    for (std::size_t i = 0; i < voxels; ++i) {
      std::vector<float> one(voxels, 0.0f);
      one[i] = 1;
      columns.push_back(project(GetParam(), one, grid, geometry));
    }
    for (std::size_t j = 0; j < pixels; ++j) {
      std::vector<float> one(pixels, 0.0f);
      one[j] = 1;
      const std::vector<float> row = backproject(GetParam(), one, grid, geometry);
      for (std::size_t i = 0; i < voxels; ++i)
        ASSERT_NEAR(row[i], columns[i][j], 1e-4) << "voxel " << i << " ray " << j;
    }
  }
}

TEST_P(Joseph, AddsToTheVolume) {
  const Case tested = cases()[0];
  const std::vector<float> y = test::uniform(element_count<3>(stack_shape(tested.geometry)), 6);
  const std::vector<float> once = backproject(GetParam(), y, tested.grid, tested.geometry);
  Stream stream(GetParam());
  Array<float, 3> volume = test::to_device<3>(stream, std::vector<float>(once.size(), 7.0f), tested.grid.shape);
  const Array<float, 3> input = test::to_device<3>(stream, y, stack_shape(tested.geometry));
  joseph_backproject(stream, input.span(), tested.geometry, 0, tested.grid, volume.span());
  const std::vector<float> onto = test::to_host(stream, volume);
  for (std::size_t i = 0; i < once.size(); ++i) ASSERT_NEAR(onto[i], once[i] + 7, 1e-3);
}

TEST_P(Joseph, GivesTheSameBytesOnAnyThreadsAndHoweverViewsAreCut) {
  const Case tested = cases()[2];
  const std::vector<float> x = test::uniform(element_count<3>(tested.grid.shape), 5);
  const std::vector<float> whole = project(GetParam(), x, tested.grid, tested.geometry, 1);
  EXPECT_EQ(project(GetParam(), x, tested.grid, tested.geometry, 2), whole);
  EXPECT_EQ(backproject(GetParam(), whole, tested.grid, tested.geometry, 2),
            backproject(GetParam(), whole, tested.grid, tested.geometry, 1));
  Stream stream(GetParam());
  const Array<float, 3> input = test::to_device<3>(stream, x, tested.grid.shape);
  Array<float, 3> part({3, tested.geometry.rows, tested.geometry.columns}, GetParam());
  joseph_project(stream, input.span(), tested.grid, tested.geometry, 5, part.span());
  const std::vector<float> views = test::to_host(stream, part);
  EXPECT_TRUE(std::equal(views.begin(), views.end(), whole.begin() + 5 * part.shape()[1] * part.shape()[2]));
}

INSTANTIATE_TEST_SUITE_P(Devices, Joseph, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

TEST(JosephOnSim, IsTheSameInAnyOrderOfThreads) {
  const Device sim = parse_device("sim");
  const Grid grid = Grid::centred({32, 32, 32}, {4, 4, 4});
  const Geometry geometry = geometry_from_circular(tilted_scan(6, 300, 600), Panel::centred(32, 32, 8, 8));
  const std::vector<float> x = test::uniform(element_count<3>(grid.shape), 5);
  const std::vector<float> projected = project(sim, x, grid, geometry);
  const std::vector<float> gathered = backproject(sim, projected, grid, geometry);
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_EQ(project(sim, x, grid, geometry), projected);
    EXPECT_EQ(backproject(sim, projected, grid, geometry), gathered);
  }
}

TEST(JosephErrors, OfGridsThatSpanNoVolume) {
  const Case tested = cases()[0];
  for (int broken = 0; broken < 3; ++broken) {
    Grid grid = tested.grid;
    if (broken == 0) grid.spacing[1] = 0;
    if (broken == 1) grid.direction[2] = grid.direction[1];
    if (broken == 2) grid.origin[0] = std::numeric_limits<double>::quiet_NaN();
    try {
      project(Device{}, std::vector<float>(static_cast<std::size_t>(element_count<3>(grid.shape))), grid,
              tested.geometry);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
    }
  }
}

/// Refused by its shape: there is no memory behind it.
TEST(JosephErrors, OfASideThatIsNotCountedIn32Bits) {
  const Grid longest = Grid::centred({1, 1, (std::int64_t{1} << 31)}, {1, 1, 1});
  const Geometry geometry = geometry_from_circular(circular_scan(1, 400, 700), Panel::centred(4, 4, 1, 1));
  Array<float, 3> projections({1, 4, 4});
  Stream stream;
  try {
    joseph_project(stream, {nullptr, longest.shape}, longest, geometry, 0, projections.span());
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::input);
    EXPECT_NE(std::string(error.what()).find("2147483648"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace kiban::ct
