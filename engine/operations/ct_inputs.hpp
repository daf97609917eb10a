#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/operation.hpp"
#include "engine/operations/geometry_port.hpp"
#include "engine/operations/volume_port.hpp"
#include "kernels/ct/geometry.hpp"

namespace kiban::engine {

/// A stack of line integrals [view,row,column].
class Projections {
 public:
  /// Errors: input (unreadable).
  explicit Projections(const Request& request) : source_(request, "projections") {}

  std::int64_t views() const { return source_.grid().shape[0]; }
  std::int64_t rows() const { return source_.grid().ny(); }
  std::int64_t columns() const { return source_.grid().nx(); }
  const std::string& name() const { return source_.name(); }
  /// As the file says; with `pixel_mm` > 0 square pixels of this pitch, centred, for what knows no lengths.
  /// Errors: input (pixels that lie along other axes than the file's) · usage (an array without a place, no pitch).
  ct::Panel panel(double pixel_mm) const;

  /// Views from `first` on; see VolumeSource. Errors: input (unreadable; a value that is not finite, naming view, row
  /// and column).
  Span<const float, 3> read(Stream& stream, std::int64_t first, std::int64_t count) {
    return source_.finite_slices(stream, first, first + count, "view");
  }
  /// Brings all views into memory, where `read` finds them from then on. Errors: those of `read` · Cancelled.
  void prefetch(Progress& progress) { source_.prefetch_finite(progress, "view"); }
  /// Memory that this takes: none if they are there already.
  std::size_t prefetch_bytes() const { return source_.in_memory() ? 0 : source_.bytes(); }

 private:
  VolumeSource source_;
};

/// The views of the port `geometry`, complete with the panel of these projections.
/// Errors: input (unreadable; of other views or another panel, naming both) · usage (a pitch for views that have one).
ct::Geometry geometry_for(const Request& request, const Projections& projections);

/// `views`, `sid-mm` and so on: a circular scan, described.
std::vector<Parameter> circular_scan_parameters();

/// The scan that they describe. Errors: usage (no distance between source and detector).
CircularGeometry circular_scan_from(const Values& values, std::int64_t views);

}  // namespace kiban::engine
