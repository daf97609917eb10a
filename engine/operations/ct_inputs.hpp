#pragma once
#include <cstdint>
#include <vector>

#include "engine/operation.hpp"
#include "io/image/image_file.hpp"
#include "kernels/ct/geometry.hpp"

namespace kiban::engine {

/// Views that pass from a file to a device at a time: some MiB, so that memory does not grow with their number.
std::int64_t views_at_a_time(std::int64_t rows, std::int64_t columns);

/// A stack of line integrals [view,row,column].
class Projections {
 public:
  /// Errors: input (unreadable; panel turned in its own plane).
  explicit Projections(const std::filesystem::path& path) : reader_(path) {}

  std::int64_t views() const { return reader_.grid().shape[0]; }
  /// As the file says; with `pixel_mm` > 0 square pixels of this pitch, centred, for a file that knows no lengths.
  /// Errors: input (pixels that lie along other axes than the file's).
  ct::Panel panel(double pixel_mm) const;

  /// Views from `first` on. Errors: input (unreadable; a value that is not finite, naming view, row and column).
  void read(std::int64_t first, Span<float, 3> views);

 private:
  io::ImageReader reader_;
};

/// The geometry file's views. Errors: input (unreadable; not `views` of them, naming both numbers).
CircularGeometry read_geometry(const std::filesystem::path& path, std::int64_t views,
                               const std::filesystem::path& projections);

/// `views`, `sid-mm` and so on: a circular scan, described.
std::vector<Parameter> circular_scan_parameters();

/// The scan that they describe. Errors: usage (no distance between source and detector).
CircularGeometry circular_scan_from(const Values& values, std::int64_t views);

}  // namespace kiban::engine
