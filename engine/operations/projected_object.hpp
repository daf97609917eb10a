#pragma once
#include <memory>
#include <string>

#include "engine/operation.hpp"
#include "kernels/ct/geometry.hpp"

namespace kiban::engine {

/// What is projected, and the cylinder about the rotation axis (y) that holds it.
class ProjectedObject {
 public:
  virtual ~ProjectedObject() = default;
  /// As sentences name it.
  virtual std::string name() const = 0;
  virtual double radius_mm() const = 0;
  virtual double half_height_mm() const = 0;
  virtual std::size_t device_bytes() const { return 0; }
  virtual std::size_t host_bytes() const { return 0; }
  /// Called once, before the first `project`.
  virtual void prepare(Stream&, Progress&) {}
  virtual void project(Stream& stream, const ct::Geometry& geometry, std::int64_t first, Span<float, 3> views) = 0;
};

/// The parameters that describe it, beside the port `volume`.
std::vector<Parameter> projected_object_parameters();

/// The phantom or the volume that is asked for. Errors: usage (both, or none) · input (the volume's file).
std::unique_ptr<ProjectedObject> projected_object(const Request& request);

}  // namespace kiban::engine
