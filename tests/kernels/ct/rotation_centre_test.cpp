#include "kernels/ct/rotation_centre.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <ostream>
#include <random>

#include "io/hdf5/exchange_file.hpp"
#include "io/image/image_file.hpp"
#include "kernels/ct/flat_field.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::ct {
namespace {

/// In pixels, about the axis.
struct Ellipse {
  double x, y, a, b, angle_deg, density;
};

/// Line integral of ellipses along the ray at signed distance `s` from the axis, in direction `theta`: chord lengths.
double line_integral(const std::vector<Ellipse>& ellipses, double theta, double s) {
  double sum = 0;
  for (const Ellipse& e : ellipses) {
    const double turn = theta - e.angle_deg * std::numbers::pi / 180;
    const double r2 = std::pow(e.a * std::cos(turn), 2) + std::pow(e.b * std::sin(turn), 2);
    const double d = s - (e.x * std::cos(theta) + e.y * std::sin(theta));
    if (d * d < r2) sum += e.density * 2 * e.a * e.b * std::sqrt(r2 - d * d) / r2;
  }
  return sum;
}

struct Case {
  std::string name;
  double centre;
  std::int64_t columns = 320, views = 181;
  double first_deg = 0, arc_deg = 180;
  double noise = 0, rings = 0;  ///< standard deviations, of a pixel in a view and of a column in all views
  double size = 100;            ///< pixels: half the object
  double tolerance = 0.1;
  bool disc = false;  ///< the object is a plain one about the axis
};
void PrintTo(const Case& item, std::ostream* out) { *out << item.name; }
std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }

struct Scan {
  Array<float, 3> line_integrals;
  std::vector<double> angles_deg;
};

Scan simulate(const Case& item) {
  const std::vector<Ellipse> ellipses = {{0.05, 0.02, 0.9, 0.7, 20, 0.010},
                                         {0.3, -0.2, 0.25, 0.1, 70, 0.02},
                                         {-0.4, 0.1, 0.2, 0.3, 10, -0.006},
                                         {-0.1, -0.4, 0.06, 0.06, 0, 0.05},
                                         {0.45, 0.25, 0.03, 0.12, 35, 0.03}};
  std::vector<Ellipse> scaled = item.disc ? std::vector<Ellipse>{{0, 0, 1, 1, 0, 0.02}} : ellipses;
  for (Ellipse& e : scaled)
    e = {e.x * item.size, e.y * item.size, e.a * item.size, e.b * item.size, e.angle_deg, e.density};
  constexpr std::int64_t kRows = 2;
  Scan scan{Array<float, 3>({item.views, kRows, item.columns}), {}};
  const auto p = scan.line_integrals.host();
  std::mt19937 generator(17);
  std::normal_distribution<double> normal;
  std::vector<double> ring(static_cast<std::size_t>(kRows * item.columns));
  for (double& value : ring) value = item.rings * normal(generator);
  for (std::int64_t k = 0; k < item.views; ++k) {
    scan.angles_deg.push_back(item.first_deg + item.arc_deg * static_cast<double>(k) / static_cast<double>(item.views));
    const double theta = scan.angles_deg.back() * std::numbers::pi / 180;
    for (std::int64_t row = 0; row < kRows; ++row)
      for (std::int64_t u = 0; u < item.columns; ++u) {
        const double exact = line_integral(scaled, theta, static_cast<double>(u) - item.centre);
        p(k, row, u) = static_cast<float>(exact + item.noise * normal(generator) +
                                          ring[static_cast<std::size_t>(row * item.columns + u)]);
      }
  }
  return scan;
}

class RotationCentre : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Cases, RotationCentre,
    testing::Values(
        Case{"in_the_middle", 159.5}, Case{"left", 141.37}, Case{"far_right", 197.8},
        Case{"full_turn", 166.61, 320, 240, 0, 360}, Case{"starts_anywhere", 150.25, 320, 180, -131.7, -180},
        Case{"few_views", 171.4, 320, 45, 0, 180, 0, 0, 100, 0.3},
        Case{"narrow_panel", 30.3, 64, 90, 0, 180, 0, 0, 22, 0.2},
        Case{"noise", 152.3, 320, 181, 0, 180, 0.08, 0, 100, 0.3},
        Case{"rings", 168.9, 320, 181, 0, 180, 0.01, 0.05, 100, 0.3},
        Case{"more_views_than_are_used", 160.9, 320, 901, 0, 360},
        Case{.name = "small_disc", .centre = 11.5, .columns = 24, .views = 90, .size = 4, .disc = true},
        Case{
            .name = "disc_as_wide_as_24_columns", .centre = 11.5, .columns = 24, .views = 90, .size = 11, .disc = true},
        Case{.name = "disc_beside_the_middle", .centre = 10.3, .columns = 24, .views = 90, .size = 8, .disc = true},
        Case{.name = "disc_as_wide_as_the_panel", .centre = 163.3, .size = 150, .disc = true},
        Case{.name = "as_wide_as_the_panel", .centre = 148.3, .size = 158},
        Case{.name = "a_little_wider", .centre = 159.5, .size = 175},
        Case{.name = "much_wider", .centre = 148.3, .size = 250},
        Case{.name = "twice_as_wide", .centre = 159.5, .size = 320},
        Case{.name = "wider_full_turn", .centre = 166.61, .views = 240, .arc_deg = 360, .size = 200},
        Case{.name = "wider_with_noise", .centre = 163.7, .noise = 0.02, .rings = 0.02, .size = 250}),
    case_name);

TEST_P(RotationCentre, IsFound) {
  const Scan scan = simulate(GetParam());
  EXPECT_NEAR(find_rotation_centre(Stream(), scan.line_integrals.span(), scan.angles_deg), GetParam().centre,
              GetParam().tolerance);
}

TEST(RotationCentre, DoesNotMindTheOrderOfViews) {
  Scan scan = simulate({"", 150.7});
  Scan mixed{Array<float, 3>(scan.line_integrals.shape()), {}};
  std::vector<std::int64_t> order(scan.angles_deg.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937(3));
  Stream stream;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto to = static_cast<std::int64_t>(i);
    mixed.angles_deg.push_back(scan.angles_deg[static_cast<std::size_t>(order[i])]);
    copy<float, 3>(stream, scan.line_integrals.span().slice(order[i], order[i] + 1),
                   mixed.line_integrals.span().slice(to, to + 1));
  }
  EXPECT_NEAR(find_rotation_centre(stream, mixed.line_integrals.span(), mixed.angles_deg), 150.7, 0.1);
}

TEST(RotationCentre, IsTheSameOnAnyNumberOfThreads) {
  const Scan scan = simulate({"", 150.7});
  EXPECT_EQ(find_rotation_centre(Stream({}, 1), scan.line_integrals.span(), scan.angles_deg),
            find_rotation_centre(Stream({}, 2), scan.line_integrals.span(), scan.angles_deg));
}

/// A real scan with rings; TomoPy's documentation reconstructs it about 295.5.
TEST(RotationCentre, OfTheTooth) {
  const auto path = test::test_data("ct/tooth.h5");
  if (!path) GTEST_SKIP() << "no ct/tooth.h5 in the test data; set KIBAN_TEST_DATA";
  const io::ExchangeReader reader(*path);
  Array<float, 3> scan(reader.shape());
  reader.read(0, reader.shape()[0], scan.span());
  Stream stream;
  const Array<float, 3> flats = reader.flats(), darks = reader.darks();
  FlatField(stream, plan_flat_field(flats.span(), darks.span())).run(stream, scan.span(), scan.span());
  EXPECT_NEAR(find_rotation_centre(stream, scan.span(), reader.angles_deg()), 295.5, 0.5);
}

/// A real scan of an object that does not fit the panel, with four rows of its 135.
TEST(RotationCentre, OfTheDiamond) {
  const auto folder = test::test_data("ct/diamond_tiff");
  if (!folder) GTEST_SKIP() << "no ct/diamond_tiff in the test data; set KIBAN_TEST_DATA";
  const Volume raw = io::read_volume(*folder / "tiffs_raw_*.tiff");
  const Volume flat = io::read_volume(*folder / "flat_00001.tiff"), dark = io::read_volume(*folder / "dark_00001.tiff");
  Stream stream;
  const Shape<3>& shape = raw.values.shape();
  Array<float, 3> corrected(shape);
  FlatField(stream, plan_flat_field(flat.values.span(), dark.values.span()))
      .run(stream, raw.values.span(), corrected.span());
  const std::vector<std::int64_t> rows = rotation_centre_rows(shape[1]);
  Array<float, 3> some({shape[0], static_cast<std::int64_t>(rows.size()), shape[2]});
  std::vector<double> angles_deg;
  for (std::int64_t k = 0; k < shape[0]; ++k) {
    angles_deg.push_back(-88.2 + 2 * static_cast<double>(k));
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::copy_n(&corrected.host()(k, rows[i], 0), shape[2], &some.host()(k, static_cast<std::int64_t>(i), 0));
  }
  EXPECT_NEAR(find_rotation_centre(stream, some.span(), angles_deg), 86, 0.75);
}

ErrorCode code_of(const Scan& scan) {
  try {
    find_rotation_centre(Stream(), scan.line_integrals.span(), scan.angles_deg);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

TEST(RotationCentreErrors, AreOfTheInput) {
  Scan fewer_angles = simulate({"", 150});
  fewer_angles.angles_deg.pop_back();
  EXPECT_EQ(code_of(fewer_angles), ErrorCode::input);
  EXPECT_EQ(code_of(simulate({"", 150, 320, 90, 0, 120})), ErrorCode::input) << "a third of a turn";
  EXPECT_EQ(code_of(simulate({"", 150, 320, 4})), ErrorCode::input) << "four views";
  Scan not_finite = simulate({"", 150});
  not_finite.angles_deg[5] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(code_of(not_finite), ErrorCode::input);
  EXPECT_EQ(code_of(simulate({.name = "", .centre = 151.3, .size = 200, .disc = true})), ErrorCode::input)
      << "nothing but the inside of a disc";
  EXPECT_EQ(code_of(simulate({.name = "", .centre = 152.3, .noise = 1})), ErrorCode::input) << "more noise than object";
  Scan air = simulate({"", 150, 320, 90, 0, 180, 0, 0, 0});
  EXPECT_EQ(code_of(air), ErrorCode::input) << "nothing in the beam";
}

TEST(RotationCentreRows, LieInThePanel) {
  EXPECT_EQ(rotation_centre_rows(2), (std::vector<std::int64_t>{0, 1}));
  for (const std::int64_t rows : {1, 3, 4, 5, 6, 7, 100, 2048}) {
    const std::vector<std::int64_t> chosen = rotation_centre_rows(rows);
    EXPECT_EQ(static_cast<std::int64_t>(chosen.size()), std::min<std::int64_t>(rows, 4));
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      EXPECT_TRUE(chosen[i] >= 0 && chosen[i] < rows) << rows;
      EXPECT_TRUE(i == 0 || chosen[i] > chosen[i - 1]) << rows;
    }
  }
}

}  // namespace
}  // namespace kiban::ct
