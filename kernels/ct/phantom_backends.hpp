#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/ct/phantom.hpp"

namespace kiban::ct {

/// A polynomial of degree two in pixel distances (u, v):  c0 + c1 u + c2 v + c3 u^2 + c4 u v + c5 v^2.
struct Quadratic {
  float c[6];
};

/// One ellipsoid as one view sees it. In the frame where the ellipsoid is the unit ball, a ray is p + t d and its chord
/// lies where |p + t d| <= 1. Polynomials are about the pixel (u, v) where the ellipsoid's centre falls, so that the
/// discriminant keeps its digits however small and far the ellipsoid is.
struct EllipsoidShadow {
  float u, v;
  Quadratic discriminant;  ///< |d|^2 - |p x d|^2, positive where the ray hits
  Quadratic speed;         ///< |d|^2
  Quadratic ahead;         ///< -p.d, positive where the middle of the chord lies ahead of the source; 1 if parallel
  float density;
  float holds_source;  ///< 1 where the source is inside, else 0
};

/// |ray|^2 in mm^2 between source and pixel, about the pixel (u, v).
struct RayLength {
  float u, v;
  Quadratic squared;
};

/// Voxel index -> frame in which the ellipsoid is the unit ball:  b = origin + x dx + y dy + z dz.
struct UnitBall {
  float origin[3], dx[3], dy[3], dz[3];
  float density;
};

/// projections[k,row,column] = |ray| sum_e chord(shadows[k,e])
KIBAN_BACKENDS(project_shadows, Stream& stream, Span<const EllipsoidShadow, 2> shadows,
               Span<const RayLength, 1> lengths, Span<float, 3> projections)

/// volume[z,y,x] = sum of the densities of the balls that hold the voxel's centre
KIBAN_BACKENDS(rasterise_balls, Stream& stream, Span<const UnitBall, 1> balls, Span<float, 3> volume)

}  // namespace kiban::ct
