// A real head, projected as a circular cone-beam scan would see it, and reconstructed.
#include <gtest/gtest.h>

#include "io/image/image_file.hpp"
#include "kernels/ct/filtered_backprojection.hpp"
#include "kernels/ct/joseph.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::ct {
namespace {

constexpr double kWaterPerMm = 0.02;

class Head : public testing::TestWithParam<Device> {};

TEST_P(Head, ComesBackFromItsProjections) {
  const auto path = test::test_data("ct/head.mha");
  if (!path) GTEST_SKIP() << "ct/head.mha is missing from the test data; set KIBAN_TEST_DATA";
  const Volume head = io::read_volume(*path);
  ASSERT_EQ(head.grid.shape, (Shape<3>{93, 64, 64}));
  // The head's axis lies along the rotation's, its middle at the isocentre.
  Grid grid = Grid::centred(head.grid.shape, head.grid.spacing);
  grid.direction = {Vec3{1, 0, 0}, Vec3{0, 0, -1}, Vec3{0, 1, 0}};
  grid.origin = {0, 0, 0};
  grid.origin = -1. * grid.world({31.5, 31.5, 46});
  // Stored values are Hounsfield units plus 1024.
  std::vector<float> mu = test::to_vector(head.values.span());
  for (float& value : mu) value *= static_cast<float>(kWaterPerMm / 1024);

  const Geometry geometry = geometry_from_circular(circular_scan(180, 600, 1200), Panel::centred(110, 200, 4, 4));
  Stream stream(GetParam());
  const Array<float, 3> volume = test::to_device<3>(stream, mu, grid.shape);
  Array<float, 3> projections({180, geometry.rows, geometry.columns}, GetParam());
  joseph_project(stream, volume.span(), grid, geometry, 0, projections.span());
  const std::vector<float> stack = test::to_host(stream, projections);

  Array<float, 3> reconstructed(grid.shape, GetParam());
  FilteredBackprojection fdk(stream, geometry, grid, {}, reconstructed.span());
  fdk.add({stack.data(), projections.shape()});
  fdk.finish();
  const std::vector<float> result = test::to_host(stream, reconstructed);
  const double rmse = test::root_mean_square_error(result, mu), peak = 3926 * kWaterPerMm / 1024;
  std::printf("%s: RMSE %.5f mm^-1, %.1f HU; PSNR %.1f dB of the densest voxel\n", name(GetParam()).c_str(), rmse,
              1000 * rmse / kWaterPerMm, test::psnr(result, mu, peak));
  EXPECT_LT(rmse, 0.0023);
  // Without the head there would be nothing to err on.
  EXPECT_LT(rmse, 0.25 * std::sqrt(test::inner_product(mu, mu) / static_cast<double>(mu.size())));
}

INSTANTIATE_TEST_SUITE_P(Devices, Head, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

}  // namespace
}  // namespace kiban::ct
