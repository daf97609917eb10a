#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <sstream>

#include "io/geometry/rtk_xml.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

CircularGeometry tilted_and_shifted(bool parallel) {
  CircularGeometry geometry(9);
  for (std::size_t i = 0; i < geometry.size(); ++i) {
    const auto k = static_cast<double>(i);
    CircularView& view = geometry[i];
    view.gantry_angle_deg = 40.1 * k;
    view.source_to_isocentre_mm = 1000 + k / 3;
    view.source_to_detector_mm = parallel ? 0 : 1536.1 - k / 7;
    view.projection_offset_x_mm = -117.3 + k;
    view.projection_offset_y_mm = 3.3;
    view.in_plane_angle_deg = 1.7 * k;
    view.out_of_plane_angle_deg = 0.3 * k;
    view.source_offset_x_mm = parallel ? 0 : 1.1 * k;
    view.source_offset_y_mm = parallel ? 0 : -2.2;
    view.collimation.u_inf_mm = 200;
  }
  return geometry;
}

// The 12 numbers of every <Matrix> of a file.
std::vector<std::vector<double>> matrices_of(const std::filesystem::path& path) {
  const std::string text = test::content_of(path), tag = "<Matrix>";
  std::vector<std::vector<double>> matrices;
  for (std::size_t at = text.find(tag); at != std::string::npos; at = text.find(tag, at + 1)) {
    std::istringstream numbers(text.substr(at + tag.size()));
    std::vector<double> matrix(12);
    for (double& number : matrix) numbers >> number;
    matrices.push_back(matrix);
  }
  return matrices;
}

class RtkGeometry : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Peer, RtkGeometry, testing::Values(false, true),
                         [](const auto& test) { return test.param ? "Parallel" : "Divergent"; });

// RTK accepts what we write and finds our matrices; we accept what RTK writes and find our parameters.
TEST_P(RtkGeometry, RoundTrip) {
  const test::Scratch scratch;
  const CircularGeometry geometry = tilted_and_shifted(GetParam());
  write_rtk_xml(scratch / "ours.xml", geometry);
  const char* const python = std::getenv("KIBAN_PEER_PYTHON");
  const std::filesystem::path script = KIBAN_SOURCE "/tests/peers/rtk_geometry.py";
  const std::string command = std::string(python ? python : "python3") + " '" + script.string() + "' '" +
                              (scratch / "ours.xml").string() + "' '" + (scratch / "rtk.xml").string() + "'";
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127))
    GTEST_SKIP() << "the Python wheel itk-rtk is not there; install it, and name its python in KIBAN_PEER_PYTHON";
  ASSERT_EQ(status, 0);

  const auto ours = matrices_of(scratch / "ours.xml"), theirs = matrices_of(scratch / "rtk.xml");
  ASSERT_EQ(ours.size(), geometry.size());
  ASSERT_EQ(theirs.size(), geometry.size());
  for (std::size_t view = 0; view < ours.size(); ++view) {
    for (std::size_t i = 0; i < 12; ++i)
      EXPECT_NEAR(ours[view][i], theirs[view][i], 1e-12 * (1000 + std::abs(ours[view][i]))) << view << " " << i;
  }

  const CircularGeometry back = read_rtk_xml(scratch / "rtk.xml");
  ASSERT_EQ(back.size(), geometry.size());
  for (std::size_t view = 0; view < back.size(); ++view) {
    EXPECT_NEAR(back[view].gantry_angle_deg, geometry[view].gantry_angle_deg, 1e-10);
    EXPECT_NEAR(back[view].source_to_isocentre_mm, geometry[view].source_to_isocentre_mm, 1e-10);
    EXPECT_NEAR(back[view].source_to_detector_mm, geometry[view].source_to_detector_mm, 1e-10);
    EXPECT_NEAR(back[view].projection_offset_x_mm, geometry[view].projection_offset_x_mm, 1e-10);
    EXPECT_NEAR(back[view].in_plane_angle_deg, geometry[view].in_plane_angle_deg, 1e-10);
    EXPECT_NEAR(back[view].out_of_plane_angle_deg, geometry[view].out_of_plane_angle_deg, 1e-10);
    EXPECT_NEAR(back[view].source_offset_y_mm, geometry[view].source_offset_y_mm, 1e-10);
    EXPECT_EQ(back[view].collimation, geometry[view].collimation);
  }
}

}  // namespace
}  // namespace kiban::io
