#include "io/image/label_preview.hpp"

#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "io/image/image_file.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using Colour = std::array<int, 3>;

Colour pixel(const Picture& picture, std::int64_t row, std::int64_t column) {
  const auto* const at = &picture.pixels[static_cast<std::size_t>(3 * (row * picture.columns + column))];
  return {at[0], at[1], at[2]};
}

/// 40 voxels along each axis, of 1, 1 and 2 mm. A bone at the left, the back and the head; a label about it.
struct Scene {
  VoxelArray values{VoxelType::int16, {40, 40, 40}};
  Array<std::uint8_t, 3> labels{{40, 40, 40}};

  explicit Scene(bool is_labelled) {
    const auto hu = values.span().as<std::int16_t>().host();
    const auto label = labels.host();
    for (std::int64_t z = 0; z < 40; ++z)
      for (std::int64_t y = 0; y < 40; ++y)
        for (std::int64_t x = 0; x < 40; ++x) {
          hu(z, y, x) = x >= 20 && y >= 20 && z >= 20 ? 400 : -1000;
          const bool inside = x >= 10 && x < 36 && y >= 10 && y < 36 && z >= 10 && z < 36;
          label(z, y, x) = static_cast<std::uint8_t>(is_labelled && inside ? 1 + (x >= 23) : 0);
        }
  }
  Picture picture() const { return render_labels({1, 1, 2}, values.span(), labels.span(), {-1000.0F, 400.0F}); }
};

TEST(LabelPreview, ShowsThreeSlicesAsRadiologistsSeeThem) {
  const Picture picture = Scene(false).picture();
  // 256 rows for 80 mm: panels of 128 x 128, 256 x 128 and 256 x 128, four pixels around each.
  ASSERT_EQ(picture.rows, 264);
  ASSERT_EQ(picture.columns, 4 + 3 * 132);
  const Colour white{255, 255, 255}, black{0, 0, 0};
  const std::int64_t lefts[] = {4, 136, 268};
  const std::array<std::int64_t, 3> bright[] = {{132 + 32, 96, 0}, {4 + 64, 96, 0}, {4 + 64, 96, 0}};  // row, column
  for (int panel = 0; panel < 3; ++panel) {
    const std::int64_t left = lefts[panel], row = bright[panel][0], column = bright[panel][1];
    EXPECT_EQ(pixel(picture, row, left + column), white) << panel;
    EXPECT_EQ(pixel(picture, row, left + 127 - column), black) << panel;
    EXPECT_EQ(pixel(picture, 263 - row, left + column), black) << panel;
  }
  EXPECT_EQ(pixel(picture, 1, 1), (Colour{20, 20, 20}));
}

TEST(LabelPreview, LaysColoursOverTheImageFullAtTheirEdges) {
  const Picture picture = Scene(true).picture();
  const auto has = [&](const Colour& wanted) {
    std::int64_t count = 0;
    for (std::int64_t row = 0; row < picture.rows; ++row)
      for (std::int64_t column = 0; column < picture.columns; ++column) count += pixel(picture, row, column) == wanted;
    return count;
  };
  EXPECT_GT(has({230, 159, 0}), 100);    // the edge of 1
  EXPECT_GT(has({86, 180, 233}), 100);   // of 2
  EXPECT_GT(has({92, 64, 0}), 100);      // 1 over air
  EXPECT_GT(has({187, 225, 246}), 100);  // 2 over bone
  EXPECT_EQ(pixel(picture, 132 + 32, 4 + 96), (Colour{187, 225, 246}));
}

TEST(LabelPreview, IsWrittenAsPng) {
  const test::Scratch scratch;
  const std::filesystem::path path = scratch / "labels.png";
  write_png(path, Scene(true).picture());
  EXPECT_GT(std::filesystem::file_size(path), 500U);
  EXPECT_THROW(write_png(scratch / "labels.jpg", Scene(true).picture()), Error);
}

TEST(LabelPreview, NothingCannotBeDrawn) {
  const VoxelArray none(VoxelType::uint8, {0, 4, 4});
  const Array<std::uint8_t, 3> labels({0, 4, 4}), other({1, 4, 4});
  EXPECT_THROW(render_labels({1, 1, 1}, none.span(), labels.span(), {}), Error);
  EXPECT_THROW(render_labels({1, 1, 1}, none.span(), other.span(), {}), Error);
}

}  // namespace
}  // namespace kiban::io
