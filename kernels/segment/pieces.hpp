#pragma once
#include <cstdint>
#include <vector>

#include "kernels/core/vec.hpp"
#include "kernels/image/components.hpp"
#include "kernels/image/label_statistics.hpp"

namespace kiban::segment {

using Mask = Array<std::uint8_t, 3>;

/// mask = 1 where low <= hu < high.
void mark_between(Stream& stream, const ConstVoxelSpan& hu, double low, double high, Span<std::uint8_t, 3> mask);

/// Voxels that make so many mL.
std::int64_t voxels_of(double ml, const Vec3& spacing_mm);

/// Numbers pieces that touch across faces, of equal labels, from 1 on in raster order: those of at least
/// `least_voxels`, at most the 255 largest; the rest becomes 0. Returns how many there are.
std::size_t number_pieces(Stream& stream, Span<std::uint8_t, 3> labels, std::int64_t least_voxels);

/// Each number becomes `value_of[number - 1]`.
void repaint(Stream& stream, Span<std::uint8_t, 3> numbers, const std::vector<std::uint32_t>& value_of);

/// Background that does not reach the border of its axial slice becomes 1.
void fill_slices(Stream& stream, Span<std::uint8_t, 3> mask);

}  // namespace kiban::segment
