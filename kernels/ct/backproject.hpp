#pragma once
#include <span>

#include "kernels/ct/geometry.hpp"
#include "kernels/ct/panel_block.hpp"
#include "kernels/ct/scan_volumes.hpp"

namespace kiban::ct {

/// How a panel is read between its pixels. `exact` interpolates in float; `texture` lets the texture units of a GPU do
/// it, with fractions of 8 bits: faster, and 3e-4 relative L2 off. A CPU is always exact.
enum class Interpolation { exact, texture };

/// Volume axis (0 = x, 1 = y, 2 = z) along which neither u nor w changes in any of the views, or -1: columns along it
/// are walked with one division each (the fast path). Over the whole column u may change by 1e-6 pixels at the
/// isocentre, and w by 1e-10.
///   volume [z,y,x]   the shape
int column_axis(std::span<const ProjectionMatrix> matrices, const Shape<3>& volume);

/// Voxel-driven backprojection:  volume[z,y,x] += sum_k  w_k^-2 p_k(u_k, v_k),  (u w, v w, w)_k = matrices[k] (x,y,z,1)
///   block     panels of `matrices.size()` (<= PanelBlock::kViews) filtered views of each scan, in its first slots;
///             bilinear, zero outside; views with not w > kLeastPerspective add nothing. Lines may be detector columns
///             on a CPU and where there is a `column_axis`, only.
///   matrices  [view]      voxel index -> panel, see voxel_to_panel
///   volume    [z,y,x]     of each scan: same unit as the panels, accumulated in place
/// Errors: internal (shapes, layout) · device (memory elsewhere) · input (the volume lies 1e30 pixels or more off a
/// panel; a GPU's limits: panels of 2^22 rows and columns and 2^31 pixels). Values that are not finite, and sums beyond
/// what a float holds, are passed on as they are.
/// Cost: views x voxels updates. Workspace: 1 MiB a thread on a CPU; a layered array of the block's size with
/// textures. On a GPU asynchronous. Exactness: relative L2 <= 1e-5 of double (texture 1e-3; on a GPU both up to three
/// times that where unmasked voxels lie beyond the panel or the source); bytes independent of threads and of the other
/// scans. The views of a block are summed first, in order, and their sum is added once: how a scan is cut into blocks
/// is part of the result. Source: Feldkamp, Davis, Kress 1984, eq. 26; Treibig et al. 2013 for the column walk.
void backproject(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                 Interpolation interpolation, ScanVolumes volumes);
inline void backproject(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                        Interpolation interpolation, Span<float, 3> volume) {
  backproject(stream, block, matrices, interpolation, ScanVolumes(&volume, 1));
}

/// Whether `backproject` into a volume of this shape is faster with detector columns contiguous: on a CPU that has
/// columns to walk, and where they are long enough to pay for blending two detector columns each.
bool wants_columns(Device device, std::span<const ProjectionMatrix> matrices, const Shape<3>& volume);

}  // namespace kiban::ct
