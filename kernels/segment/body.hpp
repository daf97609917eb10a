#pragma once
#include <cstdint>

#include "kernels/core/vec.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::segment {

/// Values of a CT, in HU. Half way between lung (-850) and soft tissue (50); and what only gas lies below.
constexpr double kTissueHu = -400, kGasHu = -940;

/// The patient in a CT: tissue that holds a ball of 10 mm radius, without what is thinner than 8 mm (table, blankets,
/// clothing), with all that it encloses in an axial slice (lungs, bowel gas). Lungs that the border of the volume cuts
/// belong to it where they are no gas.
///   hu [z,y,x]         any VoxelType, HU; axial slices: x to the patient's left, y to the back, z to the head. What is
///                      not a number is neither tissue nor lung
///   spacing_mm         along x, y, z
///   body [z,y,x]       1 in the patient, else 0; nothing where no tissue holds such a ball
/// Where it fails: a table that touches the skin over an area, parts thinner than 8 mm (ears, fingers), air that an arm
/// and the trunk enclose, mattresses or blankets denser than -400 HU.
/// Errors: input (a spacing that is none) · internal (shapes) · device. Cost: that of some ten distances and
/// components. Workspace: 10 bytes a voxel, and that of Components. Synchronous. The same on every device.
void body(Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> body);

}  // namespace kiban::segment
