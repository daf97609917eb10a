#pragma once
#include <memory>
#include <span>

#include "kernels/ct/backproject.hpp"
#include "kernels/ct/filter.hpp"
#include "kernels/ct/geometry.hpp"

namespace kiban::ct {

struct FilteredBackprojectionOptions {
  Window window = Window::ram_lak;
  double cutoff = 1;               ///< of the Nyquist frequency
  bool mask_field_of_view = true;  ///< voxels that some view misses become 0 mm^-1
  double mu_water_per_mm = 0;      ///< > 0: output in HU, 1000 (mu - water) / water
  Interpolation interpolation = Interpolation::exact;
};

/// What filtered backprojections of one geometry, grid and options have in common: matrices, the filter's tables, the
/// voxels that all views see. Made once, for any number of runs on its device, also at the same time.
/// Errors: input (geometry) · usage (cutoff) · device (memory). Cost: views x nz x ny, see seen_voxels. Synchronous.
class FilteredBackprojectionPlan {
 public:
  FilteredBackprojectionPlan(Stream& stream, const Geometry& geometry, const Grid& grid,
                             const FilteredBackprojectionOptions& options);
  ~FilteredBackprojectionPlan();
  Device device() const;
  /// Memory that it holds: on its device, and some on the host.
  std::size_t bytes() const;
  /// The same, before it is made.
  static std::size_t bytes(Device device, const Geometry& geometry, const Grid& grid);

 private:
  friend class FilteredBackprojection;
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

/// Feldkamp-Davis-Kress for cone beams, filtered backprojection for parallel ones; views come in any number at a time.
/// Several scans of one plan may run together: every launch and every parallel region then serves all of them.
///   add      projections [n,row,column] of the next n views, of each scan: line integrals, no unit; host memory
///   finish   volume [z,y,x] mm^-1, or HU
/// Errors: input (more or fewer views than the geometry has; the limits of backproject) · internal (scans: more than
/// PanelBlock::kMostScans, of different lengths; volumes of another shape than the grid) · device (memory).
/// Projections are not checked: one that is not finite spoils voxels, and finite ones beyond about 1e30 overflow in the
/// transforms and do the same. Who must know asks `all_finite` of the volume.
/// Cost: views x voxels updates, see backproject. Workspace: see `workspace_bytes`; the volumes are the caller's.
/// Synchronous on a CPU; on a GPU `add` returns as soon as the projections are copied, and copies overlap with kernels.
/// Exactness: relative L2 <= 1e-5 of double (textures 1e-3); bytes independent of threads, of how views are cut, and of
/// the scans that run along.
/// Source: Feldkamp, Davis, Kress, J. Opt. Soc. Am. A 1 (1984), eq. 26-28.
class FilteredBackprojection {
 public:
  /// `volumes` live on the stream's device and are zeroed here.
  FilteredBackprojection(Stream stream, std::shared_ptr<const FilteredBackprojectionPlan> plan,
                         std::span<const Span<float, 3>> volumes);
  /// Of one scan.
  FilteredBackprojection(Stream stream, const Geometry& geometry, const Grid& grid,
                         const FilteredBackprojectionOptions& options, Span<float, 3> volume);
  ~FilteredBackprojection();

  void add(std::span<const Span<const float, 3>> projections);
  void add(Span<const float, 3> projections) { add({&projections, 1}); }
  /// From here on the scan is left out: its projections are not looked at, its volume is worth nothing.
  void give_up(std::size_t scan);
  void finish();

  /// Device memory it takes beside the volume, its plan included; n scans together take at most n times as much.
  static std::size_t workspace_bytes(Device device, const Geometry& geometry, const Grid& grid,
                                     const FilteredBackprojectionOptions& options);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kiban::ct
