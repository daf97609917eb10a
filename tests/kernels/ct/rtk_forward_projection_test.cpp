// The set-ups and limits of RTK's own rtkforwardprojectiontest: mean absolute error over all pixels and PSNR with
// respect to 255. Its fourth case has a cylindrical detector, which Kiban refuses.
#include <gtest/gtest.h>

#include "kernels/ct/joseph.hpp"
#include "kernels/ct/phantom.hpp"
#include "tests/reference/ct.hpp"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

constexpr std::int64_t kViews = 45;
const Panel kPanel{64, 64, 4, 4, -126, -126};

/// Length of each ray in an axis-aligned box, from the source on.
std::vector<double> lengths_in_box(const Geometry& geometry, const Vec3& low, const Vec3& high) {
  std::vector<double> lengths;
  for (std::size_t k = 0; k < geometry.views.size(); ++k)
    for (std::int64_t row = 0; row < geometry.rows; ++row)
      for (std::int64_t column = 0; column < geometry.columns; ++column) {
        const Vec3 source = geometry.views[k].source;
        const Vec3 ray =
            reference::pixel_position(geometry, k, static_cast<double>(row), static_cast<double>(column)) - source;
        double enter = 0, leave = 1e9;
        for (std::size_t a = 0; a < 3; ++a) {
          const double t0 = (low[a] - source[a]) / ray[a], t1 = (high[a] - source[a]) / ray[a];
          enter = std::max(enter, std::min(t0, t1));
          leave = std::min(leave, std::max(t0, t1));
        }
        lengths.push_back(std::max(0., leave - enter) * norm(ray));
      }
  return lengths;
}

std::vector<float> project(Stream& stream, const Array<float, 3>& volume, const Grid& grid, const Geometry& geometry) {
  Array<float, 3> projections({kViews, kPanel.rows, kPanel.columns}, stream.device());
  // As in RTK, in nine parts.
  for (std::int64_t first = 0; first < kViews; first += 5)
    joseph_project(stream, volume.span(), grid, geometry, first, projections.span().slice(first, first + 5));
  return test::to_host(stream, projections);
}

template <class Truth>
void expect_rtk_quality(const char* name, const std::vector<float>& projections, const Truth& truth) {
  const double error = test::mean_absolute_error(projections, truth), psnr = test::psnr(projections, truth, 255);
  std::printf("%-28s mean absolute error %.4f (< 1.28)  PSNR %.2f dB (> 44)\n", name, error, psnr);
  EXPECT_LT(error, 1.28) << name;
  EXPECT_GT(psnr, 44) << name;
}

class RtkForwardProjection : public testing::TestWithParam<Device> {};

/// The sources run along one face of the box that the rays are compared with, and lie in the volume.
TEST_P(RtkForwardProjection, FromInsideABox) {
  Stream stream(GetParam());
  const Grid grid{{64, 64, 64}, {4, 4, 4}, {-126, -126, -126}};
  const Array<float, 3> ones = test::to_device<3>(stream, std::vector<float>(64 * 64 * 64, 1.0f), grid.shape);
  std::vector<double> truth;
  for (int quarter = 0; quarter < 4; ++quarter) {
    CircularGeometry scan(kViews);
    for (std::size_t i = 0; i < kViews; ++i) {
      const double angle = -45 + 2. * static_cast<double>(i);
      scan[i].source_to_isocentre_mm = 47.6 / std::cos(angle * std::numbers::pi / 180);
      scan[i].source_to_detector_mm = 1000;
      scan[i].gantry_angle_deg = 90 * quarter + angle;
    }
    const Geometry geometry = geometry_from_circular(scan, kPanel);
    if (quarter == 0) truth = lengths_in_box(geometry, {-126, -126, -126}, {126, 126, 47.6});
    expect_rtk_quality(("inner source, quarter " + std::to_string(quarter)).c_str(),
                       project(stream, ones, grid, geometry), truth);
  }
}

TEST_P(RtkForwardProjection, FromOutsideABox) {
  Stream stream(GetParam());
  const Grid grid{{64, 64, 64}, {4, 4, 4}, {-126, -126, -126}};
  const Array<float, 3> ones = test::to_device<3>(stream, std::vector<float>(64 * 64 * 64, 1.0f), grid.shape);
  const Geometry geometry = geometry_from_circular(circular_scan(kViews, 500, 1000), kPanel);
  const std::vector<double> truth = lengths_in_box(geometry, {-126, -126, -126}, {126, 126, 126});
  const std::vector<float> projections = project(stream, ones, grid, geometry);
  expect_rtk_quality("outer source", projections, truth);
  // A volume of ones projects to the lengths themselves.
  EXPECT_LT(test::relative_l2(projections, truth), 1e-5);
}

TEST_P(RtkForwardProjection, OfTheSheppLoganHead) {
  Stream stream(GetParam());
  const Grid grid{{128, 128, 128}, {2, 2, 2}, {-127, -127, -127}};
  const std::vector<Ellipsoid> head = shepp_logan(128);
  Array<float, 3> volume(grid.shape, GetParam());
  rasterise_ellipsoids(stream, head, grid, volume.span());
  for (const double sid : {500., 120.}) {
    const Geometry geometry = geometry_from_circular(circular_scan(kViews, sid, 1000), kPanel);
    Array<float, 3> exact({kViews, kPanel.rows, kPanel.columns}, GetParam());
    project_ellipsoids(stream, head, geometry, 0, exact.span());
    expect_rtk_quality(sid == 500 ? "Shepp-Logan, outer source" : "Shepp-Logan, inner source",
                       project(stream, volume, grid, geometry), test::to_host(stream, exact));
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, RtkForwardProjection, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

}  // namespace
}  // namespace kiban::ct
