#pragma once
#include "kernels/ct/geometry.hpp"

namespace kiban::ct {

/// Joseph's line integrals of a volume:  projections[k,row,column] = step sum_s share(s) V(s, b(s), c(s))
/// The sum goes over the slices s of the index axis along which the ray of view first + k moves fastest; V is read
/// between the voxels of the slice bilinearly; step is the ray's length in mm from slice to slice, and share(s) the
/// part of [s - 1/2, s + 1/2] between the source (if any) and the pixel and inside the volume. As in RTK, the volume is
/// the box of its voxel centres; an axis of one voxel keeps that voxel's thickness. A volume of ones thus projects to
/// the length of each ray in the box.
///   volume       [z,y,x]         mm^-1, on `grid`, whose direction may be any
///   projections  [n,row,column]  no unit, overwritten
/// Errors: input (geometry; a grid that is not finite or whose axes lie in a plane; a side of 2^31 voxels or pixels) ·
/// internal (shapes) · device.
/// Cost: views x pixels x slices bilinear reads. Workspace: 32 bytes a pixel for four views. Synchronous.
/// Exactness: relative L2 <= 1e-5 of double; independent of threads and of how views are cut.
/// Source: Joseph, IEEE Trans. Med. Imaging 1 (1982), for three dimensions.
void joseph_project(Stream& stream, Span<const float, 3> volume, const Grid& grid, const Geometry& geometry,
                    std::int64_t first, Span<float, 3> projections);

/// The exact adjoint:  volume += A' projections, with the weights of `joseph_project` ray by ray. Every voxel gathers
/// from the rays that pass it, without atomics: bytes are independent of threads.
///   projections  [n,row,column]
///   volume       [z,y,x]         unit of the projections times mm, accumulated in place
/// Errors, workspace: as joseph_project. Cost: views x voxels x pixels under two voxels. Synchronous.
/// Exactness: |<Ax,y>/<x,A'y> - 1| <= 1e-6 with products in double.
void joseph_backproject(Stream& stream, Span<const float, 3> projections, const Geometry& geometry, std::int64_t first,
                        const Grid& grid, Span<float, 3> volume);

}  // namespace kiban::ct
