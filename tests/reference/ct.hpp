#pragma once
#include <span>
#include <vector>

#include "kernels/ct/geometry.hpp"
#include "kernels/ct/phantom.hpp"
#include "kernels/ct/ramp.hpp"

/// Computed tomography as the textbook writes it: double, one ray or voxel at a time, nothing shared with the kernels
/// but the structs that describe a case. Slow, for small cases.
namespace kiban::reference {

/// [view,row,column] or [z,y,x].
using Values = std::vector<double>;

/// World position of pixel (row, column), which may be fractional.
Vec3 pixel_position(const ct::Geometry& geometry, std::size_t view, double row, double column);

/// Where the ray through `point` meets the panel: by intersection of the line with the plane of the panel. `w` is the
/// depth of the point along the panel's normal as a share of the isocentre's.
ct::PanelPoint project(const ct::Geometry& geometry, std::size_t view, const Vec3& point);

/// Radians that each view stands for: half the way to the next view on either side.
std::vector<double> angular_gaps(const ct::Geometry& geometry);

/// Density times length of the chord, summed over the ellipsoids, from the source (if any) on.
double line_integral(std::span<const ct::Ellipsoid> ellipsoids, const Vec3& from, const Vec3& to, bool parallel);
Values line_integrals(std::span<const ct::Ellipsoid> ellipsoids, const ct::Geometry& geometry);
double density(std::span<const ct::Ellipsoid> ellipsoids, const Vec3& point);
Values rasterise(std::span<const ct::Ellipsoid> ellipsoids, const Grid& grid);

/// Where `w` is not above this, as next to the source, a view neither sees nor adds anything.
inline constexpr double kLeastPerspective = 1e-4;

/// FDK weight of one pixel; see FilterPlan.
double weight(const ct::Geometry& geometry, std::size_t view, double gap, double row, double column);

/// Taps g(0) ... g(padded-1) of the periodic kernel whose transform is the windowed ramp: by the definition of the
/// discrete Fourier transform.
std::vector<double> ramp_kernel(std::int64_t columns, double spacing_mm, ct::Window window, double cutoff);

/// Weights each view, then convolves each row with the ramp, sample by sample.
Values filter(const Values& projections, const ct::Geometry& geometry, ct::Window window, double cutoff);

/// sum_k w_k^-2 p_k(u_k, v_k) over views with w_k > kLeastPerspective, panels bilinear and zero outside their pixels.
Values backproject(const Values& filtered, const ct::Geometry& geometry, const Grid& grid);

/// Whether the voxel's centre falls on every panel, with w > kLeastPerspective.
std::vector<bool> field_of_view(const ct::Geometry& geometry, const Grid& grid);

struct FdkOptions {
  ct::Window window = ct::Window::ram_lak;
  double cutoff = 1;
  bool mask_field_of_view = true;
};
Values fdk(const Values& projections, const ct::Geometry& geometry, const Grid& grid, const FdkOptions& options = {});

/// Joseph's line integrals of a volume, as kernels/ct/joseph.hpp defines them.
Values joseph(const Values& volume, const Grid& grid, const ct::Geometry& geometry);

}  // namespace kiban::reference
