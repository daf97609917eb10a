#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/operations/geometry_port.hpp"
#include "engine/operations/scan_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/volume_port.hpp"
#include "engine/registry.hpp"
#include "engine/runner.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/process.hpp"

namespace kiban::engine {
namespace {

using Texts = std::map<std::string, std::string>;

/// Ports and parameters of one request, those in memory added to those in texts.
struct Call {
  explicit Call(const std::string& name) : operation(registry().find(name)) {}

  Call& with(const std::string& name, const std::string& value) {
    texts[name] = value;
    return *this;
  }
  template <class T>
  Call& bind(const std::string& port, T object) {
    memory[port] = Binding::memory(std::move(object));
    return *this;
  }
  std::shared_ptr<MemoryResult> returning(const std::string& port, Device device = {}) {
    auto result = std::make_shared<MemoryResult>();
    result->device = device;
    bind(port, result);
    return result;
  }
  Report run(Device device = {}) const {
    Texts parameters;
    Request request{{}, memory};
    for (const auto& [name, text] : texts)
      if (std::ranges::count(operation.ports, name, &Port::name))
        request.ports[name] = std::filesystem::path(text);
      else
        parameters[name] = text;
    request.parameters = Values::from_text(operation.parameters, parameters);
    Stream stream(device, 2);
    Progress progress;
    return engine::run(operation, request, stream, progress);
  }

  static const Registry& registry() {
    static const Registry all(standard_operations());
    return all;
  }
  const Operation& operation;
  Texts texts;
  std::map<std::string, Binding> memory;
};

std::vector<float> moved_to_host(const VoxelArray& array) {
  Stream stream(array.device());
  Array<float, 3> host(array.shape());
  copy<float, 3>(stream, array.span<float>(), host.span());
  stream.synchronize();
  return test::to_vector(host.span());
}

/// Every operation with its data in memory gives the bytes that it gives from files.
class MemoryPorts : public testing::TestWithParam<Device> {
 protected:
  test::Folder folder_;
};

TEST_P(MemoryPorts, SimulateAndReconstructAsFromFiles) {
  const Device device = GetParam();
  Call to_files("ct.simulate");
  to_files.with("phantom", "shepp-logan").with("views", "40").with("columns", "16").with("rows", "12");
  Call to_memory = to_files;
  to_files.with("projections", folder_ / "p.mha").with("geometry", folder_ / "g.xml").run(device);
  const auto projections = to_memory.returning("projections");
  const auto geometry = std::make_shared<ScanGeometry>();
  to_memory.bind("geometry", geometry).run(device);

  const Volume stored = io::read_volume(folder_ / "p.mha");
  EXPECT_EQ(test::to_vector(projections->volume.values.span<float>()), test::to_vector(stored.values.span()));
  EXPECT_EQ(projections->volume.grid.spacing, stored.grid.spacing);
  EXPECT_EQ(projections->volume.grid.origin, stored.grid.origin);
  EXPECT_EQ(view_count(*geometry), 40);

  Call from_files("ct.fdk"), from_memory("ct.fdk");
  from_files.with("projections", folder_ / "p.mha").with("geometry", folder_ / "g.xml").with("size", "12,10,12");
  from_files.with("volume", folder_ / "v.mha").run(device);
  from_memory.bind("projections", MemoryVolume{projections->volume.values.span(), projections->volume.grid})
      .bind("geometry", *geometry)
      .with("size", "12,10,12");
  const auto volume = from_memory.returning("volume");
  from_memory.run(device);
  EXPECT_EQ(test::to_vector(volume->volume.values.span<float>()),
            test::to_vector(io::read_volume(folder_ / "v.mha").values.span()));
}

TEST_P(MemoryPorts, StaysOnTheDeviceWhereItWasGivenThere) {
  const Grid grid = Grid::centred({40, 5, 7}, {1, 1, 1});
  const std::vector<float> values = test::uniform(40 * 5 * 7, 3);
  Stream stream(GetParam());
  Array<float, 3> there(grid.shape, GetParam());
  copy<float, 3>(stream, {values.data(), grid.shape}, there.span());
  stream.synchronize();
  Call call("skeleton.affine");
  call.with("scale", "2").with("offset", "-1").bind("input", MemoryVolume{there.span(), grid});
  const auto result = call.returning("output", GetParam());
  call.run(GetParam());
  EXPECT_EQ(result->volume.values.device(), GetParam());
  const std::vector<float> got = moved_to_host(result->volume.values);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], std::fma(2.0F, values[i], -1.0F)) << i;
}

TEST_P(MemoryPorts, FillsTheMemoryThatIsGiven) {
  const Grid grid = Grid::centred({3, 5, 7}, {1, 1, 1});
  const std::vector<float> values = test::uniform(3 * 5 * 7, 3);
  std::vector<float> given(values.size());
  const auto result = std::make_shared<MemoryResult>();
  result->given = VoxelSpan(given.data(), grid.shape);
  Call call("skeleton.affine");
  call.with("scale", "3").bind("input", MemoryVolume{{values.data(), grid.shape}, grid}).bind("output", result);
  call.run(GetParam());
  EXPECT_EQ(result->volume.values.size(), 0);
  EXPECT_EQ(result->volume.grid.shape, grid.shape);
  for (std::size_t i = 0; i < given.size(); ++i) ASSERT_EQ(given[i], 3 * values[i]) << i;
}

TEST_P(MemoryPorts, RawScanInMemory) {
  const std::int64_t views = 30, columns = 24;
  std::vector<float> counts(static_cast<std::size_t>(views * columns)), flats(24, 1000), angles;
  MemoryScan scan{
      {counts.data(), {views, 1, columns}}, {flats.data(), {1, 1, columns}}, {nullptr, {0, 1, columns}}, {}};
  for (std::int64_t k = 0; k < views; ++k) {
    scan.angles_deg.push_back(6.0 * static_cast<double>(k));
    for (std::int64_t i = 0; i < columns; ++i) {
      const double x = (static_cast<double>(i) - 11.5) / 6;
      counts[static_cast<std::size_t>(k * columns + i)] =
          static_cast<float>(1000 * std::exp(-0.6 * std::sqrt(std::max(0.0, 1 - x * x))));
    }
  }
  Call call("ct.fbp");
  call.bind("scan", scan).with("centre", "11.5").with("size", "24,1,24");
  const auto volume = call.returning("volume");
  call.run(GetParam());
  // A disc of radius 6 pixels and 0.05 per pixel: its chord is 12 pixels long.
  EXPECT_NEAR(volume->volume.values.span<float>().host()(12, 0, 12), 0.05, 0.003);
  scan.angles_deg.pop_back();
  Call wrong("ct.fbp");
  wrong.bind("scan", scan);
  wrong.returning("volume");
  EXPECT_THROW(wrong.run(GetParam()), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, MemoryPorts, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

/// The message of the error that the call ends with.
std::string complaint(const Call& call) {
  try {
    call.run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

struct Fdk {
  explicit Fdk(Shape<3> shape = {8, 4, 6})
      : grid{Grid::centred(shape, {1, 1, 1})}, values(element_count<3>(shape), 1) {}
  Call call(bool placed = true) {
    Call made("ct.fdk");
    made.bind("projections", MemoryVolume{{values.data(), grid.shape}, grid, placed}).bind("geometry", geometry);
    made.with("size", "4");
    made.returning("volume");
    return made;
  }
  Grid grid;
  std::vector<float> values;
  ScanGeometry geometry = ct::circular_scan(8, 100, 150);
};

TEST(MemoryErrors, PixelsOfUnknownSize) {
  Fdk fdk;
  EXPECT_EQ(complaint(fdk.call()), "no error");
  EXPECT_NE(complaint(fdk.call(false)).find("give pixel-mm"), std::string::npos);
  EXPECT_EQ(complaint(fdk.call(false).with("pixel-mm", "1")), "no error");
}

TEST(MemoryErrors, GeometryOfOtherViewsOrPixels) {
  Fdk fdk;
  fdk.geometry = ct::circular_scan(9, 100, 150);
  EXPECT_NE(complaint(fdk.call()).find("describes 9 views and the array projections has 8"), std::string::npos);
  fdk.geometry = ct::geometry_from_circular(ct::circular_scan(8, 100, 150), ct::Panel::centred(4, 7, 1, 1));
  EXPECT_NE(complaint(fdk.call()).find("4 x 7 pixels and the array projections has 4 x 6"), std::string::npos);
}

TEST(MemoryErrors, CompleteViewsGiveWhatTheNineParametersGive) {
  Fdk fdk;
  Call circular = fdk.call(), complete = fdk.call();
  complete.bind("geometry", ScanGeometry(ct::geometry_from_circular(ct::circular_scan(8, 100, 150),
                                                                    ct::Panel::centred(4, 6, 1, 1))));
  const auto first = circular.returning("volume"), second = complete.returning("volume");
  circular.run();
  complete.run();
  EXPECT_EQ(test::to_vector(first->volume.values.span<float>()), test::to_vector(second->volume.values.span<float>()));
}

TEST(MemoryErrors, ValuesThatAreNotFiniteOrOverflow) {
  Fdk fdk;
  fdk.values[8 * 4 * 6 - 1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(complaint(fdk.call()).find("the array projections: view 7, row 3, column 5"), std::string::npos);
  std::ranges::fill(fdk.values, 3e38F);
  EXPECT_NE(complaint(fdk.call().with("no-mask", "true")).find("so large that the result is not"), std::string::npos);
}

TEST(MemoryErrors, MoreViewsThanAGeometryHas) {
  const float pixel = 0;  // nobody reads pixels to count views
  const Grid grid = Grid::centred({300'000'000, 1, 1}, {1, 1, 1});
  Call call("ct.geometry");
  call.bind("projections", MemoryVolume{{&pixel, grid.shape}, grid}).bind("geometry", std::make_shared<ScanGeometry>());
  EXPECT_NE(complaint(call).find("a geometry has at most 1000000"), std::string::npos);
}

TEST(MemoryErrors, ResultOfAnotherShape) {
  Fdk fdk;
  std::vector<float> given(4 * 4 * 5);
  const auto result = std::make_shared<MemoryResult>();
  result->given = {given.data(), {4, 4, 5}};
  EXPECT_NE(complaint(fdk.call().bind("volume", result)).find("has shape [4, 4, 5] and the result has [4, 4, 4]"),
            std::string::npos);
}

}  // namespace
}  // namespace kiban::engine
