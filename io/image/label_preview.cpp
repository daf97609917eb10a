#include "io/image/label_preview.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

using Colour = std::array<int, 3>;
// Okabe and Ito, "Color universal design" (2008).
constexpr Colour palette[] = {{230, 159, 0}, {86, 180, 233}, {0, 158, 115},  {240, 228, 66},
                              {0, 114, 178}, {213, 94, 0},   {204, 121, 167}};
constexpr double opacity = 0.4;
constexpr std::uint8_t background = 20;
constexpr std::int64_t gap = 4, least_pixels = 256, most_pixels = 768;

// A slice: the axes of the array (0 = x) along its columns and rows, and which way the rows run.
struct Plane {
  std::size_t right, down, across;
  bool upwards;
};
constexpr Plane planes[] = {{0, 1, 2, false}, {0, 2, 1, true}, {1, 2, 0, true}};

struct Slices {
  ConstVoxelSpan values;
  const std::uint8_t* labels;
  std::array<std::int64_t, 3> count, stride, through;
  Vec3 spacing_mm;

  double value(std::int64_t at) const {
    return with_voxel_type(values.type(),
                           [&]<class T>() { return static_cast<double>(static_cast<const T*>(values.data())[at]); });
  }
  double length_mm(std::size_t axis) const { return spacing_mm[axis] * static_cast<double>(count[axis]); }
};

// The middle of the box of what is labelled.
std::array<std::int64_t, 3> middle_of(const Slices& slices) {
  std::array<std::int64_t, 3> first = slices.count, last{-1, -1, -1};
  std::int64_t at = 0;
  for (std::int64_t z = 0; z < slices.count[2]; ++z)
    for (std::int64_t y = 0; y < slices.count[1]; ++y)
      for (std::int64_t x = 0; x < slices.count[0]; ++x, ++at) {
        if (slices.labels[at] == 0) continue;
        const std::array<std::int64_t, 3> here{x, y, z};
        for (std::size_t a = 0; a < 3; ++a) {
          first[a] = std::min(first[a], here[a]);
          last[a] = std::max(last[a], here[a]);
        }
      }
  std::array<std::int64_t, 3> middle;
  for (std::size_t a = 0; a < 3; ++a) middle[a] = last[a] < 0 ? slices.count[a] / 2 : (first[a] + last[a]) / 2;
  return middle;
}

GreyRange range_of(const Slices& slices, GreyRange range) {
  if (range.black && range.white) return range;
  double least = std::numeric_limits<double>::infinity(), largest = -least;
  for (const Plane& plane : planes)
    for (std::int64_t j = 0; j < slices.count[plane.down]; ++j)
      for (std::int64_t i = 0; i < slices.count[plane.right]; ++i) {
        const double value = slices.value(slices.through[plane.across] * slices.stride[plane.across] +
                                          j * slices.stride[plane.down] + i * slices.stride[plane.right]);
        if (!std::isfinite(value)) continue;
        least = std::min(least, value);
        largest = std::max(largest, value);
      }
  if (!range.black) range.black = static_cast<float>(least);
  if (!range.white) range.white = static_cast<float>(largest);
  return range;
}

void draw(const Slices& slices, const Plane& plane, const GreyRange& range, std::int64_t rows, std::int64_t columns,
          std::int64_t left, Picture& picture) {
  const auto index = [&](std::size_t axis, std::int64_t pixel, std::int64_t pixels) {
    return std::min(pixel * slices.count[axis] / pixels, slices.count[axis] - 1) * slices.stride[axis];
  };
  const std::int64_t slice = slices.through[plane.across] * slices.stride[plane.across];
  const auto place = [&](std::int64_t row, std::int64_t column) {
    const std::int64_t down = plane.upwards ? rows - 1 - row : row;
    return slice + index(plane.down, down, rows) + index(plane.right, column, columns);
  };
  const std::int64_t top = (picture.rows - rows) / 2;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t at = place(row, column);
      const double value = slices.value(at), span = double{*range.white} - double{*range.black};
      const double share = std::isfinite(value) && span > 0 ? std::clamp((value - *range.black) / span, 0., 1.) : 0;
      const std::uint8_t label = slices.labels[at];
      const bool is_edge = label != 0 && ((row > 0 && slices.labels[place(row - 1, column)] != label) ||
                                          (column > 0 && slices.labels[place(row, column - 1)] != label) ||
                                          (row + 1 < rows && slices.labels[place(row + 1, column)] != label) ||
                                          (column + 1 < columns && slices.labels[place(row, column + 1)] != label));
      const double weight = label == 0 ? 0 : is_edge ? 1 : opacity;
      std::uint8_t* const pixel =
          &picture.pixels[static_cast<std::size_t>(3 * ((top + row) * picture.columns + left + column))];
      for (std::size_t c = 0; c < 3; ++c) {
        const double colour = label == 0 ? 0 : palette[(label - 1U) % std::size(palette)][c];
        pixel[c] = static_cast<std::uint8_t>(std::lround((1 - weight) * 255 * share + weight * colour));
      }
    }
}

}  // namespace

Picture render_labels(const Vec3& spacing_mm, const ConstVoxelSpan& values, Span<const std::uint8_t, 3> labels,
                      const GreyRange& range) {
  if (values.shape() != labels.shape()) throw Error(ErrorCode::internal, "labels of another shape than their image");
  if (values.size() == 0)
    throw Error(ErrorCode::input, "a preview of a volume without voxels cannot be drawn; check the volume");
  const std::array<std::int64_t, 3> count{values.extent(2), values.extent(1), values.extent(0)};
  Slices slices{values, labels.host().data, count, {1, count[0], count[0] * count[1]}, {}, spacing_mm};
  slices.through = middle_of(slices);
  const GreyRange shown = range_of(slices, range);

  double longest = 0, tallest = 0;
  for (const Plane& plane : planes) {
    tallest = std::max(tallest, slices.length_mm(plane.down));
    longest = std::max({longest, slices.length_mm(plane.down), slices.length_mm(plane.right)});
  }
  const double finest = std::ranges::min(spacing_mm);
  const double pixels_per_mm = std::min(std::max(1 / finest, least_pixels / tallest), most_pixels / longest);
  const auto pixels = [&](std::size_t axis) {
    return std::max<std::int64_t>(1, std::llround(slices.length_mm(axis) * pixels_per_mm));
  };
  Picture picture;
  picture.channels = 3;
  picture.columns = gap;
  for (const Plane& plane : planes) {
    picture.rows = std::max(picture.rows, pixels(plane.down) + 2 * gap);
    picture.columns += pixels(plane.right) + gap;
  }
  picture.pixels.assign(static_cast<std::size_t>(3 * picture.rows * picture.columns), background);
  std::int64_t left = gap;
  for (const Plane& plane : planes) {
    draw(slices, plane, shown, pixels(plane.down), pixels(plane.right), left, picture);
    left += pixels(plane.right) + gap;
  }
  return picture;
}

}  // namespace kiban::io
