#pragma once
#include <memory>

#include "kernels/ct/backproject.hpp"
#include "kernels/ct/filter.hpp"
#include "kernels/ct/geometry.hpp"

namespace kiban::ct {

struct FilteredBackprojectionOptions {
  Window window = Window::ram_lak;
  double cutoff = 1;                                    ///< of the Nyquist frequency
  bool mask_field_of_view = true;                       ///< voxels that some view misses become 0 mm^-1
  double mu_water_per_mm = 0;                           ///< > 0: output in HU, 1000 (mu - water) / water
  Interpolation interpolation = Interpolation::exact;
};

/// Feldkamp-Davis-Kress for cone beams, filtered backprojection for parallel ones; views come in any number at a time.
///   add      projections [n,row,column] of the next n views: line integrals, no unit; host memory
///   finish   volume [z,y,x] mm^-1, or HU
/// Errors: input (geometry, or more or fewer views than it has; the limits of backproject) · device (memory).
/// Projections are not checked: one that is not finite spoils voxels, and finite ones beyond about 1e30 overflow in the
/// transforms and do the same. Who must know asks `all_finite` of the volume.
/// Cost: views x voxels updates, see backproject. Workspace: see `workspace_bytes`; the volume is the caller's.
/// Synchronous on a CPU; on a GPU `add` returns as soon as the projections are copied, and copies overlap with kernels.
/// Exactness: relative L2 <= 1e-5 of double (textures 1e-3); bytes independent of threads and of how views are cut.
/// Source: Feldkamp, Davis, Kress, J. Opt. Soc. Am. A 1 (1984), eq. 26-28.
class FilteredBackprojection {
 public:
  /// `volume` lives on the stream's device and is zeroed here.
  FilteredBackprojection(Stream stream, const Geometry& geometry, const Grid& grid,
                         const FilteredBackprojectionOptions& options, Span<float, 3> volume);
  ~FilteredBackprojection();
  void add(Span<const float, 3> projections);
  void finish();

  /// Device memory it takes beside the volume.
  static std::size_t workspace_bytes(Device device, const Geometry& geometry, const Grid& grid,
                                     const FilteredBackprojectionOptions& options);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kiban::ct
