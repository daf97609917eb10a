#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/core/voxels.hpp"
#include "kernels/image/components.hpp"
#include "kernels/image/morphology.hpp"

namespace kiban::image {

/// The watershed of an image from markers: which marker's water reaches a voxel first, when each rises from its own
/// markers through neighbours, and the image is the height of the ground.
///   level(p) = min over paths from a marker to p of the largest value along the path, both ends included
///   steps(p) = 0 where that level is the voxel's own value and is reached from below or is a marker's, else one more
///              than at the neighbour it is reached from: how far the water has run at that level, over a plateau or
///              through a valley without a marker
/// A voxel takes the label of the neighbour that is reached first, by level, then by steps, then the smallest label: no
/// order of visits enters, so that every device and number of threads gives the same, and so does the image turned
/// over. Where all values differ this is Meyer's flooding.
///   image [z,y,x]    any VoxelType
///   markers [z,y,x]  uint8, uint16 or uint32; 0: no marker
///   mask [z,y,x]     water runs where it is not 0; empty: everywhere
///   from             least: water rises from low values; largest: sinks from high ones
///   labels [z,y,x]   the markers' type, other memory; 0 outside of the mask and where no water comes
/// Errors: input (a float that is not a number; another type of markers; 2^32 voxels or more) · internal (another
/// shape) · device. Cost: a reconstruction, and four looks of each voxel at its neighbours (CPU); tiles of 8^3 voxels
/// are done again until nothing changes (GPU). Workspace: 5 bytes a voxel, once (with a mask twice) the image and that
/// of a reconstruction (CPU); 8 bytes a voxel and relax_list_bytes (GPU). Synchronous. Exact. Source: Meyer, "Un
/// algorithme optimal pour la ligne de partage des eaux", RFIA 1991; level and steps as Lotufo and Falcao, "The ordered
/// queue and the optimality of the watershed approaches", ISMM 2000.
void watershed(Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& markers,
               Span<const std::uint8_t, 3> mask, Connectivity connectivity, Extreme from, const VoxelSpan& labels);

/// What the backends are given. `mask` may be empty.
struct WatershedProblem {
  ConstVoxelSpan image, markers;
  Span<const std::uint8_t, 3> mask;
  Connectivity connectivity;
  Extreme from;
};
KIBAN_BACKENDS(flood, Stream& stream, const WatershedProblem& problem, const VoxelSpan& labels)

}  // namespace kiban::image
