#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "kernels/core/volume.hpp"

namespace kiban::io {

/// 8-bit grey, row-major, row 0 on top.
struct GreyPicture {
  std::int64_t rows = 0, columns = 0;
  std::vector<std::uint8_t> pixels;
};

/// Three orthogonal slices through the volume's centre side by side at one scale in mm: across y (from above), across
/// z, across x; y, the rotation axis of RTK's frame, points up in the last two. Where an axis has too few slices for
/// that, the one slice across it. Grey runs from the 0.5 % to the 99.5 % quantile of the slices' finite values.
///   values [z,y,x]   host memory
/// Errors: input (no voxel, or no finite value).
GreyPicture render_preview(const Grid& grid, Span<const float, 3> values);

/// The picture as a PNG. Errors: those of render_preview · input (cannot be written).
void write_preview(const std::filesystem::path& path, const Grid& grid, Span<const float, 3> values);

}  // namespace kiban::io
