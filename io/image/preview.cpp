#include "io/image/preview.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

constexpr std::uint8_t background = 20;
constexpr std::int64_t gap = 4, least_pixels = 256, most_pixels = 768;
constexpr double low_quantile = 0.005, high_quantile = 0.995;
// An axis is sparse with fewer slices than this, and with this many times fewer than another.
constexpr std::int64_t sparse_slices = 16, sparse_ratio = 8;

// An axis of the array (0 = x) on which a world axis lies.
struct Axis {
  std::size_t index = 0;
  bool reversed = false;  // the index grows against the world axis
};

// The array's axis nearest to each world axis, none twice.
std::array<Axis, 3> axes_of_world(const Grid& grid) {
  std::array<Axis, 3> axes;
  std::array<bool, 3> taken{};
  for (std::size_t world = 0; world < 3; ++world) {
    double best = -1;
    for (std::size_t index = 0; index < 3; ++index) {
      const double component = grid.direction[world][index];
      if (taken[index] || std::abs(component) <= best) continue;
      best = std::abs(component);
      axes[world] = {index, component < 0};
    }
    taken[axes[world].index] = true;
  }
  return axes;
}

struct Slicer {
  const float* values;
  std::array<std::int64_t, 3> count, stride;  // by axis of the array, 0 = x
  Vec3 spacing;

  Slicer(const Grid& grid, Span<const float, 3> span) : values(span.host().data), spacing(grid.spacing) {
    count = {span.extent(2), span.extent(1), span.extent(0)};
    stride = {1, count[0], count[0] * count[1]};
  }
  double length_mm(std::size_t axis) const { return spacing[axis] * static_cast<double>(count[axis]); }
};

// One slice of the picture: `across` is fixed at its middle, `right` and `down` are the array's axes of its columns and
// rows.
struct Panel {
  Axis right, down;
  std::size_t across = 0;
  std::int64_t rows = 0, columns = 0;
};

// A sparse axis that would make two of three slices slivers, or 3.
std::size_t sparse_axis(const Slicer& slicer) {
  const auto fewest = std::min_element(slicer.count.begin(), slicer.count.end());
  const std::int64_t most = *std::max_element(slicer.count.begin(), slicer.count.end());
  const bool sparse = *fewest < sparse_slices && *fewest * sparse_ratio <= most;
  return sparse ? static_cast<std::size_t>(fewest - slicer.count.begin()) : 3;
}

std::vector<Panel> panels_of(const Grid& grid, const Slicer& slicer) {
  const auto [x, y, z] = axes_of_world(grid);
  const auto upwards = [](Axis axis) { return Axis{axis.index, !axis.reversed}; };
  std::vector<Panel> panels{{x, z, y.index}, {x, upwards(y), z.index}, {z, upwards(y), x.index}};
  if (const std::size_t sparse = sparse_axis(slicer); sparse < 3)
    std::erase_if(panels, [&](const Panel& panel) { return panel.across != sparse; });

  // Every voxel gets a pixel; a small volume is enlarged, a large one reduced.
  double longest = 0, tallest = 0, finest = slicer.spacing[0];
  for (const Panel& panel : panels) {
    tallest = std::max(tallest, slicer.length_mm(panel.down.index));
    longest = std::max({longest, slicer.length_mm(panel.down.index), slicer.length_mm(panel.right.index)});
    finest = std::min({finest, slicer.spacing[panel.down.index], slicer.spacing[panel.right.index]});
  }
  const double pixels_per_mm = std::min(std::max(1 / finest, least_pixels / tallest), most_pixels / longest);
  const auto pixels = [&](std::size_t axis) {
    return std::max<std::int64_t>(1, std::llround(slicer.length_mm(axis) * pixels_per_mm));
  };
  for (Panel& panel : panels) {
    panel.rows = pixels(panel.down.index);
    panel.columns = pixels(panel.right.index);
  }
  return panels;
}

// Between which voxels of an axis a pixel lies, and how far from the first.
struct Between {
  std::int64_t first, second;
  float weight;
};

std::vector<Between> sample_axis(const Slicer& slicer, Axis axis, std::int64_t pixels) {
  std::vector<Between> between(static_cast<std::size_t>(pixels));
  const std::int64_t last = slicer.count[axis.index] - 1;
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
    const double position = (static_cast<double>(pixel) + 0.5) / static_cast<double>(pixels);
    const double at = (axis.reversed ? 1 - position : position) * static_cast<double>(last + 1) - 0.5;
    const auto first = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(at)), 0, last);
    const std::int64_t stride = slicer.stride[axis.index];
    between[static_cast<std::size_t>(pixel)] = {
        first * stride, std::min(first + 1, last) * stride,
        static_cast<float>(std::clamp(at - static_cast<double>(first), 0., 1.))};
  }
  return between;
}

const float* middle_slice(const Slicer& slicer, const Panel& panel) {
  return slicer.values + slicer.count[panel.across] / 2 * slicer.stride[panel.across];
}

struct Window {
  float low, high;
  std::uint8_t grey(float value) const {
    if (!std::isfinite(value)) return 0;
    if (high <= low) return 128;
    // In double: the difference of two finite floats may be infinite.
    const double share = (static_cast<double>(value) - low) / (static_cast<double>(high) - low);
    return static_cast<std::uint8_t>(std::lround(255 * std::clamp(share, 0., 1.)));
  }
};

Window window_of(const Slicer& slicer, const std::vector<Panel>& panels, const GreyRange& range) {
  std::vector<float> values;
  for (const Panel& panel : panels) {
    const float* const slice = middle_slice(slicer, panel);
    const std::size_t right = panel.right.index, down = panel.down.index;
    for (std::int64_t i = 0; i < slicer.count[down]; ++i) {
      for (std::int64_t j = 0; j < slicer.count[right]; ++j) {
        const float value = slice[i * slicer.stride[down] + j * slicer.stride[right]];
        if (std::isfinite(value)) values.push_back(value);
      }
    }
  }
  if (values.empty())
    throw Error(ErrorCode::input, "a preview of a volume without one finite value cannot be drawn; check the volume");
  const auto quantile = [&](double share) {
    const auto at = values.begin() + std::llround(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  const float low = quantile(low_quantile);
  return {range.black.value_or(low), range.white.value_or(quantile(high_quantile))};
}

void draw(const Slicer& slicer, const Panel& panel, const Window& window, std::int64_t top, std::int64_t left,
          Picture& picture) {
  const float* const slice = middle_slice(slicer, panel);
  const std::vector<Between> rows = sample_axis(slicer, panel.down, panel.rows);
  const std::vector<Between> columns = sample_axis(slicer, panel.right, panel.columns);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto pixel = picture.pixels.begin() + (top + static_cast<std::int64_t>(i)) * picture.columns + left;
    for (const Between& column : columns) {
      const auto along = [&](std::int64_t row) {
        return std::lerp(slice[row + column.first], slice[row + column.second], column.weight);
      };
      *pixel++ = window.grey(std::lerp(along(rows[i].first), along(rows[i].second), rows[i].weight));
    }
  }
}

}  // namespace

Picture render_preview(const Grid& grid, Span<const float, 3> values, const GreyRange& range) {
  if (values.shape() != grid.shape) throw Error(ErrorCode::internal, "a preview's grid and values differ in shape");
  if (values.size() == 0)
    throw Error(ErrorCode::input, "a preview of a volume without voxels cannot be drawn; check the volume");
  const Slicer slicer(grid, values);
  const std::vector<Panel> panels = panels_of(grid, slicer);
  const Window window = window_of(slicer, panels, range);
  Picture picture;
  picture.columns = gap;
  for (const Panel& panel : panels) {
    picture.rows = std::max(picture.rows, panel.rows + 2 * gap);
    picture.columns += panel.columns + gap;
  }
  picture.pixels.assign(static_cast<std::size_t>(picture.rows * picture.columns), background);
  std::int64_t left = gap;
  for (const Panel& panel : panels) {
    draw(slicer, panel, window, (picture.rows - panel.rows) / 2, left, picture);
    left += panel.columns + gap;
  }
  return picture;
}

void write_preview(const std::filesystem::path& path, const Grid& grid, Span<const float, 3> values,
                   const GreyRange& range) {
  require_preview_name(path);
  write_png(path, render_preview(grid, values, range));
}

}  // namespace kiban::io
