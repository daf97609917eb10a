#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/operations/standard.hpp"
#include "engine/registry.hpp"
#include "engine/runner.hpp"
#include "io/image/image_file.hpp"
#include "tests/engine/operations/raw_scan.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/process.hpp"

namespace kiban::engine {
namespace {

using Texts = std::map<std::string, std::string>;

Report run_on(Device device, const std::string& name, const Texts& given) {
  static const Registry registry(standard_operations());
  const Operation& operation = registry.find(name);
  Stream stream(device, 2);
  Progress progress;
  return run(operation, request_from_text(operation, given), stream, progress);
}

std::vector<float> values_of(const std::string& path) { return test::to_vector(io::read_volume(path).values.span()); }

/// Every operation from file to file on every device, beside the CPU.
class OperationOnDevice : public testing::TestWithParam<Device> {
 protected:
  /// Runs it on the CPU and on the device; `given` lacks the path of the output port `out`.
  void expect_same(const std::string& operation, Texts given, const std::string& out, double bound) {
    std::vector<float> results[2];
    for (const Device device : {Device{}, GetParam()}) {
      given[out] = folder_ / (name(device) + ".mha");
      const Report report = run_on(device, operation, given);
      EXPECT_EQ(report.device, name(device));
      results[device == Device{} ? 0 : 1] = values_of(given[out]);
    }
    if (GetParam() == Device{}) results[1] = results[0];
    EXPECT_LT(test::relative_l2(results[1], results[0]), bound) << operation;
  }
  /// Projections and geometry of a small scan.
  Texts scan() {
    const Texts texts = {{"projections", folder_ / "p.mha"}, {"geometry", folder_ / "g.xml"}};
    Texts given = texts;
    given.insert({{"phantom", "shepp-logan"}, {"views", "40"}, {"columns", "16"}, {"rows", "12"}});
    run_on(Device{}, "ct.simulate", given);
    return texts;
  }
  std::string raw_scan() {
    test::write_raw_scan(folder_ / "scan.h5", 60, 990);
    return folder_ / "scan.h5";
  }

  test::Folder folder_;
};

TEST_P(OperationOnDevice, SkeletonAffine) {
  const Grid grid = Grid::centred({3, 5, 7}, {1, 1, 1});
  const std::vector<float> values = test::uniform(3 * 5 * 7, 3);
  io::write_image(folder_ / "in.mha", grid, {values.data(), grid.shape});
  expect_same("skeleton.affine", {{"input", folder_ / "in.mha"}, {"scale", "3"}, {"offset", "0.1"}}, "output", 1e-6);
}

/// A block of tissue with air in it; the picture and the report come with the labels.
TEST_P(OperationOnDevice, Segmentations) {
  const Grid grid = Grid::centred({16, 24, 32}, {4, 4, 4});
  std::vector<std::int16_t> values(16 * 24 * 32, -1000);
  for (std::size_t z = 0; z < 16; ++z)
    for (std::size_t y = 2; y < 22; ++y)
      for (std::size_t x = 2; x < 30; ++x) {
        const bool in_lung = y >= 6 && y < 16 && z < 14 && ((x >= 5 && x < 14) || (x >= 18 && x < 27));
        values[(z * 24 + y) * 32 + x] = static_cast<std::int16_t>(in_lung ? -850 : 40);
      }
  io::write_image(folder_ / "ct.nrrd", grid, {values.data(), grid.shape});
  for (const char* operation : {"segment.body", "segment.lungs"}) {
    const Texts given{{"image", folder_ / "ct.nrrd"}, {"report", folder_ / "r.json"}, {"preview", folder_ / "p.png"}};
    expect_same(operation, given, "labels", 1e-30);
    EXPECT_EQ(test::read_text(folder_ / "p.png").substr(1, 3), "PNG");
    const auto report = nlohmann::json::parse(test::read_text(folder_ / "r.json"));
    EXPECT_TRUE(report["why_empty"].is_null());
    EXPECT_GT(report["labels"][0]["volume_ml"].get<double>(), 60) << report;
  }
}

TEST_P(OperationOnDevice, FiltersAndRegions) {
  const Grid grid = Grid::centred({9, 11, 14}, {1, 2, 3});
  std::vector<std::int16_t> values(9 * 11 * 14);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int16_t>(i * 7919 % 1000 - 500);
  io::write_image(folder_ / "in.nrrd", grid, {values.data(), grid.shape});
  const Texts given{{"image", folder_ / "in.nrrd"}};
  Texts gaussian = given, range = given, confidence = given;
  gaussian.insert({{"sigma-mm", "1,0,4"}});
  expect_same("image.gaussian", gaussian, "smoothed", 1e-2);
  expect_same("image.median", given, "smoothed", 1e-30);
  range.insert({{"seeds-mm", "0,0,0; 1,4,-3"}, {"low", "-300"}});
  expect_same("image.grow", range, "labels", 1e-30);
  confidence.insert({{"seeds-mm", "0,0,0"}, {"multiplier", "1"}});
  expect_same("image.grow", confidence, "labels", 1e-30);
  Texts shallow = given, deep = given;
  shallow.insert({{"depth", "300"}});
  deep.insert({{"depth", "300"}, {"by", "dilation"}});
  expect_same("image.minima", shallow, "labels", 1e-30);
  expect_same("image.watershed", shallow, "labels", 1e-30);
  expect_same("image.reconstruct", deep, "result", 1e-30);
}

TEST_P(OperationOnDevice, Metrics) {
  const Grid grid = Grid::centred({9, 11, 14}, {1, 2, 3});
  std::vector<std::uint8_t> labels(9 * 11 * 14), reference(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<std::uint8_t>(i / 60 % 3);
    reference[i] = static_cast<std::uint8_t>((i + 5) / 60 % 4);
  }
  io::write_image(folder_ / "labels.nii.gz", grid, {labels.data(), grid.shape});
  io::write_image(folder_ / "reference.mha", grid, {reference.data(), grid.shape});
  nlohmann::json reports[2];
  for (const Device device : {Device{}, GetParam()}) {
    const std::string path = folder_ / (name(device) + ".json");
    run_on(device, "image.metrics",
           {{"labels", folder_ / "labels.nii.gz"}, {"reference", folder_ / "reference.mha"}, {"report", path}});
    reports[device == Device{} ? 0 : 1] = nlohmann::json::parse(test::read_text(path));
  }
  if (GetParam() == Device{}) reports[1] = reports[0];
  EXPECT_EQ(reports[0], reports[1]);
  EXPECT_EQ(reports[0].at("labels").size(), 3U);
}

/// Specks, a box with a hole in it, and another label.
TEST_P(OperationOnDevice, LabelMaps) {
  const Grid grid = Grid::centred({6, 7, 8}, {1, 1, 1});
  std::vector<std::uint8_t> labels(6 * 7 * 8, 0);
  for (std::size_t z = 1; z < 4; ++z)
    for (std::size_t y = 1; y < 4; ++y)
      for (std::size_t x = 1; x < 5; ++x) labels[(z * 7 + y) * 8 + x] = 3;
  labels[(2 * 7 + 2) * 8 + 2] = 0;
  labels[0] = labels[5 * 7 * 8] = labels[6 * 7 * 8 - 1] = 3;
  labels[7] = labels[6] = 9;
  io::write_image(folder_ / "in.nii.gz", grid, {labels.data(), grid.shape});
  const Texts given{{"image", folder_ / "in.nii.gz"}};
  expect_same("image.components", given, "labels", 1e-30);
  Texts distance = given;
  distance.insert({{"labels-apart", "true"}});
  expect_same("image.distance", distance, "distances", 1e-7);
  Texts clean = given;
  clean.insert({{"largest", "1"}, {"fill-holes", "true"}, {"connectivity", "6"}});
  expect_same("image.clean", clean, "labels", 1e-30);
  const std::vector<float> cleaned = values_of(folder_ / (name(GetParam()) + ".mha"));
  EXPECT_EQ(std::ranges::count(cleaned, 3.0F), 36);
  EXPECT_EQ(std::ranges::count(cleaned, 9.0F), 2);
  EXPECT_EQ(cleaned[(2 * 7 + 2) * 8 + 2], 3);
}

TEST_P(OperationOnDevice, Thresholds) {
  const Grid grid = Grid::centred({6, 7, 9}, {1, 1, 1});
  std::vector<std::int16_t> values(6 * 7 * 9);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int16_t>(i * 7919 % 1000 - 500);
  io::write_image(folder_ / "in.nrrd", grid, {values.data(), grid.shape});
  const Texts given{{"image", folder_ / "in.nrrd"}};
  Texts range = given, sure = given, otsu = given;
  range.insert({{"low", "-100.5"}, {"high", "200"}});
  expect_same("image.threshold", range, "labels", 1e-30);
  sure.insert({{"low", "200"}, {"sure", "450"}, {"connectivity", "6"}});
  expect_same("image.threshold", sure, "labels", 1e-30);
  otsu.insert({{"classes", "3"}});
  expect_same("image.otsu", otsu, "labels", 1e-30);
}

TEST_P(OperationOnDevice, OtherGrids) {
  Grid grid = Grid::centred({9, 11, 14}, {1, 2, 3});
  std::vector<std::int16_t> values(9 * 11 * 14);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int16_t>(i * 7919 % 1000 - 500);
  io::write_image(folder_ / "in.nrrd", grid, {values.data(), grid.shape});
  grid.direction = {Vec3{0.8, -0.6, 0}, {0.6, 0.8, 0}, {0, 0, 1}};
  io::write_image(folder_ / "like.nrrd", grid, {values.data(), grid.shape});
  for (const char* interpolation : {"nearest", "linear", "cubic"}) {
    Texts spaced{{"image", folder_ / "in.nrrd"}, {"interpolation", interpolation}};
    Texts like = spaced;
    spaced.insert({{"spacing-mm", "1.5,1.2,4"}, {"orientation", "SRA"}, {"padding", "-1000"}});
    like.insert(
        {{"like", folder_ / "like.nrrd"}, {"type", interpolation == std::string("nearest") ? "same" : "float32"}});
    expect_same("image.resample", spaced, "resampled", 2e-3);
    expect_same("image.resample", like, "resampled", 1e-5);
  }
  std::vector<std::uint8_t> labels(values.size());
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i / 40 % 4);
  io::write_image(folder_ / "labels.nii.gz", grid, {labels.data(), grid.shape});
  expect_same("image.resample",
              {{"image", folder_ / "labels.nii.gz"}, {"interpolation", "labels"}, {"spacing-mm", "2.5"}}, "resampled",
              1e-30);
}

TEST_P(OperationOnDevice, Morphology) {
  const Grid grid = Grid::centred({9, 11, 14}, {1, 2, 3});
  std::vector<std::uint8_t> labels(9 * 11 * 14);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i / 60 % 3);
  io::write_image(folder_ / "labels.nii.gz", grid, {labels.data(), grid.shape});
  for (const char* step : {"erode", "dilate", "open", "close"}) {
    const Texts given{{"image", folder_ / "labels.nii.gz"}, {"step", step}};
    Texts ball = given, box = given, grey_ball = given;
    ball.insert({{"radius-mm", "2.5"}});
    expect_same("image.morphology", ball, "labels", 1e-30);
    box.insert({{"radius", "2,1,1"}});
    expect_same("image.grey", box, "result", 1e-30);
    grey_ball.insert({{"element", "ball"}, {"radius-mm", "3"}});
    expect_same("image.grey", grey_ball, "result", 1e-30);
  }
}

TEST_P(OperationOnDevice, StatisticsOfLabels) {
  const Grid grid = Grid::centred({6, 7, 9}, {1, 2, 3});
  std::vector<std::uint8_t> labels(6 * 7 * 9);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i / 20 % 4);
  io::write_image(folder_ / "labels.mha", grid, {labels.data(), grid.shape});
  io::write_image(folder_ / "image.mha", grid, {test::uniform(6 * 7 * 9, 3).data(), grid.shape});
  nlohmann::json reports[2];
  for (const Device device : {Device{}, GetParam()}) {
    const std::string path = folder_ / (name(device) + ".json");
    run_on(device, "image.statistics",
           {{"labels", folder_ / "labels.mha"}, {"image", folder_ / "image.mha"}, {"report", path}});
    reports[device == Device{} ? 0 : 1] = nlohmann::json::parse(test::read_text(path)).at("labels");
  }
  if (GetParam() == Device{}) reports[1] = reports[0];
  ASSERT_EQ(reports[0].size(), 3U);
  ASSERT_EQ(reports[1].size(), 3U);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(reports[0][k].at("voxels"), reports[1][k].at("voxels"));
    EXPECT_EQ(reports[0][k].at("centroid_mm"), reports[1][k].at("centroid_mm"));
    for (const char* figure : {"mean", "standard_deviation"})
      EXPECT_NEAR(reports[0][k].at(figure).get<double>(), reports[1][k].at(figure).get<double>(), 1e-9) << figure;
  }
}

TEST_P(OperationOnDevice, ScorePairs) {
  std::ofstream(folder_ / "pairs.txt") << "2 2\nACGTN IIII! NNNN! NNNN! ++++!\nTT 55 KK KK +5\nACGTTACG\nTTT\n"
                                       << "1 1\nA ! ~ ~ ~\nA\n";
  Texts given{{"pairs", folder_ / "pairs.txt"}};
  std::string results[2];
  for (const Device device : {Device{}, GetParam()}) {
    given["likelihoods"] = folder_ / (name(device) + ".txt");
    EXPECT_EQ(run_on(device, "variant.pairhmm", given).device, name(device));
    results[device == Device{} ? 0 : 1] = test::read_text(given["likelihoods"]);
  }
  EXPECT_EQ(std::count(results[0].begin(), results[0].end(), '\n'), 5);
  EXPECT_TRUE(results[0].ends_with("\n-inf\n")) << results[0];
  EXPECT_EQ(results[GetParam() == Device{} ? 0 : 1], results[0]);
}

TEST_P(OperationOnDevice, SimulateAPhantom) {
  expect_same("ct.simulate",
              {{"phantom", "shepp-logan"}, {"views", "5"}, {"columns", "14"}, {"geometry", folder_ / "g.xml"}},
              "projections", 1e-5);
}

TEST_P(OperationOnDevice, SimulateNoise) {
  expect_same("ct.simulate",
              {{"phantom", "shepp-logan"},
               {"views", "5"},
               {"columns", "14"},
               {"photons", "1000"},
               {"seed", "7"},
               {"geometry", folder_ / "g.xml"}},
              "projections", 1e-5);
}

TEST_P(OperationOnDevice, SimulateAVolume) {
  const Grid grid = Grid::centred({6, 5, 7}, {10, 10, 10});
  const std::vector<float> values = test::uniform(6 * 5 * 7, 3);
  io::write_image(folder_ / "in.mha", grid, {values.data(), grid.shape});
  expect_same("ct.simulate",
              {{"volume", folder_ / "in.mha"}, {"views", "5"}, {"columns", "14"}, {"geometry", folder_ / "g.xml"}},
              "projections", 1e-5);
}

TEST_P(OperationOnDevice, Fdk) {
  Texts given = scan();
  given.insert({{"size", "12,10,12"}, {"window", "hann"}, {"mu-water", "0.02"}});
  expect_same("ct.fdk", given, "volume", 1e-5);
}

TEST_P(OperationOnDevice, FdkWithTextures) {
  Texts given = scan();
  given.insert({{"size", "12,10,12"}, {"interpolation", "texture"}});
  expect_same("ct.fdk", given, "volume", 1e-3);
}

TEST_P(OperationOnDevice, FbpOfARawScan) {
  expect_same("ct.fbp", {{"scan", raw_scan()}, {"centre", "20.5"}, {"size", "20,2,20"}}, "volume", 1e-5);
}

TEST_P(OperationOnDevice, FbpFindsTheCentre) {
  const Report report = run_on(GetParam(), "ct.fbp",
                               {{"scan", raw_scan()}, {"volume", folder_ / "v.mha"}, {"preview", folder_ / "v.png"}});
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].name, "centre");
  EXPECT_NEAR(report.findings[0].value, 20.5, 0.25);
}

INSTANTIATE_TEST_SUITE_P(Devices, OperationOnDevice, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

}  // namespace
}  // namespace kiban::engine
