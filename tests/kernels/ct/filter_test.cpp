#include "kernels/ct/filter.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <ostream>

#include "cudasim/launch.h"
#include "tests/reference/ct.hpp"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

struct Case {
  std::string name;
  Geometry geometry;
  Window window = Window::ram_lak;
  double cutoff = 1;
};

/// In the messages of failures.
void PrintTo(const Case& item, std::ostream* out) { *out << item.name; }
std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }

Geometry offset(const Panel& panel) {
  CircularGeometry scan = circular_scan(11, 300, 500, 360, 11);
  for (CircularView& view : scan) {
    view.out_of_plane_angle_deg = 12;
    view.in_plane_angle_deg = 5;
    view.source_offset_x_mm = 15;
    view.source_offset_y_mm = 20;
    view.projection_offset_x_mm = -9;
  }
  return geometry_from_circular(scan, panel);
}

std::vector<Case> cases() {
  const Panel panel = Panel::centred(19, 45, 6, 7);
  const Geometry circular = geometry_from_circular(circular_scan(20, 400, 700, 360, 3), panel);
  return {
      {"circular", circular},
      {"offset", offset(panel)},
      {"parallel", geometry_from_circular(circular_scan(20, 400, 0, 180, 3), panel)},
      {"shepp_logan", circular, Window::shepp_logan, 0.9},
      {"cosine", circular, Window::cosine, 0.5},
      {"hamming", circular, Window::hamming, 1},
      {"hann", circular, Window::hann, 0.31},
      {"one_column", geometry_from_circular(circular_scan(3, 400, 700), Panel::centred(5, 1, 6, 7))},
      {"one_row", geometry_from_circular(circular_scan(3, 400, 700), Panel::centred(1, 64, 6, 7))},
      {"wide", geometry_from_circular(circular_scan(3, 400, 700), Panel::centred(3, 700, 0.6, 0.7))},
  };
}

std::int64_t views_of(const Geometry& geometry) { return static_cast<std::int64_t>(geometry.views.size()); }

std::vector<float> projections_of(const Geometry& geometry) {
  return test::uniform(views_of(geometry) * geometry.rows * geometry.columns, 5);
}

/// Filtered panels [view,row,column], given to the filter `at_once` views at a time; `block` shows the margins too.
std::vector<float> run(Stream stream, const Case& item, bool columns_contiguous, std::int64_t at_once,
                       std::vector<float>* block_pixels = nullptr) {
  const Geometry& geometry = item.geometry;
  const std::int64_t views = views_of(geometry);
  Filter filter(stream, plan_filter(geometry, item.window, item.cutoff));
  PanelBlock block = PanelBlock::make(stream, geometry.rows, geometry.columns, columns_contiguous);
  const Array<float, 3> input =
      test::to_device<3>(stream, projections_of(geometry), {views, geometry.rows, geometry.columns});
  for (std::int64_t first = 0; first < views; first += at_once)
    filter.run(stream, input.span().slice(first, std::min(first + at_once, views)), first, first, block);
  const std::vector<float> pixels = test::to_host(stream, block.pixels);
  std::vector<float> filtered;
  for (std::int64_t k = 0; k < views; ++k)
    for (std::int64_t row = 0; row < geometry.rows; ++row)
      for (std::int64_t column = 0; column < geometry.columns; ++column) {
        const std::int64_t line = columns_contiguous ? column : row, place = columns_contiguous ? row : column;
        filtered.push_back(pixels[static_cast<std::size_t>(block.first_pixel(k) + line * block.pitch() + place)]);
      }
  if (block_pixels) *block_pixels = pixels;
  return filtered;
}

class FilterCase : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Cases, FilterCase, testing::ValuesIn(cases()), case_name);

TEST_P(FilterCase, IsTheReference) {
  const std::vector<float> projections = projections_of(GetParam().geometry);
  const reference::Values expected = reference::filter({projections.begin(), projections.end()}, GetParam().geometry,
                                                       GetParam().window, GetParam().cutoff);
  for (const Device device : test::devices_under_test()) {
    EXPECT_LT(test::relative_l2(run(Stream(device), GetParam(), false, 32), expected), 1e-6) << name(device);
    if (device.kind == DeviceKind::cpu) {
      EXPECT_LT(test::relative_l2(run(Stream(device), GetParam(), true, 32), expected), 1e-6) << "columns";
    }
  }
}

TEST_P(FilterCase, IsTheSameHoweverViewsAreCutAndThreadsRun) {
  for (const Device device : test::devices_under_test()) {
    const std::vector<float> whole = run(Stream(device, 1), GetParam(), false, 32);
    EXPECT_EQ(run(Stream(device, 2), GetParam(), false, 1), whole) << name(device);
    EXPECT_EQ(run(Stream(device, 2), GetParam(), false, 7), whole) << name(device);
  }
}

TEST_P(FilterCase, LeavesTheMarginsZero) {
  for (const Device device : test::devices_under_test())
    for (const bool columns : {false, true}) {
      if (columns && device.kind != DeviceKind::cpu) continue;
      std::vector<float> pixels;
      const std::vector<float> inside = run(Stream(device), GetParam(), columns, 32, &pixels);
      double all = 0, panel = 0;
      for (const float value : pixels) all += std::abs(static_cast<double>(value));
      for (const float value : inside) panel += std::abs(static_cast<double>(value));
      EXPECT_GT(panel, 0);
      // Not equality: the two sums run in different orders.
      EXPECT_NEAR(all, panel, 1e-12 * panel) << name(device) << (columns ? " columns" : " rows");
    }
}

TEST(FilterOnSim, IsTheSameInAnyOrderOfThreads) {
  const Case item{"cube", geometry_from_circular(circular_scan(32, 400, 700), Panel::centred(32, 32, 7, 7))};
  const Device sim = parse_device("sim");
  const std::vector<float> first = run(Stream(sim), item, false, 32);
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_EQ(run(Stream(sim), item, false, 32), first);
  }
}

TEST(FilterErrors, NameTheFault) {
  const Geometry geometry = cases()[0].geometry;
  for (const Device device : test::devices_under_test()) {
    Stream stream(device);
    Filter filter(stream, plan_filter(geometry, Window::ram_lak, 1));
    PanelBlock block = PanelBlock::make(stream, geometry.rows, geometry.columns, false);
    const Array<float, 3> wrong({2, geometry.rows, geometry.columns + 1}, device);
    EXPECT_THROW(filter.run(stream, wrong.span(), 0, 0, block), Error);
    const Array<float, 3> right({2, geometry.rows, geometry.columns}, device);
    EXPECT_THROW(filter.run(stream, right.span(), 19, 0, block), Error);
    EXPECT_THROW(filter.run(stream, right.span(), 0, 31, block), Error);
  }
  EXPECT_THROW(plan_filter(geometry, Window::hann, 0), Error);
  EXPECT_THROW(plan_filter(geometry, Window::hann, 1.5), Error);
}

}  // namespace
}  // namespace kiban::ct
