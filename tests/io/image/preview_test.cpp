#include "io/image/preview.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "io/image/image_file.hpp"
#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

// A volume of zeros with one bright block of voxels [lo, hi) along each of x, y, z.
Array<float, 3> block(const Shape<3>& shape, std::array<std::int64_t, 3> lo, std::array<std::int64_t, 3> hi) {
  Array<float, 3> array(shape);
  const auto view = array.host();
  for (std::int64_t z = 0; z < shape[0]; ++z)
    for (std::int64_t y = 0; y < shape[1]; ++y)
      for (std::int64_t x = 0; x < shape[2]; ++x)
        view(z, y, x) = x >= lo[0] && x < hi[0] && y >= lo[1] && y < hi[1] && z >= lo[2] && z < hi[2] ? 1.f : 0.f;
  return array;
}

int grey(const Picture& picture, double right, double down) {
  const auto row = static_cast<std::int64_t>(down * static_cast<double>(picture.rows));
  const auto column = static_cast<std::int64_t>(right * static_cast<double>(picture.columns));
  return picture.pixels[static_cast<std::size_t>(row * picture.columns + column)];
}

// The block fills the half of x > 0, y > 0 and z > 0: it is on the right and below in the picture across y (z grows
// downwards), on the right and above across z, on the right and above across x (z grows to the right).
void expect_upright(const Grid& grid, Span<const float, 3> values) {
  const Picture picture = render_preview(grid, values);
  ASSERT_GE(picture.rows, 256);
  const double panel[3] = {1. / 6, 3. / 6, 5. / 6};
  for (int i = 0; i < 3; ++i) {
    const double left = panel[i] - 0.08, right = panel[i] + 0.08, bright_row = i == 0 ? 0.75 : 0.25;
    EXPECT_EQ(grey(picture, right, bright_row), 255) << i;
    EXPECT_EQ(grey(picture, left, bright_row), 0) << i;
    EXPECT_EQ(grey(picture, right, 1 - bright_row), 0) << i;
  }
}

TEST(Preview, YPointsUp) {
  const Shape<3> shape{32, 32, 32};
  const Grid grid = Grid::centred(shape, {2, 2, 2});
  expect_upright(grid, block(shape, {16, 16, 16}, {32, 32, 32}).span());
}

TEST(Preview, FollowsTheDirectionsOfTheGrid) {
  const Shape<3> shape{32, 32, 32};
  Grid grid = Grid::centred(shape, {2, 2, 2});
  grid.direction = {Vec3{-1, 0, 0}, Vec3{0, -1, 0}, Vec3{0, 0, -1}};  // every index grows against its world axis
  expect_upright(grid, block(shape, {0, 0, 0}, {17, 17, 17}).span());
  grid.direction = {Vec3{0, 0, 1}, Vec3{1, 0, 0}, Vec3{0, 1, 0}};  // x, y, z indices run along y, z, x
  expect_upright(grid, block(shape, {16, 16, 16}, {32, 32, 32}).span());
}

TEST(Preview, KeepsProportionsInMillimetres) {
  const Shape<3> shape{20, 40, 40};  // 80 mm in each direction
  const Picture picture = render_preview(Grid::centred(shape, {2, 2, 4}), test::pattern(shape).span());
  EXPECT_EQ(picture.rows, 256 + 8);
  EXPECT_EQ(picture.columns, 3 * 256 + 16);
}

TEST(Preview, ShowsOneBigSliceOfAThinVolume) {
  const Shape<3> thin_y{640, 2, 640}, thin_z{2, 300, 400}, flat{1, 100, 100};
  const Picture across_y = render_preview(Grid::centred(thin_y, {1, 1, 1}), test::pattern(thin_y).span());
  EXPECT_EQ(across_y.rows, 640 + 8);
  EXPECT_EQ(across_y.columns, 640 + 8);
  const Picture across_z = render_preview(Grid::centred(thin_z, {1, 1, 1}), test::pattern(thin_z).span());
  EXPECT_EQ(across_z.rows, 300 + 8);
  EXPECT_EQ(across_z.columns, 400 + 8);
  EXPECT_EQ(render_preview(Grid::centred(flat, {1, 1, 1}), test::pattern(flat).span()).rows, 256 + 8);
}

TEST(Preview, IsNotBlindedByOutliers) {
  const Shape<3> shape{32, 32, 32};
  auto values = block(shape, {16, 0, 0}, {32, 32, 32});
  values.host()(16, 16, 3) = 1e30f;
  values.host()(16, 3, 16) = -1e30f;
  values.host()(16, 16, 5) = std::numeric_limits<float>::quiet_NaN();
  values.host()(3, 16, 16) = std::numeric_limits<float>::infinity();
  const Picture picture = render_preview(Grid::centred(shape, {1, 1, 1}), values.span());
  EXPECT_EQ(grey(picture, 1. / 6 + 0.08, 0.25), 255);
  EXPECT_EQ(grey(picture, 1. / 6 - 0.08, 0.25), 0);
}

TEST(Preview, ShowsTheRangeThatIsAskedFor) {
  const Shape<3> shape{8, 8, 8};
  const auto ones = block(shape, {0, 0, 0}, {8, 8, 8});
  const Grid grid = Grid::centred(shape, {1, 1, 1});
  const auto grey_of_one = [&](const GreyRange& range) {
    return grey(render_preview(grid, ones.span(), range), 0.15, 0.5);
  };
  EXPECT_EQ(grey_of_one({0.f, 4.f}), 64);
  EXPECT_EQ(grey_of_one({-1.f, 1.f}), 255);
  EXPECT_EQ(grey_of_one({1.f, 2.f}), 0);
  EXPECT_EQ(grey_of_one({0.f, std::nullopt}), 255) << "white is the quantile, which is 1 here";
}

TEST(Preview, DrawsAConstantAndRefusesNothing) {
  const Shape<3> shape{8, 8, 8};
  EXPECT_EQ(grey(render_preview(Grid::centred(shape, {1, 1, 1}), block(shape, {0, 0, 0}, {8, 8, 8}).span()), 0.15, 0.5),
            128);
  Array<float, 3> nothing(shape);
  std::fill_n(nothing.host().data, nothing.size(), std::numeric_limits<float>::quiet_NaN());
  test::expect_input_error([&] { render_preview(Grid::centred(shape, {1, 1, 1}), nothing.span()); }, {"finite"});
  test::expect_input_error(
      [&] {
        render_preview(Grid::centred({0, 8, 8}, {1, 1, 1}), Array<float, 3>({0, 8, 8}).span());
      },
      {"without voxels"});
}

TEST(Preview, WritesAPng) {
  const test::Scratch scratch;
  const Shape<3> shape{8, 8, 8};
  const auto values = test::pattern(shape);
  write_preview(scratch / "p.png", Grid::centred(shape, {1, 1, 1}), values.span());
  EXPECT_EQ(scratch.names(), std::vector<std::string>{"p.png"});
  const std::string bytes = test::content_of(scratch / "p.png");
  EXPECT_EQ(bytes.substr(0, 8), "\x89PNG\r\n\x1a\n");
  // Width and height of the IHDR chunk, big-endian; 8 bits, grey.
  EXPECT_EQ(bytes.substr(16, 10), std::string("\0\0\x03\x10\0\0\x01\x08\x08\0", 10));
  test::expect_input_error(
      [&] {
        write_preview(scratch / "p.jpg", Grid::centred(shape, {1, 1, 1}), values.span());
      },
      {"p.jpg", ".png"});
  test::expect_input_error(
      [&] {
        write_preview(scratch / "missing/p.png", Grid::centred(shape, {1, 1, 1}), values.span());
      },
      {"missing/p.png", "does not exist"});
}

}  // namespace
}  // namespace kiban::io
