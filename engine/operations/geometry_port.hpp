#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

#include "engine/operation.hpp"
#include "io/output_file.hpp"
#include "kernels/ct/geometry.hpp"

namespace kiban::engine {

/// How a scan was taken: nine parameters a view, which a panel completes, or complete views. What a port of kind
/// geometry takes in memory; an output fills it through a std::shared_ptr.
using ScanGeometry = std::variant<CircularGeometry, ct::Geometry>;

std::int64_t view_count(const ScanGeometry& geometry);

/// Errors: input (the file is not RTK's geometry XML).
ScanGeometry read_geometry(const Request& request, const std::string& port);

/// Where an operation leaves a geometry: RTK's XML, or memory.
class GeometrySink {
 public:
  /// Claims the output. Errors: usage (complete views, which RTK's nine parameters do not describe, for a file) ·
  /// input (the file cannot be written).
  GeometrySink(const Request& request, const std::string& port, ScanGeometry geometry);

  /// What `io::commit_together` gives its name; null in memory. Errors: input (the disk is full).
  io::OutputFile* finish();
  void hand_over();

 private:
  ScanGeometry geometry_;
  std::shared_ptr<ScanGeometry> memory_;
  std::optional<io::OutputFile> file_;
};

}  // namespace kiban::engine
