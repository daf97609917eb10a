#pragma once
#include <span>
#include <vector>

#include "kernels/ct/geometry.hpp"

namespace kiban::ct {

/// A solid ellipsoid of even density. Point x is inside where |D^-1 Ry(angle) (x - centre)| <= 1, with D =
/// diag(semi-axes) and Ry the rotation about y: its own axes are those of the world turned by -angle about y, as in
/// RTK.
struct Ellipsoid {
  Vec3 semi_axes_mm{1, 1, 1};
  Vec3 centre_mm{};
  double angle_deg = 0;  ///< about y
  double density = 0;    ///< mm^-1; where ellipsoids overlap, densities add up
};

/// The three-dimensional Shepp-Logan head in RTK's frame (y along the patient): ten ellipsoids in a cube of half edge
/// `scale_mm`, densities 2, -0.98, -0.02 ... times `density_scale` mm^-1 (RTK's values with 1; about water with 0.02).
/// Source: Kak & Slaney 1988, table 3.1, made three-dimensional as in RTK.
std::vector<Ellipsoid> shepp_logan(double scale_mm, double density_scale = 1);

/// Exact line integrals:  projections[k,row,column] = sum_e density_e |ray(first + k, row, column) in ellipsoid e|
///   projections [n,row,column]  no unit; rays run from the source through the pixel and beyond, and without end both
///                               ways where they are parallel
/// Errors: input (an ellipsoid is not finite, or a semi-axis not positive; the geometry) · internal (shapes).
/// Cost: pixels x ellipsoids square roots. Workspace: 96 bytes a view and ellipsoid. Synchronous.
/// Exactness: relative L2 <= 1e-6 of double; independent of threads.
/// Source: the discriminant of the quadratic in the ray's parameter, in the frame where the ellipsoid is the unit ball.
void project_ellipsoids(Stream& stream, std::span<const Ellipsoid> ellipsoids, const Geometry& geometry,
                        std::int64_t first, Span<float, 3> projections);

/// Density at the centre of each voxel:  volume[z,y,x] = sum of density_e over the ellipsoids e that contain it
///   volume [z,y,x] mm^-1
/// Errors: as project_ellipsoids. Cost: voxels x ellipsoids. Asynchronous on a GPU. Exactness: membership in float, so
/// a centre within 1e-6 of a surface may fall on either side.
void rasterise_ellipsoids(Stream& stream, std::span<const Ellipsoid> ellipsoids, const Grid& grid,
                          Span<float, 3> volume);

}  // namespace kiban::ct
