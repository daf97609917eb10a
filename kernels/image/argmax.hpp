#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/image/resample.hpp"

namespace kiban::image {

/// The class with the largest logit, where logits on one grid are interpolated to another and never stored there:
///   labels[p] = argmax over c of linear(logits[c], p), of equal ones the smallest c
///   logits [class,z,y,x]   at most 65536 classes; what is not a number is no class's largest, and where no class has a
///                          number the label is 0
///   on_logits              where the labels' voxels lie on the logits' grid
///   outside                the label of voxels more than half a voxel beyond the outermost centres; none: what the
///                          nearest edge holds
///   labels [z,y,x]         a label type that holds the last class; all voxels are written
/// Errors: input (no class, too many, a label type that does not hold them) · device.
/// Cost: classes x voxels x 8 taps; on aligned grids (see AlignedSampling) the logits are read as often as the result
/// has slices for one of theirs. Workspace: some rows a thread (CPU), the taps (GPU). Synchronous.
/// Exactness: sums in float, so that logits closer than 1e-6 of their size may be told apart otherwise elsewhere.
/// Source: what nnU-Net exports, resampling of logits before the argmax, without their volume.
void argmax_resample(Stream& stream, Span<const float, 4> logits, const Sampling& on_logits,
                     std::optional<std::uint32_t> outside, const VoxelSpan& labels);

/// The backends, and how a CPU does it on an aligned grid: rows at a time.
namespace cpu {
void argmax_along(Stream& stream, Span<const float, 4> logits, const AlignedImage& first_class, const TapsOfAxes& taps,
                  std::uint32_t outside, const VoxelSpan& labels);
}
KIBAN_BACKENDS(argmax_anywhere, Stream& stream, Span<const float, 4> logits, const Sampling& on_logits,
               const ResampleRule& rule, const VoxelSpan& labels)

}  // namespace kiban::image
