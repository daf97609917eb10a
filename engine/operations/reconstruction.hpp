#pragma once
#include <memory>
#include <string>
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
  /// Whether `planned_geometry` is what `geometry` will be, number for number.
  virtual bool knows_its_geometry() const { return true; }
  /// As sentences name them.
  virtual std::string name() const = 0;
  /// `count` views from `first` on, in memory that lasts until the next call; enters the stages "read" and, for work of
  /// its own, "compute".
  /// Errors: input (unreadable; a value that is not finite, naming it) · Cancelled.
  virtual Span<const float, 3> read(Stream& stream, Progress& progress, std::int64_t first, std::int64_t count) = 0;
  /// Brings the data into memory, where `read` and `geometry` then find them; on any thread, in the stage "read".
  /// Errors: those of `read`.
  virtual void prefetch(Progress& progress) = 0;
  /// Memory of the host that `prefetch` takes; 0: the data are in memory already, and it does nothing.
  virtual std::size_t prefetch_bytes() const = 0;
  /// Memory that it takes beside the views of one call.
  virtual std::size_t host_bytes() const { return 0; }
  virtual std::size_t device_bytes() const { return 0; }
  virtual std::vector<Finding> findings() const { return {}; }
};

/// The ports and parameters that every filtered backprojection has: `volume`, `preview`, `like`; the volume's grid,
/// filter, field of view, unit and frame. Those of one batch key run together.
void declare_reconstruction(Operation& operation);

/// Streams the line integrals through filter and backprojector into a volume, and writes it and its preview.
/// Errors: usage, input (the grid; the outputs cannot be written).
std::unique_ptr<Work> reconstruct(std::unique_ptr<LineIntegrals> line_integrals, const Request& request);

}  // namespace kiban::engine
