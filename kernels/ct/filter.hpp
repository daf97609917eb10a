#pragma once
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kernels/ct/geometry.hpp"
#include "kernels/ct/panel_block.hpp"
#include "kernels/ct/ramp.hpp"

namespace kiban::ct {

/// What turns line integrals into filtered views: per view the FDK weight, then the ramp along rows.
///   weight(k, row, column) = gap_k sdd_k |s_k| / (2 sid_k^2) cos(gamma)   divergent: gamma is the angle between the
///                            pixel's ray and the ray through the rotation axis in the plane of the source
///                          = gap_k                                        parallel
/// Sources: Feldkamp, Davis, Kress 1984; Rit & Clackdoyle, CT Meeting 2014 (tilted and offset detectors), as RTK.
struct FilterPlan {
  struct ViewWeight {  ///< weight = scale * (a + bu u + bv v) / |ray|, ray = c + u du + v dv  (pixel indices u, v)
    double scale, a, bu, bv;
    Vec3 ray, du, dv;  ///< mm
    bool parallel;     ///< then weight = scale
  };
  std::int64_t rows = 0, columns = 0;
  std::vector<ViewWeight> views;
  std::int64_t padded = 0;      ///< length of the transform
  std::vector<float> response;  ///< [padded/2 + 1], 1/padded of the unscaled inverse transform included
};

/// Errors: input (geometry) · usage (cutoff).
FilterPlan plan_filter(const Geometry& geometry, Window window, double cutoff);

/// A plan and its tables on a device: any number of filters there may share them, at once and on any stream.
class FilterTables {
 public:
  /// Errors: device (memory). Returns when they are there.
  FilterTables(Stream& stream, FilterPlan plan);
  const FilterPlan& plan() const { return plan_; }
  const void* on_device() const { return on_device_.get(); }
  /// Memory that they take for a panel of `rows` rows and `views` views.
  static std::size_t bytes(Device device, std::int64_t views, std::int64_t rows);

 private:
  FilterPlan plan_;
  std::shared_ptr<const void> on_device_;  ///< the backend's
};

/// Weights and filters views [first, first + n) of each scan and writes them into slots [slot, slot + n) of its part of
/// the block; a scan without views is left out.
///   projections [n,row,column]  of each scan: line integrals, on the stream's device. A value that is not finite
///   spoils its panel's
///                               rows, and so do values beyond about 1e30, whose transform overflows: nothing is
///                               checked
/// Errors: internal (shapes) · device. Workspace: a few rows a thread on a CPU; `filter_batch` padded views and their
/// spectra on a GPU (kept by `Filter`). On a GPU asynchronous. Exactness: relative L2 <= 1e-6 of double; independent of
/// threads, of n, and of the other scans.
class Filter {
 public:
  explicit Filter(std::shared_ptr<const FilterTables> tables);
  /// With tables of its own.
  Filter(Stream& stream, FilterPlan plan) : Filter(std::make_shared<const FilterTables>(stream, std::move(plan))) {}
  ~Filter();
  Filter(Filter&&) noexcept;
  void run(Stream& stream, std::span<const Span<const float, 3>> projections, std::int64_t first, std::int64_t slot,
           PanelBlock& block);
  void run(Stream& stream, Span<const float, 3> projections, std::int64_t first, std::int64_t slot, PanelBlock& block) {
    run(stream, {&projections, 1}, first, slot, block);
  }

 private:
  std::shared_ptr<const FilterTables> tables_;
  std::shared_ptr<void> state_;  ///< the backend's: transforms, workspace
};

/// Views that a GPU filters together, the same number in every call, so that cuFFT always chooses the same algorithm
/// and a view has the same bytes whoever it came with.
///   rows, padded   of a view
std::int64_t filter_batch(std::int64_t rows, std::int64_t padded);

}  // namespace kiban::ct
