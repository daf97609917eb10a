#pragma once
#include <cstdint>
#include <span>

#include "kernels/ct/geometry.hpp"

namespace kiban::ct {

/// The views that vectors of the ASTRA toolbox describe (`cone_vec`, `parallel3d_vec`): source or ray direction, centre
/// of the panel, u (pixel (0,0) to (0,1)) and v (to (1,0)), in the frame that the volume is to have.
///   vectors   [view,12]       mm; the ray's length means nothing
///   parallel                  the first three are the direction of rays, else the source
///   rows, columns             pixels of the panel
///   axis      x, y, z         of the rotation, through the origin, any length; z in ASTRA's own geometries
/// Errors: input (not 12 numbers a view, none, not finite, a vector without length, a panel without pixels).
/// Source: the ASTRA toolbox' documentation, "3D Geometries".
Geometry geometry_from_astra(std::span<const double> vectors, bool parallel, std::int64_t rows, std::int64_t columns,
                             const Vec3& axis);

}  // namespace kiban::ct
