#pragma once
#include <limits>
#include <vector>

namespace kiban {

/// The nine parameters of one view in RTK's convention (IEC 61217, rotation about y): Rit et al., "The Reconstruction
/// Toolkit (RTK)", J. Phys. Conf. Ser. 489 (2014), and RTK's "3D circular projection geometry" document.
/// In the frame rotated by R = Rz(-in_plane) Rx(-out_of_plane) Ry(-gantry) the source is at
/// (source_offset_x, source_offset_y, sid) and the detector's point (s, t) mm at
/// (s + projection_offset_x, t + projection_offset_y, sid - sdd). sdd = 0 means parallel rays along -z of that frame.
struct CircularView {
  double source_to_isocentre_mm = 0;
  double source_to_detector_mm = 0;
  double gantry_angle_deg = 0;
  double projection_offset_x_mm = 0;
  double projection_offset_y_mm = 0;
  double out_of_plane_angle_deg = 0;
  double in_plane_angle_deg = 0;
  double source_offset_x_mm = 0;
  double source_offset_y_mm = 0;
  /// Jaws, mm on the detector, measured outwards from its origin: pixels with -u_inf <= u <= u_sup are lit (likewise
  /// v).
  struct Collimation {
    double u_inf_mm = std::numeric_limits<double>::max();
    double u_sup_mm = std::numeric_limits<double>::max();
    double v_inf_mm = std::numeric_limits<double>::max();
    double v_sup_mm = std::numeric_limits<double>::max();
    bool operator==(const Collimation&) const = default;
  } collimation{};
  bool operator==(const CircularView&) const = default;
};

/// One entry a view, in the order of the projections.
using CircularGeometry = std::vector<CircularView>;

}  // namespace kiban
