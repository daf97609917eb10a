#pragma once
#include <cstdint>
#include <vector>

#include "kernels/core/circular_geometry.hpp"
#include "kernels/core/vec.hpp"
#include "kernels/core/volume.hpp"

namespace kiban::ct {

/// One view: all lengths in mm, in the world frame (RTK's: IEC 61217).
struct View {
  bool parallel = false;
  Vec3 source{};    ///< the focal spot; for parallel rays the unit direction in which they travel
  Vec3 detector{};  ///< centre of the panel: of pixel ((columns-1)/2, (rows-1)/2)
  Vec3 u{};         ///< from a pixel to the next in its row
  Vec3 v{};         ///< from a pixel to the next in its column
};

/// The panel as the projection stack describes it: pixel (0,0) lies at (first_u_mm, first_v_mm) of the detector's own
/// frame.
struct Panel {
  std::int64_t rows = 0, columns = 0;
  double spacing_u_mm = 1, spacing_v_mm = 1;
  double first_u_mm = 0, first_v_mm = 0;
  static Panel centred(std::int64_t rows, std::int64_t columns, double spacing_u_mm, double spacing_v_mm);
};

/// All views of a scan.
struct Geometry {
  std::vector<View> views;
  std::int64_t rows = 0, columns = 0;
  Vec3 axis{0, 1, 0};  ///< of the rotation, through the world's origin; unit vector
};

/// The views that nine parameters each and a panel describe.
/// Errors: input (no view; a parameter is not finite; sid or sdd negative, or sid zero; parallel and divergent views
/// mixed).
Geometry geometry_from_circular(const CircularGeometry& circular, const Panel& panel);

/// `views` views from `first_angle_deg` over `arc_deg`, the last one excluded, nothing tilted or offset.
CircularGeometry circular_scan(std::int64_t views, double sid_mm, double sdd_mm, double arc_deg = 360,
                               double first_angle_deg = 0);

/// Nearest pixel (index u, v, may be fractional) where the ray through world point `point` meets the panel, and its
/// perspective `w`: 1 at the isocentre, larger further from the source, 0 or less behind it; 1 for parallel rays.
struct PanelPoint {
  double u, v, w;
};

/// Views neither see nor add to what lies this close to the plane of their source, or behind it: where not w >
/// kLeastPerspective. Next to the source weights go to infinity, and u and v to anything; nothing that is scanned lies
/// within a ten-thousandth of the way to the isocentre, and far more than a float's rounding does.
inline constexpr double kLeastPerspective = 1e-4;

/// 3x4, row-major: index (x, y, z, 1) -> (u w, v w, w).
struct ProjectionMatrix {
  double m[3][4];
  PanelPoint operator()(double x, double y, double z) const;
};

/// Maps world mm to pixels of view k. Errors: input (the panel is seen edge-on, or the isocentre lies in the source's
/// plane).
ProjectionMatrix world_to_panel(const Geometry& geometry, std::int64_t view);
/// Maps voxel indices of `grid` to pixels of view k.
ProjectionMatrix voxel_to_panel(const Geometry& geometry, std::int64_t view, const Grid& grid);

/// Radians that each view stands for: half the angle between its two neighbours about the axis, as RTK's
/// GetAngularGaps. Divergent views share a full turn (their gaps sum to 2 pi); parallel ones a half turn (pi), as a ray
/// and its reverse are the same line: angles are then taken modulo pi. Errors: input (fewer than two views).
std::vector<double> angular_gaps(const Geometry& geometry);

}  // namespace kiban::ct
