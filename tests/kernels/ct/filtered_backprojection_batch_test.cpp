#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "cudasim/launch.h"
#include "kernels/ct/filtered_backprojection.hpp"
#include "tests/support/compare.hpp"

/// Several scans of one plan. What one of them gives is held to references elsewhere; here only bytes are compared.
namespace kiban::ct {
namespace {

using Options = FilteredBackprojectionOptions;
using Plan = std::shared_ptr<const FilteredBackprojectionPlan>;

struct Case {
  std::string name;
  Geometry geometry;
  Grid grid;
  Options options{};
};

/// 35 views: a whole block and a part of one.
std::vector<Case> cases() {
  const Panel panel = Panel::centred(11, 13, 20, 20);
  const Grid grid = Grid::centred({9, 10, 17}, {12, 12, 10});
  CircularGeometry tilt = circular_scan(35, 400, 800, 360, 7);
  for (CircularView& view : tilt) view.in_plane_angle_deg = 4;
  const Geometry upright = geometry_from_circular(circular_scan(35, 400, 800, 360, 7), panel);
  const Geometry tilted = geometry_from_circular(tilt, panel);
  const Geometry parallel = geometry_from_circular(circular_scan(35, 400, 0, 180, 3), panel);
  return {
      {"Upright", upright, grid},
      {"Tilted", tilted, grid, {.mask_field_of_view = false}},
      {"ParallelInHu", parallel, grid, {.window = Window::hann, .mu_water_per_mm = 0.02}},
      {"Textures", upright, grid, {.mu_water_per_mm = 0.02, .interpolation = Interpolation::texture}},
  };
}

Shape<3> shape_of_projections(const Geometry& geometry) {
  return {static_cast<std::int64_t>(geometry.views.size()), geometry.rows, geometry.columns};
}

std::vector<std::vector<float>> scans_of(const Case& item, std::size_t scans) {
  std::vector<std::vector<float>> all;
  for (std::size_t scan = 0; scan < scans; ++scan)
    all.push_back(test::uniform(element_count<3>(shape_of_projections(item.geometry)), static_cast<unsigned>(scan)));
  return all;
}

struct Cut {
  std::int64_t at_once = 1000;
  std::size_t given_up = std::numeric_limits<std::size_t>::max();  ///< this scan, before the second part
};

std::vector<std::vector<float>> run_together(Stream stream, const Plan& plan, const Case& item,
                                             const std::vector<std::vector<float>>& scans, const Cut& cut = {}) {
  std::vector<Array<float, 3>> volumes;
  std::vector<Span<float, 3>> spans;
  for (std::size_t scan = 0; scan < scans.size(); ++scan)
    spans.push_back(volumes.emplace_back(item.grid.shape, stream.device()).span());
  FilteredBackprojection fbp(stream, plan, spans);
  const Shape<3> shape = shape_of_projections(item.geometry);
  for (std::int64_t first = 0; first < shape[0]; first += cut.at_once) {
    std::vector<Span<const float, 3>> parts;
    for (const std::vector<float>& scan : scans)
      parts.push_back(Span<const float, 3>(scan.data(), shape).slice(first, std::min(first + cut.at_once, shape[0])));
    if (first > 0 && cut.given_up < scans.size()) {
      fbp.give_up(cut.given_up);
      parts[cut.given_up] = {};
    }
    fbp.add(parts);
  }
  fbp.finish();
  std::vector<std::vector<float>> results;
  for (const Array<float, 3>& volume : volumes) results.push_back(test::to_host(stream, volume));
  return results;
}

Plan plan_of(Stream stream, const Case& item) {
  return std::make_shared<const FilteredBackprojectionPlan>(stream, item.geometry, item.grid, item.options);
}

/// Each by itself, and with a plan of its own.
std::vector<std::vector<float>> one_by_one(Device device, const Case& item,
                                           const std::vector<std::vector<float>>& scans) {
  std::vector<std::vector<float>> results;
  for (const std::vector<float>& scan : scans) {
    Stream stream(device, 1);
    Array<float, 3> volume(item.grid.shape, device);
    FilteredBackprojection fbp(stream, item.geometry, item.grid, item.options, volume.span());
    fbp.add({scan.data(), shape_of_projections(item.geometry)});
    fbp.finish();
    results.push_back(test::to_host(stream, volume));
  }
  return results;
}

class FilteredBackprojectionBatchOn : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, FilteredBackprojectionBatchOn, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

TEST_P(FilteredBackprojectionBatchOn, GivesTheBytesOfASingleRun) {
  for (const Case& item : cases()) {
    const std::vector<std::vector<float>> all = scans_of(item, PanelBlock::kMostScans);
    const std::vector<std::vector<float>> expected = one_by_one(GetParam(), item, all);
    EXPECT_NE(expected[0], expected[1]) << item.name;
    for (const std::size_t count : {1, 3, 16}) {
      const std::vector<std::vector<float>> some(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
      for (const int threads : {1, 2, 5}) {
        if (threads > 1 && GetParam().kind == DeviceKind::sim) continue;  // which has one
        const Stream stream(GetParam(), threads);
        const auto results = run_together(stream, plan_of(stream, item), item, some, {.at_once = 3 + 5 * threads});
        for (std::size_t scan = 0; scan < count; ++scan)
          EXPECT_EQ(results[scan], expected[scan]) << item.name << ", scan " << scan << " of " << count;
      }
    }
  }
}

TEST_P(FilteredBackprojectionBatchOn, GoesOnWithoutAScanThatIsGivenUp) {
  for (const Case& item : cases()) {
    std::vector<std::vector<float>> scans = scans_of(item, 3);
    const std::vector<std::vector<float>> expected = one_by_one(GetParam(), item, scans);
    const Stream stream(GetParam(), 2);
    for (const std::size_t bad : {0, 1, 2}) {
      auto spoiled = scans;
      spoiled[bad].assign(scans[bad].size(), std::numeric_limits<float>::quiet_NaN());
      const auto results = run_together(stream, plan_of(stream, item), item, spoiled, {.at_once = 9, .given_up = bad});
      for (const std::size_t scan : {0, 1, 2})
        if (scan != bad) {
          EXPECT_EQ(results[scan], expected[scan]) << item.name << ", scan " << scan << " without " << bad;
        }
    }
  }
}

TEST_P(FilteredBackprojectionBatchOn, SharesOnePlanAmongThreads) {
  const Case item = cases()[0];
  const std::vector<std::vector<float>> scans = scans_of(item, 2);
  const std::vector<std::vector<float>> expected = one_by_one(GetParam(), item, scans);
  const Plan plan = plan_of(Stream(GetParam(), 1), item);
  std::vector<std::vector<float>> results[2];
  const auto use = [&](std::size_t i) { results[i] = run_together(Stream(GetParam(), 1), plan, item, {scans[i]}); };
  if (GetParam().kind == DeviceKind::sim) {  // which has one scheduler
    use(0), use(1);
  } else {
    std::thread other(use, 0);
    use(1);
    other.join();
  }
  EXPECT_EQ(results[0][0], expected[0]);
  EXPECT_EQ(results[1][0], expected[1]);
}

TEST_P(FilteredBackprojectionBatchOn, RefusesWhatDoesNotFitTogether) {
  const Case item = cases()[0];
  const Stream stream(GetParam());
  const Plan plan = plan_of(stream, item);
  const auto start = [&](std::size_t scans, const Shape<3>& shape) {
    std::vector<Array<float, 3>> volumes;
    std::vector<Span<float, 3>> spans;
    for (std::size_t scan = 0; scan < scans; ++scan) spans.push_back(volumes.emplace_back(shape, GetParam()).span());
    FilteredBackprojection fbp(stream, plan, spans);
    std::vector<float> views = test::uniform(3 * item.geometry.rows * item.geometry.columns, 1);
    const Span<const float, 3> three(views.data(), {3, item.geometry.rows, item.geometry.columns});
    const std::vector<Span<const float, 3>> unequal{three, three.slice(0, 2)};
    EXPECT_THROW(fbp.add(unequal), Error);
    EXPECT_THROW(fbp.add(three), Error);
    const std::vector<Span<const float, 3>> equal{three, three};
    fbp.add(equal);
  };
  EXPECT_NO_THROW(start(2, item.grid.shape));
  EXPECT_THROW(start(2, {9, 10, 16}), Error);
  EXPECT_THROW(start(0, item.grid.shape), Error);
  EXPECT_THROW(start(PanelBlock::kMostScans + 1, item.grid.shape), Error);
  const Device other = GetParam().kind == DeviceKind::cpu ? parse_device("sim") : Device{};
  Array<float, 3> elsewhere(item.grid.shape, other);
  const Span<float, 3> span = elsewhere.span();
  EXPECT_THROW(FilteredBackprojection(Stream(other), plan, {&span, 1}), Error);
}

TEST(FilteredBackprojectionBatchOnSim, IsTheSameInAnyOrderOfThreadsAndStreams) {
  const Device sim = parse_device("sim");
  const Stream stream(sim);
  for (const Case& item : cases()) {
    const std::vector<std::vector<float>> scans = scans_of(item, 3);
    const std::vector<std::vector<float>> expected = one_by_one(sim, item, scans);
    for (const cudasim::Order order : cudasim::kOrders) {
      const cudasim::ScopedOrder scope(order);
      EXPECT_EQ(run_together(stream, plan_of(stream, item), item, scans, {.at_once = 9}), expected) << item.name;
    }
  }
}

}  // namespace
}  // namespace kiban::ct
