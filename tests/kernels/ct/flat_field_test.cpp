#include "kernels/ct/flat_field.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cudasim/launch.h"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

using Frames = std::vector<float>;

struct Scan {
  Shape<2> panel;
  std::int64_t views, flat_frames, dark_frames;
  Frames counts, flats, darks;
  Span<const float, 3> flat_span() const { return {flats.data(), {flat_frames, panel[0], panel[1]}}; }
  Span<const float, 3> dark_span() const { return {darks.data(), {dark_frames, panel[0], panel[1]}}; }
  Shape<3> shape() const { return {views, panel[0], panel[1]}; }
};

/// Counts as a camera of 16 bits gives them, some of them below the dark level.
Scan scan_of(std::int64_t rows, std::int64_t columns, std::int64_t views, std::int64_t flats = 3,
             std::int64_t darks = 2) {
  Scan scan{{rows, columns}, views, flats, darks, {}, {}, {}};
  scan.flats = test::uniform(flats * rows * columns, 1);
  scan.darks = test::uniform(darks * rows * columns, 2);
  scan.counts = test::uniform(views * rows * columns, 3);
  for (float& value : scan.flats) value = std::round(30000 + 20000 * value);
  for (float& value : scan.darks) value = std::round(100 + 50 * value);
  for (float& value : scan.counts) value = std::round(90 + 30000 * value * value);
  return scan;
}

/// The definition, in double; NaN at dead pixels.
std::vector<double> truth(const Scan& scan) {
  const auto pixels = static_cast<std::size_t>(scan.panel[0] * scan.panel[1]);
  std::vector<double> result(scan.counts.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    double flat = 0, dark = 0;
    for (std::size_t f = 0; f < static_cast<std::size_t>(scan.flat_frames); ++f)
      flat += scan.flats[f * pixels + i % pixels];
    for (std::size_t f = 0; f < static_cast<std::size_t>(scan.dark_frames); ++f)
      dark += scan.darks[f * pixels + i % pixels];
    flat /= static_cast<double>(scan.flat_frames);
    if (scan.dark_frames > 0) dark /= static_cast<double>(scan.dark_frames);
    const double transmission = (scan.counts[i] - dark) / (flat - dark);
    result[i] = flat > dark ? -std::log(std::max(transmission, 1e-5)) : std::numeric_limits<double>::quiet_NaN();
  }
  return result;
}

/// `in_place`: the result replaces the counts.
std::vector<float> run(Stream stream, const Scan& scan, std::int64_t at_once, bool in_place) {
  const FlatField correct(stream, plan_flat_field(scan.flat_span(), scan.dark_span()));
  Array<float, 3> counts = test::to_device<3>(stream, scan.counts, scan.shape());
  Array<float, 3> other(scan.shape(), stream.device());
  const Span<float, 3> out = in_place ? counts.span() : other.span();
  for (std::int64_t first = 0; first < scan.views; first += at_once) {
    const std::int64_t end = std::min(first + at_once, scan.views);
    correct.run(stream, counts.span().slice(first, end), out.slice(first, end));
  }
  return test::to_host<3>(stream, out);
}

TEST(FlatField, IsTheDefinition) {
  for (const Scan& scan : {scan_of(5, 67, 21), scan_of(1, 1, 1), scan_of(3, 16, 9, 1, 0)}) {
    const std::vector<double> expected = truth(scan);
    for (const Device device : test::devices_under_test()) {
      EXPECT_LT(test::relative_l2(run(Stream(device), scan, 32, false), expected), 1e-6) << name(device);
      EXPECT_LT(test::relative_l2(run(Stream(device), scan, 32, true), expected), 1e-6) << name(device) << " in place";
    }
  }
}

TEST(FlatField, HoldsTheTransmissionAboveOneHundredThousandth) {
  Scan scan = scan_of(2, 40, 1, 2, 1);
  scan.counts[0] = 0;              // below the dark
  scan.counts[1] = scan.darks[1];  // no light at all
  scan.counts[2] = -1e30F;
  for (const Device device : test::devices_under_test()) {
    const std::vector<float> p = run(Stream(device), scan, 1, false);
    for (const std::size_t i : {0U, 1U, 2U}) EXPECT_NEAR(p[i], -std::log(1e-5), 1e-5) << name(device);
  }
}

TEST(FlatField, IsTheSameHoweverViewsAreCutAndThreadsRun) {
  const Scan scan = scan_of(4, 53, 20);
  for (const Device device : test::devices_under_test()) {
    const std::vector<float> whole = run(Stream(device, 1), scan, 20, false);
    EXPECT_EQ(run(Stream(device, 2), scan, 1, true), whole) << name(device);
    EXPECT_EQ(run(Stream(device, 2), scan, 7, false), whole) << name(device);
  }
}

TEST(FlatFieldOnSim, IsTheSameInAnyOrderOfThreads) {
  Scan scan = scan_of(32, 32, 32);
  for (const std::size_t dead : {0U, 5U, 6U, 1023U})
    for (std::size_t f = 0; f < 3; ++f) scan.flats[f * 1024 + dead] = 0;
  const std::vector<float> first = run(Stream(parse_device("sim")), scan, 32, true);
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_EQ(run(Stream(parse_device("sim")), scan, 32, true), first);
  }
}

TEST(FlatField, BridgesDeadPixelsFromTheirRow) {
  Scan scan = scan_of(3, 10, 2, 1, 1);
  const auto kill = [&](std::size_t row, std::size_t column) {
    scan.flats[row * 10 + column] = scan.darks[row * 10 + column];
  };
  kill(0, 0);
  kill(0, 4);
  kill(0, 5);
  kill(0, 9);
  for (std::size_t column = 0; column < 10; ++column) kill(1, column);
  const FlatFieldPlan plan = plan_flat_field(scan.flat_span(), scan.dark_span());
  EXPECT_EQ(plan.bridges.size(), 14U);
  for (const Device device : test::devices_under_test())
    for (const bool in_place : {false, true}) {
      const std::vector<float> p = run(Stream(device), scan, 2, in_place);
      const std::vector<double> expected = truth(scan);
      for (std::size_t view = 0; view < 2; ++view) {
        const std::size_t o = view * 30;
        EXPECT_NEAR(p[o + 0], expected[o + 1], 1e-6);
        EXPECT_NEAR(p[o + 4], (2 * expected[o + 3] + expected[o + 6]) / 3, 2e-6);
        EXPECT_NEAR(p[o + 5], (expected[o + 3] + 2 * expected[o + 6]) / 3, 2e-6);
        EXPECT_NEAR(p[o + 9], expected[o + 8], 1e-6);
        // A row without a live pixel is its neighbour's, bridges included.
        for (std::size_t column = 0; column < 10; ++column)
          EXPECT_FLOAT_EQ(p[o + 10 + column], p[o + column]) << name(device);
      }
    }
}

ErrorCode code_of(const Scan& scan) {
  try {
    plan_flat_field(scan.flat_span(), scan.dark_span());
  } catch (const Error& error) {
    EXPECT_GT(std::string(error.what()).size(), 20U);
    return error.code();
  }
  return ErrorCode::internal;
}

TEST(FlatFieldErrors, AreOfTheInput) {
  EXPECT_EQ(code_of(scan_of(2, 8, 1, 0, 1)), ErrorCode::input) << "no flat";
  Scan shapes = scan_of(2, 8, 1);
  shapes.dark_frames = 1;
  const Span<const float, 3> transposed(shapes.darks.data(), {1, 8, 2});
  EXPECT_THROW(plan_flat_field(shapes.flat_span(), transposed), Error);
  Scan not_finite = scan_of(2, 8, 1);
  not_finite.flats[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(code_of(not_finite), ErrorCode::input);
  Scan swapped = scan_of(2, 8, 1, 2, 2);
  std::swap(swapped.flats, swapped.darks);
  EXPECT_EQ(code_of(swapped), ErrorCode::input);
}

TEST(FlatFieldErrors, ShapeOfTheProjections) {
  const Scan scan = scan_of(2, 8, 1);
  Stream stream;
  const FlatField correct(stream, plan_flat_field(scan.flat_span(), scan.dark_span()));
  Array<float, 3> other({1, 8, 2});
  EXPECT_THROW(correct.run(stream, other.span(), other.span()), Error);
}

}  // namespace
}  // namespace kiban::ct
