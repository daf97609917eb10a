// The set-ups and limits of RTK's own rtkfdktest: the mean absolute error over all voxels and the PSNR with respect
// to 2.
#include <gtest/gtest.h>

#include "kernels/ct/filtered_backprojection.hpp"
#include "kernels/ct/phantom.hpp"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

constexpr double kScaleMm = 116;

Geometry rtk_geometry() {
  CircularGeometry scan = circular_scan(180, 600, 1200);
  for (CircularView& view : scan) {
    view.source_offset_x_mm = 20;
    view.source_offset_y_mm = 15;
  }
  return geometry_from_circular(scan, {128, 128, 4, 4, -254, -254});
}

/// RTK's tilted direction is not orthogonal; a grid need not be.
const Mat3 kTilted = {Vec3{0.70710678118, -0.70710678118, 0.70710678118}, Vec3{0.70710678118, 0, 0}, Vec3{0, 0, 1}};

struct Case {
  const char* name;
  Grid grid;
  std::int64_t parts;  ///< along y, reconstructed one by one
};

const Case kCases[] = {
    {"Plain", {{128, 128, 128}, {2, 2, 2}, {-127, -127, -127}}, 1},
    {"PerpendicularDirection",
     {{128, 128, 128}, {2, 2, 2}, {-127, 127, -127}, {Vec3{0, 1, 0}, Vec3{-1, 0, 0}, Vec3{0, 0, 1}}},
     1},
    {"TiltedDirection", {{128, 128, 128}, {2, 2, 2}, {-127, -127, -127}, kTilted}, 1},
    {"Streamed", {{128, 128, 128}, {2, 2, 2}, {-127, -127, -127}, kTilted}, 8},
    {"SmallRegion", {{64, 64, 64}, {2, 2, 2}, {-5, -13, -20}, kTilted}, 1},
};

/// Part `part` of `parts` along y.
Grid part_of(const Grid& grid, std::int64_t part, std::int64_t parts) {
  Grid cut = grid;
  cut.shape[1] = grid.shape[1] / parts;
  cut.origin = grid.world({0, static_cast<double>(part * cut.shape[1]), 0});
  return cut;
}

class RtkFdk : public testing::TestWithParam<Device> {};

TEST_P(RtkFdk, MeetsItsLimits) {
  Stream stream(GetParam());
  const Geometry geometry = rtk_geometry();
  const std::vector<Ellipsoid> head = shepp_logan(kScaleMm);
  Array<float, 3> simulated({180, 128, 128}, GetParam());
  project_ellipsoids(stream, head, geometry, 0, simulated.span());
  const std::vector<float> projections = test::to_host(stream, simulated);

  for (const Case& tested : kCases) {
    double absolute = 0, squared = 0;
    for (std::int64_t part = 0; part < tested.parts; ++part) {
      const Grid grid = part_of(tested.grid, part, tested.parts);
      Array<float, 3> volume(grid.shape, GetParam()), truth(grid.shape, GetParam());
      FilteredBackprojection fdk(stream, geometry, grid, {}, volume.span());
      fdk.add({projections.data(), simulated.shape()});
      fdk.finish();
      rasterise_ellipsoids(stream, head, grid, truth.span());
      const std::vector<float> values = test::to_host(stream, volume), expected = test::to_host(stream, truth);
      absolute += test::mean_absolute_error(values, expected) / static_cast<double>(tested.parts);
      const double rmse = test::root_mean_square_error(values, expected);
      squared += rmse * rmse / static_cast<double>(tested.parts);
    }
    const double psnr = 20 * std::log10(2.0) - 10 * std::log10(squared);
    std::printf("%-24s mean absolute error %.4f (< 0.03)  PSNR %.2f dB (> 26)\n", tested.name, absolute, psnr);
    EXPECT_LT(absolute, 0.03) << tested.name;
    EXPECT_GT(psnr, 26) << tested.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, RtkFdk, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

}  // namespace
}  // namespace kiban::ct
