#pragma once
#include "engine/parameters.hpp"
#include "kernels/core/volume.hpp"

namespace kiban::engine {

/// How the patient lay in the scanner: `patient-position`, with "none" where the scanner's frame is to be kept.
Parameter patient_position_parameter(std::string help);

/// The rotation from the scanner's frame (IEC 61217: x to the right of one who faces the gantry, y into it, z up) to
/// the patient's (DICOM's LPS: x to the left, y to the back, z to the head), determinant +1; identity for "none".
///   position   DICOM's (0018,5100): HFS, HFP, HFDR, HFDL, FFS, FFP, FFDR, FFDL, or none
/// Errors: internal (another text).
Mat3 patient_from_scanner(const std::string& position);

Mat3 transposed(const Mat3& matrix);

/// The same voxels, in a frame that `rotation` leads to.
Grid rotated(const Mat3& rotation, const Grid& grid);

}  // namespace kiban::engine
