#pragma once
#include <cstdint>
#include <vector>

namespace kiban::image {

/// What values between voxel centres are made of.
enum class Interpolation {
  nearest,  ///< the nearest voxel's; of two as near that of the larger index
  linear,   ///< of the two voxels around, along each axis; beyond the last centre as there
  cubic,    ///< the cubic B-spline through all voxels, mirrored at the first and the last
  labels    ///< the label with the largest linear weight; of equal ones the smallest label
};

/// Weighted sums along an axis:  out[i] = sum over k < count of weights[k outputs + i] in[first[i] + k]
/// for i in [begin, end), the outputs that lie inside of the input; weights of the others are 0.
struct Taps {
  std::int64_t inputs = 0, outputs = 0, count = 1;
  std::int64_t begin = 0, end = 0;
  std::vector<std::int32_t> first;  ///< [output]: 0 to inputs - count
  std::vector<float> weights;       ///< [tap, output]; their sum over the taps of an output is 1
};

/// Where outputs lie along an axis of the input: output i at voxel `scale` i + `offset`, rounded to 2^-20 of a voxel,
/// so that grids which differ by rounding only are the same.
struct AxisMap {
  std::int64_t inputs = 0, outputs = 0;
  double scale = 1, offset = 0;
  bool extend = false;  ///< outputs beyond the input are the nearest edge's; else inside are those up to half a voxel
                        ///< beyond the centres of the first and the last voxel
};

/// How voxels are weighted.
enum class TapKernel {
  nearest,
  linear,
  spline,   ///< four taps of a B-spline's coefficients
  cardinal  ///< 32 taps of the voxels themselves: what the coefficients' recursion comes to, up to 1e-8
};

/// The taps of an interpolation, smoothed before by a Gaussian of `sigma` voxels, mirrored at the first and last voxel
/// and cut at 4 sigma, as scipy.ndimage has it; 0: not smoothed. Cost: outputs x taps.
/// Source: Unser, Aldroubi and Eden, "B-spline signal processing", IEEE Trans. Signal Processing 41 (1993), part I,
/// eqs. 2.5 (spline) and 3.9 (its coefficients).
Taps taps_of(const AxisMap& map, TapKernel kernel, double sigma);

/// Coefficients of the B-spline through all voxels as weighted sums of them.
Taps coefficient_taps(std::int64_t voxels);

/// The position of an output, as above.
double position(const AxisMap& map, std::int64_t output);

}  // namespace kiban::image
