#pragma once
#include <cstdint>
#include <string>

#include "kernels/core/vec.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::segment {

enum LungLabel : std::uint8_t { kLeftLung = 1, kRightLung = 2, kAirways = 3 };

/// The lungs in a CT: air below -400 HU in the patient, in pieces of 20 mL and more of which at most 35 % are gas
/// (below -940 HU), which parts them from bowel and stomach; without the airways, closed over vessels by a ball of 5
/// mm, parted into left and right. Trachea and main bronchi: the largest upright tube of gas (below -920 HU, wider than
/// 4 mm) near the middle, and above the middle of the lungs; with lobar bronchi as far as they are so wide.
///   hu, spacing_mm     as `body` has them
///   labels [z,y,x]     1 left, 2 right, 3 trachea and main bronchi; all voxels are written
/// Returns why there are none, or nothing where there are.
/// Where it fails: emphysema of more than a third of a lung (taken for gas), consolidated or collapsed parts and masses
/// (left out), lungs of less than 20 mL in the volume, a patient on the side. Where lungs are one piece they are parted
/// where it is narrowest, which need not be the pleura.
/// Errors, cost, workspace: as `body`, and as much again; twice 4 bytes a voxel where one piece is parted. Synchronous.
/// Source: threshold, airways out, parting and smoothing in the order of Hu, Hoffman and Reinhardt, "Automatic lung
/// segmentation for accurate quantitation of volumetric X-ray CT images", IEEE Trans. Medical Imaging 20 (2001).
std::string lungs(Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> labels);

}  // namespace kiban::segment
