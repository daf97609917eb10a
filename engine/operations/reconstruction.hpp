#pragma once
#include <memory>
#include <vector>

#include "engine/operation.hpp"
#include "kernels/ct/geometry.hpp"

namespace kiban::engine {

/// Where a reconstruction takes its line integrals from.
class LineIntegrals {
 public:
  virtual ~LineIntegrals() = default;
  /// The geometry as far as it is known without reading the data: shapes are final.
  virtual ct::Geometry planned_geometry() const = 0;
  /// The geometry; may read the data, as for a centre of rotation that is to be found.
  virtual ct::Geometry geometry(Stream& stream, Progress& progress) = 0;
  /// Views from `first` on, into host memory; enters the stages "read" and, for work of its own, "compute".
  virtual void read(Stream& stream, Progress& progress, std::int64_t first, Span<float, 3> views) = 0;
  /// Memory of the device that it takes.
  virtual std::size_t device_bytes() const { return 0; }
  virtual std::vector<Finding> findings() const { return {}; }
};

/// The ports and parameters that every filtered backprojection has: `volume`, `preview`, `like`; the volume's grid,
/// filter, field of view, unit and frame.
void declare_reconstruction(Operation& operation);

/// Streams the line integrals through filter and backprojector into a volume, and writes it and its preview.
/// Errors: usage, input (the grid; the outputs cannot be written).
std::unique_ptr<Work> reconstruct(std::unique_ptr<LineIntegrals> line_integrals, const Request& request);

/// `pixel-mm`, or 0 where it is not given.
double pixel_mm_or_zero(const Values& values);

}  // namespace kiban::engine
