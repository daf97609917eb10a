#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/core/array.hpp"

namespace kiban::ct {

/// Rows of a panel from which the centre of rotation is best found: up to four, spread over its middle half.
std::vector<std::int64_t> rotation_centre_rows(std::int64_t rows);

/// The column on which the axis of a parallel-beam scan projects, in pixels (column 0 has its centre at 0).
///   line_integrals [view,row,column]  no unit, of a few rows; host memory
///   angles_deg     [view]             over a half turn at least, in any order
/// First the shift at which views half a turn apart mirror each other best; then trial reconstructions about it, of
/// which the true centre has the least total absolute value (wrong ones add negative values outside what was added
/// inside). Where the object is wider than the panel, that value falls with whatever leaves the sum; then the trials
/// are made of the rows' details alone, and the total is taken as a share of the root of the total square.
/// Errors: input (shapes, fewer than 8 views or columns, views that do not span a half turn, nothing but air, too much
/// noise, an object wider than the panel without details in it).
/// Cost: about 30 reconstructions of 96 x 96 x rows voxels and 12 of 256 x 256 x rows, from at most 400 views; on the
/// CPU whatever the stream's device, with its threads.
/// Exactness: 0.1 pixel on clean data. The axis must lie in the middle half of the panel.
/// Source: Donath, Beckmann, Schreyer, J. Opt. Soc. Am. A 23 (2006), metric Q_IA.
double find_rotation_centre(const Stream& stream, Span<const float, 3> line_integrals,
                            std::span<const double> angles_deg);

}  // namespace kiban::ct
