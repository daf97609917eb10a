#include "kernels/ct/backproject.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <ostream>

#include "cudasim/launch.h"
#include "tests/reference/ct.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/sanitized.hpp"

namespace kiban::ct {
namespace {

struct Case {
  std::string name;
  Geometry geometry;
  Grid grid;
};

/// Smooth with some noise on it, [view,row,column].
std::vector<float> panels_of(const Geometry& geometry) {
  const auto views = static_cast<std::int64_t>(geometry.views.size());
  std::vector<float> panels = test::uniform(views * geometry.rows * geometry.columns, 7);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const auto column = static_cast<double>(i % static_cast<std::size_t>(geometry.columns));
    const auto row = static_cast<double>(i / static_cast<std::size_t>(geometry.columns));
    panels[i] = 0.2F * (panels[i] - 0.5F) + static_cast<float>(1 + std::sin(0.4 * column) * std::cos(0.3 * row));
  }
  return panels;
}

PanelBlock block_of(Stream& stream, const std::vector<float>& panels, const Geometry& geometry,
                    bool columns_contiguous) {
  PanelBlock block = PanelBlock::make(stream, geometry.rows, geometry.columns, columns_contiguous);
  std::vector<float> pixels(static_cast<std::size_t>(block.pixels.size()), 0.F);
  const auto views = static_cast<std::int64_t>(geometry.views.size());
  for (std::int64_t k = 0; k < views; ++k)
    for (std::int64_t row = 0; row < geometry.rows; ++row)
      for (std::int64_t column = 0; column < geometry.columns; ++column) {
        const std::int64_t line = columns_contiguous ? column : row, place = columns_contiguous ? row : column;
        pixels[static_cast<std::size_t>(block.first_pixel(k) + line * block.pitch() + place)] =
            panels[static_cast<std::size_t>((k * geometry.rows + row) * geometry.columns + column)];
      }
  copy(stream, Span<const float, 3>(pixels.data(), block.pixels.shape()), block.pixels.span());
  stream.synchronize();
  return block;
}

std::vector<ProjectionMatrix> matrices_of(const Geometry& geometry, const Grid& grid) {
  std::vector<ProjectionMatrix> matrices;
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(geometry.views.size()); ++k)
    matrices.push_back(voxel_to_panel(geometry, k, grid));
  return matrices;
}

/// What is added to a volume that holds `before` everywhere.
std::vector<float> run(Device device, const Case& item, Interpolation interpolation, float before = 0) {
  Stream stream(device);
  const std::vector<ProjectionMatrix> matrices = matrices_of(item.geometry, item.grid);
  const bool columns =
      device.kind == DeviceKind::cpu && column_axis(matrices, item.grid.shape) >= 0;  // short ones, too
  const PanelBlock block = block_of(stream, panels_of(item.geometry), item.geometry, columns);
  const std::vector<float> start(static_cast<std::size_t>(element_count<3>(item.grid.shape)), before);
  Array<float, 3> volume = test::to_device<3>(stream, start, item.grid.shape);
  backproject(stream, block, matrices, interpolation, volume.span());
  return test::to_host(stream, volume);
}

reference::Values truth(const Case& item) {
  const std::vector<float> panels = panels_of(item.geometry);
  return reference::backproject({panels.begin(), panels.end()}, item.geometry, item.grid);
}

Geometry tilted(std::int64_t views, const Panel& panel) {
  CircularGeometry scan = circular_scan(views, 300, 500, 360, 11);
  for (CircularView& view : scan) {
    view.out_of_plane_angle_deg = 20;
    view.in_plane_angle_deg = 5;
    view.source_offset_x_mm = 9;
    view.projection_offset_y_mm = -6;
  }
  return geometry_from_circular(scan, panel);
}

/// One source is at (x, 0, z) mm, where a voxel may lie, and three are a quarter of a turn on. Views are turned in
/// their planes.
Geometry source_at(double x, double z, double in_plane_deg) {
  CircularGeometry scan = circular_scan(4, std::hypot(x, z), 700, 360, std::atan2(x, z) * 180 / std::numbers::pi);
  for (CircularView& view : scan) view.in_plane_angle_deg = in_plane_deg;
  return geometry_from_circular(scan, Panel::centred(37, 45, 6, 7));
}

/// Axes exchanged, so that the world's y runs along index x (0) or z (2).
Grid turned(const Grid& grid, int y_index) {
  Grid result = grid;
  if (y_index == 0) result.direction = {Vec3{0, 1, 0}, Vec3{1, 0, 0}, Vec3{0, 0, 1}};
  if (y_index == 2) result.direction = {Vec3{1, 0, 0}, Vec3{0, 0, 1}, Vec3{0, 1, 0}};
  return result;
}

std::vector<Case> cases() {
  const Panel panel = Panel::centred(37, 45, 6, 7);
  const Grid grid = Grid::centred({29, 21, 35}, {4, 4.5, 5});
  const Geometry circular = geometry_from_circular(circular_scan(20, 400, 700, 360, 3), panel);
  const Geometry parallel = geometry_from_circular(circular_scan(32, 400, 0, 180, 3), panel);
  const Panel fine = Panel::centred(261, 280, 0.9, 1);  // voxels lie 20 to 40 of its pixels apart
  const Grid coarse = Grid::centred({14, 13, 11}, {16, 18, 17});
  const Panel line =
      Panel::centred(1, 45, 6, 7);  // read half a row off, a fraction that textures hold: nothing averages it
  return {
      {"column_y", circular, grid},
      {"column_x", circular, turned(grid, 0)},
      {"column_z", circular, turned(grid, 2)},
      {"parallel", parallel, grid},
      {"tilted", tilted(20, panel), grid},
      {"beyond_the_panel", circular, Grid::centred({20, 40, 33}, {20, 20, 20})},
      {"source_inside_column", geometry_from_circular(circular_scan(7, 20.4, 700, 360, 3), panel), grid},
      {"source_inside_tilted", tilted(7, panel), Grid::centred({9, 8, 9}, {95, 90, 100})},
      {"beyond_the_source_tilted", tilted(20, panel), Grid::centred({20, 21, 40}, {60, 40, 30})},
      {"source_on_a_voxel", source_at(20, 15, 0), grid},
      {"source_on_a_voxel_in_plane", source_at(20, 15, 5), grid},
      {"source_at_a_voxel", source_at(20 + 0.8e-3, 15 + 0.6e-3, 0), grid},
      {"source_at_a_voxel_in_plane", source_at(20 + 0.8e-3, 15 + 0.6e-3, 5), grid},
      {"far_apart", geometry_from_circular(circular_scan(20, 400, 700, 360, 3), fine), coarse},
      {"far_apart_tilted", tilted(20, fine), coarse},
      {"one_voxel", circular, Grid::centred({1, 1, 1}, {3, 3, 3})},
      {"one_row", geometry_from_circular(circular_scan(20, 400, 0, 180, 0), line),
       Grid::centred({30, 3, 30}, {6, 3.5, 6})},
      {"one_view", geometry_from_circular(circular_scan(1, 400, 700, 360, 30), panel), grid},
  };
}

/// In the messages of failures.
void PrintTo(const Case& item, std::ostream* out) { *out << item.name; }
std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }

class Backproject : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Cases, Backproject, testing::ValuesIn(cases()), case_name);

TEST_P(Backproject, ExactIsTheReference) {
  const reference::Values expected = truth(GetParam());
  for (const Device device : test::devices_under_test())
    EXPECT_LT(test::relative_l2(run(device, GetParam(), Interpolation::exact), expected), 1e-5) << name(device);
}

TEST_P(Backproject, TexturesAreNearTheReference) {
  const reference::Values expected = truth(GetParam());
  for (const Device device : test::devices_under_test())
    EXPECT_LT(test::relative_l2(run(device, GetParam(), Interpolation::texture), expected), 1e-3) << name(device);
}

TEST_P(Backproject, AddsToWhatIsThere) {
  const reference::Values expected = truth(GetParam());
  for (const Device device : test::devices_under_test()) {
    std::vector<float> sum = run(device, GetParam(), Interpolation::exact, 3.F);
    for (float& value : sum) value -= 3.F;
    EXPECT_LT(test::relative_l2(sum, expected), 1e-5) << name(device);
  }
}

Case cube_32() {
  return {"cube", geometry_from_circular(circular_scan(32, 400, 700), Panel::centred(32, 32, 7, 7)),
          Grid::centred({32, 32, 32}, {4, 4, 4})};
}

TEST(BackprojectOnSim, IsTheSameInAnyOrderOfThreads) {
  const Device sim = parse_device("sim");
  const Case tilt{"tilted", tilted(9, Panel::centred(32, 32, 7, 7)), cube_32().grid};
  for (const Case& item : {cube_32(), tilt})
    for (const Interpolation interpolation : {Interpolation::exact, Interpolation::texture}) {
      const std::vector<float> first = run(sim, item, interpolation);
      for (const cudasim::Order order : cudasim::kOrders) {
        const cudasim::ScopedOrder scope(order);
        EXPECT_EQ(run(sim, item, interpolation), first) << item.name;
      }
    }
}

/// Otherwise the exact path would have been tested twice.
TEST(BackprojectOnSim, TexturesHaveFractionsOfEightBits) {
  const Case item = cube_32();
  EXPECT_GT(test::relative_l2(run(parse_device("sim"), item, Interpolation::texture), truth(item)), 2e-5);
}

/// Columns of 21 voxels, which is no multiple of a vector, about a pixel a voxel; those far above or below miss the
/// panel.
Case far_away(double y_mm, bool upside_down) {
  Case item{"FarAway", geometry_from_circular(circular_scan(20, 400, 700), Panel::centred(37, 45, 6, 7)),
            Grid::centred({29, 21, 35}, {4, 4.5, 5})};
  if (upside_down) {
    item.grid.direction[1][1] = -1;
    item.grid.origin[1] = -item.grid.origin[1];
  }
  item.grid.origin[1] += y_mm;
  return item;
}

TEST(Backproject, LeavesVoxelsThatMissThePanelAlone) {
  for (const Device device : test::devices_under_test())
    for (const double y_mm : {-2000.0, -300.0, 300.0, 2000.0})
      for (const bool upside_down : {false, true}) {
        const std::vector<float> volume = run(device, far_away(y_mm, upside_down), Interpolation::exact, 1.5F);
        EXPECT_EQ(std::count(volume.begin(), volume.end(), 1.5F), static_cast<std::ptrdiff_t>(volume.size()))
            << name(device) << " at " << y_mm << " mm" << (upside_down ? ", upside down" : "");
      }
}

/// One view of a panel so large that 32 bits do not count the bytes between pixels of one line of voxels, let alone its
/// elements. Only a few of its pages are ever touched.
TEST(Backproject, CountsThePixelsOfAnyPanel) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer would touch a shadow of every element";
  constexpr std::int64_t kRows = 1080, kPitch = std::int64_t{1} << 21;
  PanelBlock block{kRows, kPitch - 2 * PanelBlock::kFastMargin, false, {}};
  try {
    block.pixels = Array<float, 3>({1, kRows + 2 * PanelBlock::kSlowMargin, kPitch});
  } catch (const Error&) {
    GTEST_SKIP() << "this machine does not lend 9 GB of addresses";
  }
  // Voxel x falls on pixel (u, v) = (x / 4, 17 x), between two columns.
  const ProjectionMatrix matrix{{{0.25, 0, 0, 0}, {17, 0, 0, 0}, {0, 0, 0, 1}}};
  std::vector<float> expected;
  for (std::int64_t x = 0; x < 64; ++x) {
    const auto value = static_cast<float>(1 + x);
    float* pixel = block.pixels.host().data + block.first_pixel(0) + 17 * x * kPitch + x / 4;
    pixel[0] = value, pixel[1] = 2 * value, pixel[kPitch] = pixel[kPitch + 1] = 0;
    expected.push_back(value * (1 + 0.25F * static_cast<float>(x % 4)));
  }
  Stream stream;
  Array<float, 3> volume({1, 1, 64});
  zero(stream, volume.span());
  backproject(stream, block, {&matrix, 1}, Interpolation::exact, volume.span());
  EXPECT_EQ(test::to_vector(volume.span()), expected);
}

/// Of one view, whose v alone changes along y, but for what is set.
ProjectionMatrix upright(double u_along_y, double w_along_y, double u_shift) {
  return {{{1, u_along_y, 0.5, u_shift}, {0, 1.1, 0, 0}, {1e-3, w_along_y, 0, 1}}};
}
int column_axis_of(const ProjectionMatrix& matrix, const Shape<3>& volume) { return column_axis({&matrix, 1}, volume); }

TEST(ColumnAxis, IsWhereUMovesByNothingOverTheWholeColumn) {
  const Shape<3> volume{2000, 2000, 2000};
  EXPECT_EQ(column_axis_of(upright(0, 0, 0), volume), 1);
  EXPECT_EQ(column_axis_of(upright(3e-16, 1e-19, 900), volume), 1) << "rounding";
  EXPECT_EQ(column_axis_of(upright(1e-8, 0, 0), volume), -1) << "2e-5 pixels";
  EXPECT_EQ(column_axis_of(upright(1e-8, 0, 0), {2000, 50, 2000}), 1) << "5e-7 pixels";
  EXPECT_EQ(column_axis_of(upright(0, 1e-12, 0), volume), -1) << "2e-9 of the depth";
}

/// A volume in fine steps far from the rotation axis: however large the shift, a tilt of 0.002 pixels is one.
TEST(ColumnAxis, DoesNotDependOnWhereTheGridLies) {
  for (const double shift : {0.0, 1e4, -1e6, 1e9}) {
    EXPECT_EQ(column_axis_of(upright(1e-6, 0, shift), {2000, 2000, 2000}), -1) << shift;
    EXPECT_EQ(column_axis_of(upright(0, 0, shift), {2000, 2000, 2000}), 1) << shift;
  }
}

TEST(BackprojectErrors, RefuseAVolumeWhereNumbersEnd) {
  const Case item = cube_32();
  for (const Device device : test::devices_under_test())
    for (const double entry :
         {1e31, -1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
      for (const int row : {0, 1, 2}) {
        Stream stream(device);
        const PanelBlock block = PanelBlock::make(stream, 8, 8, false);
        Array<float, 3> volume({4, 4, 4}, device);
        std::vector<ProjectionMatrix> matrices(2, upright(0.1, 0, 0));
        matrices[1].m[row][3] = entry;
        try {
          backproject(stream, block, matrices, Interpolation::exact, volume.span());
          ADD_FAILURE() << "took " << entry << " on " << name(device);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::input) << error.what();
        }
      }
}

TEST(BackprojectErrors, NameTheFault) {
  const Case item = cube_32();
  for (const Device device : test::devices_under_test()) {
    Stream stream(device);
    const std::vector<ProjectionMatrix> matrices = matrices_of(item.geometry, item.grid);
    const bool columns = wants_columns(device, matrices, item.grid.shape);
    const PanelBlock block = PanelBlock::make(stream, 32, 32, columns);
    Array<float, 3> volume({4, 4, 4}, device);
    const std::vector<ProjectionMatrix> many(33, matrices[0]);
    EXPECT_THROW(backproject(stream, block, many, Interpolation::exact, volume.span()), Error);
    const Device other = device.kind == DeviceKind::cpu ? parse_device("sim") : Device{};
    Array<float, 3> elsewhere({4, 4, 4}, other);
    EXPECT_THROW(backproject(stream, block, matrices, Interpolation::exact, elsewhere.span()), Error);
  }
}

}  // namespace
}  // namespace kiban::ct
