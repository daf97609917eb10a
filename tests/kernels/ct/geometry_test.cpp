#include "kernels/ct/geometry.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "tests/reference/ct.hpp"

namespace kiban::ct {
namespace {

using Mat4 = std::array<std::array<double, 4>, 4>;

Mat4 identity4() {
  Mat4 m{};
  for (std::size_t i = 0; i < 4; ++i) m[i][i] = 1;
  return m;
}
Mat4 operator*(const Mat4& a, const Mat4& b) {
  Mat4 c{};
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 4; ++j)
      for (std::size_t k = 0; k < 4; ++k) c[i][j] += a[i][k] * b[k][j];
  return c;
}
/// Rotation by `angle` in the plane of axes i and j, from i towards j.
Mat4 rotation(std::size_t i, std::size_t j, double angle) {
  Mat4 m = identity4();
  m[i][i] = m[j][j] = std::cos(angle);
  m[i][j] = -std::sin(angle);
  m[j][i] = std::sin(angle);
  return m;
}

/// The product of RTK's documented submatrices: world mm (homogeneous) to mm on the detector (s w, t w, w) with
/// w = depth - sid, here in homogeneous 4x4 form of which rows 0, 1 and 3 matter.
std::array<double, 2> rtk_project(const CircularView& g, const Vec3& p) {
  const double degrees = std::numbers::pi / 180;
  const Mat4 turn = rotation(0, 1, -g.in_plane_angle_deg * degrees) *
                    rotation(1, 2, -g.out_of_plane_angle_deg * degrees) * rotation(2, 0, -g.gantry_angle_deg * degrees);
  Mat4 source_shift = identity4();
  source_shift[0][3] = -g.source_offset_x_mm;
  source_shift[1][3] = -g.source_offset_y_mm;
  Mat4 magnify{};
  const bool parallel = g.source_to_detector_mm == 0;
  magnify[0][0] = magnify[1][1] = parallel ? 1 : -g.source_to_detector_mm;
  magnify[3][2] = parallel ? 0 : 1;
  magnify[3][3] = parallel ? 1 : -g.source_to_isocentre_mm;
  Mat4 panel_shift = identity4();
  panel_shift[0][3] = g.source_offset_x_mm - g.projection_offset_x_mm;
  panel_shift[1][3] = g.source_offset_y_mm - g.projection_offset_y_mm;
  const Mat4 matrix = panel_shift * magnify * source_shift * turn;
  double h[4];
  for (std::size_t i = 0; i < 4; ++i)
    h[i] = matrix[i][0] * p[0] + matrix[i][1] * p[1] + matrix[i][2] * p[2] + matrix[i][3];
  return {h[0] / h[3], h[1] / h[3]};
}

CircularGeometry awkward_scan(double sdd) {
  CircularGeometry scan;
  for (int k = 0; k < 12; ++k) {
    CircularView view{600. + k, sdd, 31. * k - 90, 3.5 * k, -7. + k, 4. * k - 20, 25. - 5 * k, 20. - k, 15. + 2 * k};
    if (k < 3) view.out_of_plane_angle_deg = view.in_plane_angle_deg = 0;
    scan.push_back(view);
  }
  return scan;
}

const Vec3 kPoints[] = {{0, 0, 0}, {50, -30, 20}, {-90, 80, 10}, {5, 110, -95}, {-33, -44, 55}};

class CircularGeometryMatrices : public testing::TestWithParam<double> {};

TEST_P(CircularGeometryMatrices, AgreeWithRtksProductOfMatrices) {
  const CircularGeometry scan = awkward_scan(GetParam());
  const Panel panel{64, 80, 4.5, 3.25, -170.5, -99.25};
  const Geometry geometry = geometry_from_circular(scan, panel);
  for (std::size_t k = 0; k < scan.size(); ++k) {
    const ProjectionMatrix matrix = world_to_panel(geometry, static_cast<std::int64_t>(k));
    for (const Vec3& p : kPoints) {
      const auto [s, t] = rtk_project(scan[k], p);
      const PanelPoint at = matrix(p[0], p[1], p[2]);
      EXPECT_NEAR(at.u, (s - panel.first_u_mm) / panel.spacing_u_mm, 1e-9) << "view " << k;
      EXPECT_NEAR(at.v, (t - panel.first_v_mm) / panel.spacing_v_mm, 1e-9) << "view " << k;
    }
  }
}

TEST_P(CircularGeometryMatrices, AgreeWithTheIntersectionOfRayAndPanel) {
  const Geometry geometry = geometry_from_circular(awkward_scan(GetParam()), {64, 80, 4.5, 3.25, -170.5, -99.25});
  for (std::size_t k = 0; k < geometry.views.size(); ++k)
    for (const Vec3& p : kPoints) {
      const PanelPoint at = world_to_panel(geometry, static_cast<std::int64_t>(k))(p[0], p[1], p[2]);
      const PanelPoint truth = reference::project(geometry, k, p);
      EXPECT_NEAR(at.u, truth.u, 1e-9);
      EXPECT_NEAR(at.v, truth.v, 1e-9);
      EXPECT_NEAR(at.w, truth.w, 1e-12);
    }
}

TEST_P(CircularGeometryMatrices, OfAVoxelAreThoseOfItsPosition) {
  const Geometry geometry = geometry_from_circular(awkward_scan(GetParam()), {64, 80, 4.5, 3.25, -170.5, -99.25});
  Grid grid{{5, 7, 6}, {1.5, 2.5, 0.75}, {-3, 8, 2}, {Vec3{0, -0.6, 0.8}, Vec3{1, 0, 0}, Vec3{0, 0.8, 0.6}}};
  for (std::int64_t k = 0; k < 12; ++k) {
    const Vec3 index{1.25, 5, 3.5}, p = grid.world(index);
    const PanelPoint by_voxel = voxel_to_panel(geometry, k, grid)(index[0], index[1], index[2]);
    const PanelPoint by_world = world_to_panel(geometry, k)(p[0], p[1], p[2]);
    EXPECT_NEAR(by_voxel.u, by_world.u, 1e-9);
    EXPECT_NEAR(by_voxel.v, by_world.v, 1e-9);
    EXPECT_NEAR(by_voxel.w, by_world.w, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Rays, CircularGeometryMatrices, testing::Values(1200., 0.),
                         [](const auto& tested) { return tested.param > 0 ? "Divergent" : "Parallel"; });

TEST(Geometry, PerspectiveIsOneAtTheIsocentreAndNotPositiveBehindTheSource) {
  const Geometry geometry = geometry_from_circular(circular_scan(4, 500, 1000), Panel::centred(10, 10, 1, 1));
  const ProjectionMatrix matrix = world_to_panel(geometry, 0);  // the source is at z = +500
  EXPECT_DOUBLE_EQ(matrix(0, 0, 0).w, 1);
  EXPECT_NEAR(matrix(3, 4, 250).w, 0.5, 1e-12);
  EXPECT_NEAR(matrix(3, 4, -500).w, 2, 1e-12);
  EXPECT_LT(matrix(0, 0, 600).w, 0);
  EXPECT_NEAR(matrix(0, 0, 0).u, 4.5, 1e-12);
  EXPECT_NEAR(matrix(10, 0, 0).u, 4.5 + 20, 1e-12);  // magnified twice
}

/// As ASTRA's cone_vec describes it: rotation about z, v along z, the panel's centre, and vectors between pixels.
TEST(Geometry, VectorsWithRotationAboutZ) {
  Geometry geometry{{}, 48, 64, {0, 0, 1}};
  for (int k = 0; k < 16; ++k) {
    const double t = 2 * std::numbers::pi * k / 16, c = std::cos(t), s = std::sin(t);
    geometry.views.push_back({false, {500 * s, -500 * c, 0}, {-300 * s, 300 * c, 0}, {1.5 * c, 1.5 * s, 0}, {0, 0, 2}});
  }
  for (std::size_t k = 0; k < 16; ++k) {
    const double t = 2 * std::numbers::pi * static_cast<double>(k) / 16, c = std::cos(t), s = std::sin(t);
    const Vec3 p{12, -34, 20};
    const double across = c * p[0] + s * p[1], depth = 500 - (s * p[0] - c * p[1]);
    const PanelPoint at = world_to_panel(geometry, static_cast<std::int64_t>(k))(p[0], p[1], p[2]);
    EXPECT_NEAR(at.u, 31.5 + across * 800 / depth / 1.5, 1e-9);
    EXPECT_NEAR(at.v, 23.5 + p[2] * 800 / depth / 2, 1e-9);
    EXPECT_NEAR(at.w, depth / 500, 1e-12);
  }
  for (const double gap : angular_gaps(geometry)) EXPECT_NEAR(gap, 2 * std::numbers::pi / 16, 1e-12);
}

TEST(Geometry, CircularScanSpreadsItsViews) {
  const CircularGeometry scan = circular_scan(8, 600, 1200, 240, 10);
  ASSERT_EQ(scan.size(), 8u);
  EXPECT_DOUBLE_EQ(scan[0].gantry_angle_deg, 10);
  EXPECT_DOUBLE_EQ(scan[7].gantry_angle_deg, 220);
}

double total(const std::vector<double>& gaps) { return std::accumulate(gaps.begin(), gaps.end(), 0.); }

TEST(AngularGaps, OfAnEvenTurnAreEven) {
  const Geometry geometry = geometry_from_circular(circular_scan(180, 600, 1200, 360, 33), Panel::centred(4, 4, 1, 1));
  for (const double gap : angular_gaps(geometry)) EXPECT_NEAR(gap, 2 * std::numbers::pi / 180, 1e-12);
}

TEST(AngularGaps, OfUnevenViewsAreHalfTheWayBetweenNeighboursWhateverTheirOrder) {
  CircularGeometry scan = circular_scan(4, 600, 1200);
  const double degrees[] = {350, 20, 100, 30};
  for (std::size_t k = 0; k < 4; ++k) scan[k].gantry_angle_deg = degrees[k];
  const std::vector<double> gaps = angular_gaps(geometry_from_circular(scan, Panel::centred(4, 4, 1, 1)));
  const double expected[] = {(20 + 360 - 100) / 2., (30 + 360 - 350) / 2., (350 - 30) / 2., (100 - 20) / 2.};
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(gaps[k] * 180 / std::numbers::pi, expected[k], 1e-9);
  EXPECT_NEAR(total(gaps), 2 * std::numbers::pi, 1e-12);
}

TEST(AngularGaps, FollowTheSourceNotTheGantry) {
  CircularGeometry scan = circular_scan(4, 100, 200);
  scan[1].source_offset_x_mm = 100 * std::tan(std::numbers::pi / 18);  // 10 degrees about the axis
  const std::vector<double> gaps = angular_gaps(geometry_from_circular(scan, Panel::centred(4, 4, 1, 1)));
  EXPECT_NEAR(gaps[1] * 180 / std::numbers::pi, 90, 1e-9);
  EXPECT_NEAR(gaps[0] * 180 / std::numbers::pi, 95, 1e-9);
  EXPECT_NEAR(gaps[2] * 180 / std::numbers::pi, 85, 1e-9);
}

TEST(AngularGaps, OfParallelViewsSumToHalfATurnHoweverTheyCoverIt) {
  for (const double arc : {180., 200., 360.}) {
    const Geometry geometry = geometry_from_circular(circular_scan(90, 600, 0, arc), Panel::centred(4, 4, 1, 1));
    const std::vector<double> gaps = angular_gaps(geometry), truth = reference::angular_gaps(geometry);
    EXPECT_NEAR(total(gaps), std::numbers::pi, 1e-12) << arc;
    for (std::size_t k = 0; k < gaps.size(); ++k) EXPECT_NEAR(gaps[k], truth[k], 1e-9) << arc << " view " << k;
  }
}

TEST(AngularGaps, OfRepeatedViewsShareTheirAngle) {
  CircularGeometry scan = circular_scan(6, 600, 1200);
  for (std::size_t k = 3; k < 6; ++k) scan[k].gantry_angle_deg = scan[k - 3].gantry_angle_deg;
  for (const double gap : angular_gaps(geometry_from_circular(scan, Panel::centred(4, 4, 1, 1))))
    EXPECT_GT(gap, 0.);  // a third of the turn is shared, none is lost
  EXPECT_NEAR(total(angular_gaps(geometry_from_circular(scan, Panel::centred(4, 4, 1, 1)))), 2 * std::numbers::pi,
              1e-12);
}

/// A call that must fail with an input error whose sentence holds `word`.
template <class Call>
void expect_input_error(const Call& call, const std::string& word) {
  try {
    call();
    ADD_FAILURE() << "no error that speaks of '" << word << "'";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::input);
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
  }
}

TEST(GeometryErrors, NameWhatIsWrong) {
  const Panel panel = Panel::centred(4, 4, 1, 1);
  const auto broken = [&](auto change) {
    CircularGeometry scan = circular_scan(3, 600, 1200);
    change(scan[2]);
    return [scan, panel] { geometry_from_circular(scan, panel); };
  };
  expect_input_error([&] { geometry_from_circular({}, panel); }, "no view");
  expect_input_error(broken([](CircularView& v) { v.gantry_angle_deg = std::nan(""); }), "view 2");
  expect_input_error(broken([](CircularView& v) { v.source_offset_y_mm = std::numeric_limits<double>::infinity(); }),
                     "finite");
  expect_input_error(broken([](CircularView& v) { v.source_to_isocentre_mm = 0; }), "isocentre");
  expect_input_error(broken([](CircularView& v) { v.source_to_isocentre_mm = -600; }), "isocentre");
  expect_input_error(broken([](CircularView& v) { v.source_to_detector_mm = -1200; }), "detector");
  expect_input_error(broken([](CircularView& v) { v.source_to_detector_mm = 0; }), "parallel");
  const CircularGeometry scan = circular_scan(3, 600, 1200);
  expect_input_error([&] { geometry_from_circular(scan, Panel::centred(0, 4, 1, 1)); }, "no pixel");
  expect_input_error([&] { geometry_from_circular(scan, Panel::centred(4, 4, 0, 1)); }, "spacing");
  expect_input_error([&] { geometry_from_circular(scan, {4, 4, 1, 1, std::nan(""), 0}); }, "origin");
}

TEST(GeometryErrors, OfViewsThatCannotBeProjected) {
  Geometry geometry{{{false, {0, 0, 500}, {0, 0, -500}, {0, 0, 1}, {0, 1, 0}}}, 4, 4};
  expect_input_error([&] { world_to_panel(geometry, 0); }, "edge-on");
  geometry.views[0] = {false, {0, 0, 500}, {0, 0, 1000}, {1, 0, 0}, {0, 1, 0}};  // looks the other way
  expect_input_error([&] { world_to_panel(geometry, 0); }, "isocentre");
  geometry.views[0] = {false, {0, 50, 0}, {0, 50, -500}, {1, 0, 0}, {0, 1, 0}};  // the isocentre is beside the source
  expect_input_error([&] { world_to_panel(geometry, 0); }, "isocentre");
  expect_input_error([&] { angular_gaps(geometry); }, "two views");
  geometry.views.assign(2, {false, {0, 500, 0}, {0, -500, 0}, {1, 0, 0}, {0, 0, 1}});
  expect_input_error([&] { angular_gaps(geometry); }, "axis");
}

}  // namespace
}  // namespace kiban::ct
