#include "kernels/ct/filtered_backprojection.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "cudasim/launch.h"
#include "kernels/ct/phantom.hpp"
#include "tests/reference/ct.hpp"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

using Options = FilteredBackprojectionOptions;

/// Views are handed over `at_once` at a time.
std::vector<float> reconstruct(Device device, const std::vector<float>& projections, const Geometry& geometry,
                               const Grid& grid, const Options& options = {}, std::int64_t at_once = 32,
                               int threads = 0) {
  Stream stream(device, threads);
  Array<float, 3> volume(grid.shape, device);
  FilteredBackprojection fbp(stream, geometry, grid, options, volume.span());
  const auto views = static_cast<std::int64_t>(geometry.views.size());
  const Span<const float, 3> all(projections.data(), {views, geometry.rows, geometry.columns});
  for (std::int64_t first = 0; first < views; first += at_once)
    fbp.add(all.slice(first, std::min(first + at_once, views)));
  fbp.finish();
  return test::to_host(stream, volume);
}

std::vector<float> simulate(const std::vector<Ellipsoid>& phantom, const Geometry& geometry) {
  const reference::Values exact = reference::line_integrals(phantom, geometry);
  return {exact.begin(), exact.end()};
}

struct Case {
  std::string name;
  Geometry geometry;
  Grid grid;
  Options options{};
  /// Not where most voxels lie across a panel's edge or beside the source: there the panel's own steps, of which eight
  /// bits of a pixel keep 2e-3, are all there is to see.
  bool textures = true;
  /// What a GPU's floats are held to where tilted lines of voxels lie beyond the panel or the source; see backproject.
  double gpu_tolerance = 1e-5;
};

/// Column z, as ASTRA's vectors.
Geometry vectors_about_z(int views, std::int64_t rows, std::int64_t columns) {
  Geometry geometry{{}, rows, columns, {0, 0, 1}};
  for (int k = 0; k < views; ++k) {
    const double t = 2 * std::numbers::pi * k / views, c = std::cos(t), s = std::sin(t);
    geometry.views.push_back({false, {400 * s, -400 * c, 0}, {-200 * s, 200 * c, 3}, {5 * c, 5 * s, 0}, {0, 0, 6}});
  }
  return geometry;
}

CircularGeometry offset_scan(std::int64_t views, double sdd, double tilt_deg) {
  CircularGeometry scan = circular_scan(views, 400, sdd, 360, 7);
  for (CircularView& view : scan) {
    view.source_offset_x_mm = 12;
    view.source_offset_y_mm = -9;
    view.projection_offset_x_mm = 4;
    view.projection_offset_y_mm = 2;
    view.out_of_plane_angle_deg = tilt_deg;
    view.in_plane_angle_deg = -0.5 * tilt_deg;
  }
  return scan;
}

Grid tilted_grid() {
  Grid grid = Grid::centred({24, 31, 27}, {4.5, 4, 5});
  grid.direction = {Vec3{0, -0.6, 0.8}, Vec3{1, 0, 0}, Vec3{0, 0.8, 0.6}};
  grid.origin = {-10, -65, -60};
  return grid;
}

std::vector<Case> cases() {
  const Panel panel = Panel::centred(43, 54, 6, 7);
  const Grid grid = Grid::centred({29, 35, 31}, {5, 4, 4.5});
  const Geometry divergent = geometry_from_circular(circular_scan(40, 400, 800, 360, 7), panel);
  const Geometry offset = geometry_from_circular(offset_scan(40, 800, 0), panel);
  const Geometry tilted = geometry_from_circular(offset_scan(40, 800, 8), panel);
  const Geometry parallel = geometry_from_circular(circular_scan(45, 400, 0, 180, 3), panel);
  Grid turned = grid;  // columns along x
  turned.direction = {Vec3{0, 1, 0}, Vec3{-1, 0, 0}, Vec3{0, 0, 1}};
  turned.origin = {-65, 70, -70};
  std::vector<Case> all{
      {"Divergent", divergent, grid},
      {"Unmasked", divergent, grid, {.mask_field_of_view = false}},
      {"Offset", offset, grid},
      {"Tilted", tilted, grid},
      {"TiltedGrid", divergent, tilted_grid()},
      {"ColumnsAlongX", offset, turned},
      {"ColumnsAlongZ", vectors_about_z(33, 41, 50), grid},
      {"Parallel", parallel, grid},
      {"ParallelFullTurn", geometry_from_circular(offset_scan(50, 0, 0), panel), grid},
      {"ParallelTilted", geometry_from_circular(offset_scan(50, 0, 5), panel), grid},
      {"OneRow", geometry_from_circular(circular_scan(40, 400, 800), Panel::centred(1, 54, 6, 7)),
       Grid::centred({29, 1, 31}, {5, 4, 4.5})},
      {"OneVoxel", divergent, Grid::centred({1, 1, 1}, {5, 4, 4.5})},
      {"LargerThanThePanel",
       divergent,
       Grid::centred({20, 24, 20}, {25, 25, 25}),
       {.mask_field_of_view = false},
       false},
      {"LargerThanThePanelTilted",
       tilted,
       Grid::centred({20, 24, 20}, {25, 25, 25}),
       {.mask_field_of_view = false},
       false,
       3e-5},
      {"BeyondTheSourceTilted",
       tilted,
       Grid::centred({20, 10, 40}, {30, 25, 60}),
       {.mask_field_of_view = false},
       false,
       3e-5},
      {"BeyondTheSource", divergent, Grid::centred({20, 10, 20}, {60, 25, 60}), {.mask_field_of_view = false}, false},
  };
  const struct {
    const char* name;
    Window window;
  } windows[] = {{"RamLak", Window::ram_lak},
                 {"SheppLogan", Window::shepp_logan},
                 {"Cosine", Window::cosine},
                 {"Hamming", Window::hamming},
                 {"Hann", Window::hann}};
  for (const auto& [name, window] : windows)
    all.push_back({std::string("CutOff") + name, divergent, grid, {.window = window, .cutoff = 0.63}});
  return all;
}

std::vector<float> projections_of(const Case& tested) {
  std::vector<float> projections = simulate(shepp_logan(80), tested.geometry);
  const std::vector<float> noise = test::uniform(static_cast<std::int64_t>(projections.size()), 1);
  for (std::size_t i = 0; i < noise.size(); ++i) projections[i] += 20 * noise[i];
  return projections;
}

class FilteredBackprojectionOn : public testing::TestWithParam<Device> {};

TEST_P(FilteredBackprojectionOn, AgreesWithTheReference) {
  for (const Case& tested : cases()) {
    const std::vector<float> projections = projections_of(tested);
    const reference::Values truth =
        reference::fdk({projections.begin(), projections.end()}, tested.geometry, tested.grid,
                       {tested.options.window, tested.options.cutoff, tested.options.mask_field_of_view});
    EXPECT_GT(test::inner_product(truth, truth), 0) << tested.name;
    EXPECT_LE(
        test::relative_l2(reconstruct(GetParam(), projections, tested.geometry, tested.grid, tested.options), truth),
        GetParam().kind == DeviceKind::cpu ? 1e-5 : tested.gpu_tolerance)
        << tested.name;
  }
}

/// Fractions of eight bits: held to what they give on a head, as rows of noise are steeper than any projection.
TEST_P(FilteredBackprojectionOn, AgreesWithTheReferenceLessCloselyWithTextures) {
  if (GetParam().kind == DeviceKind::cpu) GTEST_SKIP() << "a CPU has no texture units and is always exact";
  for (const Case& tested : cases()) {
    if (!tested.textures) continue;
    const std::vector<float> projections = simulate(shepp_logan(80), tested.geometry);
    const reference::Values truth =
        reference::fdk({projections.begin(), projections.end()}, tested.geometry, tested.grid,
                       {tested.options.window, tested.options.cutoff, tested.options.mask_field_of_view});
    Options texture = tested.options;
    texture.interpolation = Interpolation::texture;
    EXPECT_LE(test::relative_l2(reconstruct(GetParam(), projections, tested.geometry, tested.grid, texture), truth),
              1e-3)
        << tested.name;
  }
}

TEST_P(FilteredBackprojectionOn, GivesTheSameBytesHoweverViewsAreCutAndOnAnyThreads) {
  for (const Case& tested : {cases()[0], cases()[3], cases()[7]}) {
    const std::vector<float> projections = projections_of(tested);
    const auto run = [&](std::int64_t at_once, int threads) {
      return reconstruct(GetParam(), projections, tested.geometry, tested.grid, tested.options, at_once, threads);
    };
    const std::vector<float> whole = run(1000, 1);
    EXPECT_EQ(run(1, 2), whole) << tested.name;
    EXPECT_EQ(run(7, 1), whole) << tested.name;
    EXPECT_EQ(run(32, 3), whole) << tested.name;
  }
}

TEST_P(FilteredBackprojectionOn, WritesHounsfieldUnits) {
  const Case tested = cases()[0];
  const std::vector<float> projections = projections_of(tested);
  const std::vector<float> mu = reconstruct(GetParam(), projections, tested.geometry, tested.grid);
  const std::vector<float> hu =
      reconstruct(GetParam(), projections, tested.geometry, tested.grid, {.mu_water_per_mm = 0.02});
  for (std::size_t i = 0; i < mu.size(); ++i)
    ASSERT_NEAR(hu[i], 1000 * (mu[i] - 0.02) / 0.02, 1e-2 + 1e-6 * std::abs(hu[i]));
}

TEST_P(FilteredBackprojectionOn, RefusesMoreOrFewerViewsThanItsGeometryHas) {
  const Case tested = cases()[0];
  std::vector<float> projections = projections_of(tested);
  const auto views = static_cast<std::int64_t>(tested.geometry.views.size());
  const std::int64_t rows = tested.geometry.rows, columns = tested.geometry.columns;
  projections.resize(projections.size() + static_cast<std::size_t>(rows * columns));
  for (const std::int64_t handed : {views - 1, views + 1}) {
    Stream stream(GetParam());
    Array<float, 3> volume(tested.grid.shape, GetParam());
    FilteredBackprojection fbp(stream, tested.geometry, tested.grid, {}, volume.span());
    try {
      fbp.add({projections.data(), {handed, rows, columns}});
      fbp.finish();
      ADD_FAILURE() << "accepted " << handed << " views of " << views;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, FilteredBackprojectionOn, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

/// Copies and kernels run on two streams: a missing wait would show when they take turns in another order.
TEST(FilteredBackprojectionOnSim, IsTheSameInAnyOrderOfThreadsAndStreams) {
  const Device sim = parse_device("sim");
  const Grid grid = Grid::centred({32, 32, 32}, {4, 4, 4});
  const Geometry geometry = geometry_from_circular(offset_scan(70, 800, 0), Panel::centred(32, 32, 10, 10));
  const std::vector<float> projections = simulate(shepp_logan(60), geometry);
  for (const Interpolation interpolation : {Interpolation::exact, Interpolation::texture}) {
    const Options options{.interpolation = interpolation};
    const std::vector<float> first = reconstruct(sim, projections, geometry, grid, options);
    for (const cudasim::Order order : cudasim::kOrders) {
      const cudasim::ScopedOrder scope(order);
      EXPECT_EQ(reconstruct(sim, projections, geometry, grid, options, 9), first);
    }
  }
}

}  // namespace
}  // namespace kiban::ct
