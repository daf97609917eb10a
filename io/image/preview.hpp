#pragma once
#include <filesystem>
#include <optional>

#include "io/image/png.hpp"
#include "kernels/core/volume.hpp"

namespace kiban::io {

/// The values that are shown black and white. Where absent: the 0.5 % and the 99.5 % quantile of the slices' finite
/// values.
struct GreyRange {
  std::optional<float> black, white;
};

/// Three orthogonal slices through the volume's centre side by side, all at one scale in mm: across y (x to the right,
/// z down), across z (x to the right, y up), across x (z to the right, y up); y is the rotation axis of RTK's frame.
/// Axes are the world's, or for an oblique grid those of the array that are nearest to them. Where an axis has so few
/// slices that two of the pictures would be slivers, there is one: the slice across that axis.
///   values [z,y,x]   host memory
/// Errors: input (no voxel, or no finite value).
Picture render_preview(const Grid& grid, Span<const float, 3> values, const GreyRange& range = {});

/// The picture as a PNG. Errors: those of render_preview · input (not named .png, or cannot be written).
void write_preview(const std::filesystem::path& path, const Grid& grid, Span<const float, 3> values,
                   const GreyRange& range = {});

}  // namespace kiban::io
