#include "kernels/ct/field_of_view.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <ostream>

#include "cudasim/launch.h"
#include "tests/reference/ct.hpp"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

struct Case {
  std::string name;
  Geometry geometry;
  Grid grid;
};
void PrintTo(const Case& item, std::ostream* out) { *out << item.name; }
std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }

Geometry tilted(const Panel& panel) {
  CircularGeometry scan = circular_scan(13, 300, 500, 360, 11);
  for (CircularView& view : scan) {
    view.out_of_plane_angle_deg = 20;
    view.in_plane_angle_deg = 5;
    view.projection_offset_y_mm = -6;
  }
  return geometry_from_circular(scan, panel);
}

/// One view, from (x, 0, z) mm, where a voxel may lie.
Geometry source_at(double x, double z, const Panel& panel) {
  return geometry_from_circular(circular_scan(1, std::hypot(x, z), 700, 360, std::atan2(x, z) * 180 / std::numbers::pi),
                                panel);
}

std::vector<Case> cases() {
  const Panel panel = Panel::centred(37, 45, 6, 7);
  const Grid grid = Grid::centred({29, 33, 47}, {7.1, 8.3, 6.7});
  const Geometry circular = geometry_from_circular(circular_scan(20, 400, 700, 360, 3), panel);
  return {
      {"circular", circular, grid},
      {"parallel", geometry_from_circular(circular_scan(32, 400, 0, 180, 3), panel), grid},
      {"tilted", tilted(panel), grid},
      {"all_seen", circular, Grid::centred({5, 6, 7}, {3, 3, 3})},
      {"none_seen", circular, Grid{{5, 6, 7}, {3, 3, 3}, {2000, 0, 0}, identity3()}},
      {"source_inside", geometry_from_circular(circular_scan(5, 61.3, 700, 360, 3), panel), grid},
      {"source_on_a_voxel", source_at(3 * 7.1, 4 * 6.7, panel), grid},
      {"source_at_a_voxel", source_at(3 * 7.1 + 1e-3, 4 * 6.7 + 1e-3, panel), grid},
      {"many_views", geometry_from_circular(circular_scan(101, 400, 700, 360, 3), panel), grid},
  };
}

std::vector<float> run(Device device, const Case& item) {
  Stream stream(device);
  std::vector<ProjectionMatrix> matrices;
  for (std::size_t k = 0; k < item.geometry.views.size(); ++k)
    matrices.push_back(voxel_to_panel(item.geometry, static_cast<std::int64_t>(k), item.grid));
  const std::vector<float> ones(static_cast<std::size_t>(element_count<3>(item.grid.shape)), 1.F);
  Array<float, 3> volume = test::to_device<3>(stream, ones, item.grid.shape);
  const Array<SeenVoxels, 2> seen =
      seen_voxels(stream, matrices, item.geometry.rows, item.geometry.columns, item.grid.shape);
  const Span<float, 3> masked = volume.span();
  mask_unseen(stream, seen.span(), -7.F, {&masked, 1});
  return test::to_host(stream, volume);
}

class FieldOfView : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Cases, FieldOfView, testing::ValuesIn(cases()), case_name);

/// Equality: the cases have no voxel on an edge but by intent.
TEST_P(FieldOfView, IsTheReference) {
  const std::vector<bool> seen = reference::field_of_view(GetParam().geometry, GetParam().grid);
  std::vector<float> expected;
  for (const bool voxel : seen) expected.push_back(voxel ? 1.F : -7.F);
  const auto count = static_cast<std::size_t>(std::count(seen.begin(), seen.end(), true));
  EXPECT_EQ(count == 0, GetParam().name == "none_seen");
  EXPECT_EQ(count == seen.size(), GetParam().name == "all_seen");
  for (const Device device : test::devices_under_test()) EXPECT_EQ(run(device, GetParam()), expected) << name(device);
}

TEST(FieldOfViewOnSim, IsTheSameInAnyOrderOfThreads) {
  const Case item{"cube", cases()[0].geometry, Grid::centred({32, 32, 32}, {8, 8, 8})};
  const Device sim = parse_device("sim");
  const std::vector<float> first = run(sim, item);
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_EQ(run(sim, item), first);
  }
}

/// Voxels right on the panel's first and last pixels, where rounding could decide either way.
TEST(FieldOfView, KeepsTheEdgeOnEveryDevice) {
  const Case item{"edge", geometry_from_circular(circular_scan(4, 400, 0, 180, 0), Panel::centred(9, 9, 1, 1)),
                  Grid::centred({9, 9, 9}, {1, 1, 1})};
  for (const Device device : test::devices_under_test()) {
    const std::vector<float> mask = run(device, item);
    const auto at = [&](std::size_t z, std::size_t y, std::size_t x) { return mask[(z * 9 + y) * 9 + x]; };
    for (std::size_t y = 0; y < 9; ++y) {
      EXPECT_EQ(at(4, y, 0), 1.F) << name(device);
      EXPECT_EQ(at(4, y, 8), 1.F) << name(device);
      EXPECT_EQ(at(0, y, 4), 1.F) << name(device);
      EXPECT_EQ(at(0, y, 0), -7.F) << name(device);
    }
  }
}

}  // namespace
}  // namespace kiban::ct
