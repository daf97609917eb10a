#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "io/geometry/rtk_xml.hpp"
#include "io/image/image_file.hpp"
#include "kernels/core/simd.hpp"
#include "tests/bindings/cli/kiban_command.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::test {
namespace {

float centre_of(const Volume& volume) {
  return volume.values.host()(volume.grid.nz() / 2, volume.grid.ny() / 2, volume.grid.nx() / 2);
}

/// A volume whose value at (z,y,x) is 100 z + 10 y + x, oblique in space.
std::string write_ramp_volume(const Folder& folder) {
  Volume volume{Array<float, 3>({3, 4, 5}), {{3, 4, 5}, {1.5, 2, 2.5}, {-7, 8, 9}, {}}};
  volume.grid.direction = {Vec3{0, -1, 0}, Vec3{1, 0, 0}, Vec3{0, 0, 1}};
  const auto values = volume.values.host();
  for (std::int64_t z = 0; z < 3; ++z)
    for (std::int64_t y = 0; y < 4; ++y)
      for (std::int64_t x = 0; x < 5; ++x) values(z, y, x) = static_cast<float>(100 * z + 10 * y + x);
  const std::string path = folder / "ramp.mha";
  io::write_image(path, volume.grid, volume.values.span());
  return path;
}

TEST(Skeleton, RunsFromFileToFile) {
  const Folder folder;
  const std::string input = write_ramp_volume(folder), output = folder / "out.mha";
  const Finished finished = kiban({"run", "skeleton.affine", "--input", input, "--output", output, "--scale", "2",
                                   "--offset", "-1.5", "--threads", "1"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(finished.err, "") << "no progress bar in a pipe";
  EXPECT_NE(finished.out.find("skeleton.affine in "), std::string::npos);
  const Volume before = io::read_volume(input), after = io::read_volume(output);
  EXPECT_EQ(after.grid.origin, before.grid.origin);
  EXPECT_EQ(after.grid.direction, before.grid.direction);
  const auto x = to_vector(before.values.span()), y = to_vector(after.values.span());
  ASSERT_EQ(x.size(), y.size());
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], 2 * x[i] - 1.5F);
}

TEST(Skeleton, ATerminalGetsAProgressBar) {
  const Folder folder;
  const std::string command = std::string(KIBAN_COMMAND) + " run skeleton.affine --input " + write_ramp_volume(folder) +
                              " --output " + (folder / "out.mha");
  const Finished finished = run({"script", "--quiet", "--return", "--command", command, "/dev/null"});
  if (finished.status == -1) GTEST_SKIP() << "no script(1) to give the command a terminal";
  EXPECT_EQ(finished.status, 0) << finished.out;
  EXPECT_NE(finished.out.find("100 % write"), std::string::npos) << finished.out;
  // The bar is wiped before the summary is printed.
  EXPECT_LT(finished.out.rfind("\x1b[K"), finished.out.find("skeleton.affine in "));
}

TEST(Skeleton, JsonIsOneObject) {
  const Folder folder;
  const std::string input = write_ramp_volume(folder);
  const Finished finished =
      kiban({"run", "skeleton.affine", "--input", input, "--output", folder / "out.mha", "--threads", "1", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(std::ranges::count(finished.out, '\n'), 1);
  const nlohmann::json report = nlohmann::json::parse(finished.out);
  EXPECT_EQ(report["operation"], "skeleton.affine");
  EXPECT_EQ(report["updates"], 60);
  EXPECT_EQ(report["threads"], 1);
  EXPECT_EQ(report["device"], "cpu");
  EXPECT_EQ(report["parameters"]["scale"], 1.0);
  EXPECT_TRUE(report["stages_seconds"].contains("read"));
  EXPECT_GT(report["peak_memory_bytes"], 0);
}

TEST(Image, JsonHasTheReportThatNoFileWasNamedFor) {
  const test::Folder folder;
  const Grid grid = Grid::centred({2, 2, 4}, {1, 1, 1});
  const std::vector<std::uint8_t> labels{1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0};
  io::write_image(folder / "a.mha", grid, {labels.data(), grid.shape});
  const std::vector<std::string> command{"run",         "image.metrics",  "--labels", folder / "a.mha",
                                         "--reference", folder / "a.mha", "--json"};
  const test::Finished finished = test::kiban(command);
  ASSERT_EQ(finished.status, 0) << finished.err;
  const nlohmann::json json = nlohmann::json::parse(finished.out);
  EXPECT_EQ(json.at("report").at("labels").at(0).at("dsc"), 1);
  EXPECT_TRUE(json.at("outputs").empty());
}

TEST(Skeleton, PinsAnInstructionSet) {
  const Folder folder;
  const std::string input = write_ramp_volume(folder);
  for (const std::string& name : instruction_sets()) {
    const Finished finished = kiban({"run", "skeleton.affine", "--input", input, "--output", folder / (name + ".mha"),
                                     "--simd", name, "--scale", "0.5", "--json"});
    ASSERT_EQ(finished.status, 0) << finished.err;
    EXPECT_EQ(nlohmann::json::parse(finished.out)["instruction_set"], name);
    EXPECT_EQ(read_text(folder / (name + ".mha")), read_text(folder / (instruction_sets().front() + ".mha")));
  }
}

TEST(Ct, TheExamplesOfTheReadmeRun) {
  const SmallScan scan;
  const Finished finished = kiban(scan.fdk({"--size", "32", "--spacing-mm", "8", "--volume", scan.folder / "out.nii.gz",
                                            "--preview", scan.folder / "out.png", "--json"}));
  ASSERT_EQ(finished.status, 0) << finished.err;
  const nlohmann::json report = nlohmann::json::parse(finished.out);
  EXPECT_EQ(report["updates"], 24 * 32 * 32 * 32);
  EXPECT_GT(report["updates_per_second"], 0);
  EXPECT_EQ(read_text(scan.folder / "out.png").substr(1, 3), "PNG");
  const Volume volume = io::read_volume(scan.folder / "out.nii.gz");
  EXPECT_EQ(volume.grid.shape, (Shape<3>{32, 32, 32}));
  EXPECT_NEAR(volume.grid.origin[0], -0.5 * 31 * 8, 1e-3);
  // Brain, 1.02 times the density 0.02, as far as 24 coarse views can tell.
  EXPECT_NEAR(centre_of(volume), 0.0204, 0.004);
  EXPECT_EQ(scan.folder.names(), (std::vector<std::string>{"g.xml", "out.nii.gz", "out.png", "p.mha"}));
}

TEST(Ct, WaterIsZeroHounsfieldUnits) {
  const SmallScan scan;
  ASSERT_EQ(kiban(scan.fdk({"--size", "16", "--volume", scan.folder / "mu.mha"})).status, 0);
  ASSERT_EQ(kiban(scan.fdk({"--size", "16", "--mu-water", "0.02", "--volume", scan.folder / "hu.mha"})).status, 0);
  const auto mu = to_vector(io::read_volume(scan.folder / "mu.mha").values.span());
  const auto hu = to_vector(io::read_volume(scan.folder / "hu.mha").values.span());
  ASSERT_EQ(mu.size(), hu.size());
  for (std::size_t i = 0; i < mu.size(); ++i) EXPECT_NEAR(hu[i], 1000 * (mu[i] / 0.02 - 1), 1e-2);
}

TEST(Ct, LikeTakesTheGridOfAFile) {
  const SmallScan scan;
  const std::string like = write_ramp_volume(scan.folder);
  ASSERT_EQ(kiban(scan.fdk({"--like", like, "--volume", scan.folder / "out.mha"})).status, 0);
  const Grid wanted = io::ImageReader(like).grid(), grid = io::ImageReader(scan.folder / "out.mha").grid();
  EXPECT_EQ(grid.shape, wanted.shape);
  EXPECT_EQ(grid.spacing, wanted.spacing);
  EXPECT_EQ(grid.origin, wanted.origin);
  EXPECT_EQ(grid.direction, wanted.direction);
  expect_failure(scan.fdk({"--like", like, "--size", "8", "--volume", scan.folder / "no.mha"}), 2, "contradict");
}

TEST(Ct, SizesAndSpacingsTakeOneNumberOrThree) {
  const SmallScan scan;
  const std::string path = scan.folder / "out.mha";
  ASSERT_EQ(kiban(scan.fdk({"--size", "4", "5", "6", "--spacing-mm", "1,2,3", "--origin-mm", "-1", "-2", "-3.5",
                            "--volume", path}))
                .status,
            0);
  const Grid grid = io::ImageReader(path).grid();
  EXPECT_EQ(grid.shape, (Shape<3>{6, 5, 4}));
  EXPECT_EQ(grid.spacing, (Vec3{1, 2, 3}));
  EXPECT_EQ(grid.origin, (Vec3{-1, -2, -3.5}));
}

TEST(Ct, PatientPositionsTurnTheFrameNotTheVoxels) {
  const SmallScan scan;
  const std::string plain = scan.folder / "plain.mha", turned = scan.folder / "hfs.mha";
  ASSERT_EQ(kiban(scan.fdk({"--size", "6", "7", "8", "--volume", plain})).status, 0);
  ASSERT_EQ(kiban(scan.fdk({"--size", "6", "7", "8", "--patient-position", "HFS", "--volume", turned})).status, 0);
  const Volume a = io::read_volume(plain), b = io::read_volume(turned);
  EXPECT_EQ(to_vector(a.values.span()), to_vector(b.values.span()));
  // Head first, supine: left is the scanner's x, the back lies down (-z), the head points along y.
  const Vec3 world = a.grid.world({1, 2, 3}), patient = b.grid.world({1, 2, 3});
  EXPECT_NEAR(patient[0], world[0], 1e-9);
  EXPECT_NEAR(patient[1], -world[2], 1e-9);
  EXPECT_NEAR(patient[2], world[1], 1e-9);
  // The same grid asked for in the patient's frame is reconstructed to the same values.
  ASSERT_EQ(
      kiban(scan.fdk({"--like", turned, "--patient-position", "HFS", "--volume", scan.folder / "like.mha"})).status, 0);
  EXPECT_LT(relative_l2(to_vector(io::read_volume(scan.folder / "like.mha").values.span()), to_vector(a.values.span())),
            1e-6);
}

TEST(Ct, NoiseIsOfThePhotonsAndOfTheSeed) {
  const SmallScan clean;
  const auto noisy = [&](const std::string& photons, const std::string& seed, const std::string& name) {
    const Finished finished = kiban({"run", "ct.simulate", "--phantom", "shepp-logan", "--views", "24", "--columns",
                                     "32", "--photons", photons, "--seed", seed, "--projections", clean.folder / name,
                                     "--geometry", clean.folder / "again.xml"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    return to_vector(io::read_volume(clean.folder / name).values.span());
  };
  const auto truth = to_vector(io::read_volume(clean.projections).values.span());
  const auto few = noisy("10000", "1", "a.mha"), again = noisy("10000", "1", "b.mha"),
             other = noisy("10000", "2", "c.mha"), many = noisy("1000000", "1", "d.mha");
  EXPECT_EQ(few, again);
  EXPECT_NE(few, other);
  // A hundred times the photons, a tenth of the noise.
  const double ratio = root_mean_square_error(few, truth) / root_mean_square_error(many, truth);
  EXPECT_NEAR(ratio, 10, 1.5);
}

TEST(Ct, AVolumeIsProjectedWhereItLies) {
  const Folder folder;
  Array<float, 3> ones({9, 9, 9});
  const auto values = ones.host();
  std::fill_n(values.data, values.size(), 0.0F);  // 0 HU: water
  Grid grid{{9, 9, 9}, {10, 10, 10}, {500, 500, 500}, identity3()};
  io::write_image(folder / "water.mha", grid, ones.span());
  const std::vector<std::string> command = {"run",
                                            "ct.simulate",
                                            "--volume",
                                            folder / "water.mha",
                                            "--columns",
                                            "33",
                                            "--sdd-mm",
                                            "0",
                                            "--views",
                                            "2",
                                            "--mu-water",
                                            "0.02",
                                            "--projections",
                                            folder / "p.mha",
                                            "--geometry",
                                            folder / "g.xml",
                                            "--centre-volume"};
  const Finished finished = kiban(command);
  ASSERT_EQ(finished.status, 0) << finished.err;
  const Volume projections = io::read_volume(folder / "p.mha");
  // The middle ray crosses the box of voxel centres, 80 mm of water.
  EXPECT_NEAR(projections.values.host()(0, 16, 16), 0.02 * 80, 1e-4);
  EXPECT_EQ(projections.values.host()(0, 0, 0), 0);
}

TEST(Ct, GeometryIsWrittenForProjectionsThatAreThere) {
  const SmallScan scan;
  const std::string path = scan.folder / "own.xml";
  ASSERT_EQ(kiban({"run", "ct.geometry", "--projections", scan.projections, "--sid-mm", "600", "--sdd-mm", "1200",
                   "--arc-deg", "180", "--direction", "reverse", "--source-offset-x-mm", "20", "--geometry", path})
                .status,
            0);
  const CircularGeometry geometry = io::read_rtk_xml(path);
  ASSERT_EQ(geometry.size(), 24U);
  EXPECT_EQ(geometry[0].source_to_isocentre_mm, 600);
  EXPECT_EQ(geometry[0].source_offset_x_mm, 20);
  EXPECT_NEAR(std::remainder(geometry[2].gantry_angle_deg + 15, 360), 0, 1e-9);
  expect_failure({"run", "ct.geometry", "--geometry", scan.folder / "x.xml"}, 2, "how many views?");
}

TEST(Ct, SimulateWithGivenGeometryEqualsItsOwn) {
  const SmallScan scan;
  const std::string again = scan.folder / "again.mha";
  ASSERT_EQ(kiban({"run", "ct.simulate", "--phantom", "shepp-logan", "--columns", "32", "--scan-geometry",
                   scan.geometry, "--projections", again})
                .status,
            0);
  EXPECT_EQ(read_text(again), read_text(scan.projections));
}

TEST(Ct, ThreadsDoNotChangeABit) {
  const SmallScan scan;
  for (const char* threads : {"1", "2"})
    ASSERT_EQ(kiban(scan.fdk({"--size", "20", "--threads", threads, "--volume",
                              scan.folder / (std::string(threads) + ".mha")}))
                  .status,
              0);
  EXPECT_EQ(read_text(scan.folder / "1.mha"), read_text(scan.folder / "2.mha"));
}

TEST(Ct, ToothIsReconstructedAndItsCentreFound) {
  const auto tooth = test_data("ct/tooth.h5");
  if (!tooth) GTEST_SKIP() << "ct/tooth.h5 is not among the test data";
  const Folder folder;
  const Finished finished = kiban({"run", "ct.fbp", "--scan", tooth->string(), "--size", "64", "2", "64", "--volume",
                                   folder / "tooth.nii.gz", "--preview", folder / "tooth.png", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const nlohmann::json report = nlohmann::json::parse(finished.out);
  EXPECT_NEAR(report["findings"]["centre"]["value"], 295.5, 0.5);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"tooth.nii.gz", "tooth.png"}));
  expect_failure({"run", "ct.fbp", "--scan", tooth->string(), "--centre", "640", "--volume", folder / "no.mha"}, 2,
                 "columns 0 to 639");
}

}  // namespace
}  // namespace kiban::test
