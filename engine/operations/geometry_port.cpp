#include "engine/operations/geometry_port.hpp"

#include <fmt/format.h>

#include <utility>

#include "io/geometry/rtk_xml.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {

std::int64_t view_count(const ScanGeometry& geometry) {
  if (const auto* circular = std::get_if<CircularGeometry>(&geometry))
    return static_cast<std::int64_t>(circular->size());
  return static_cast<std::int64_t>(std::get<ct::Geometry>(geometry).views.size());
}

ScanGeometry read_geometry(const Request& request, const std::string& port) {
  if (request.in_memory(port)) return request.object<ScanGeometry>(port);
  return io::read_rtk_xml(request.path(port));
}

GeometrySink::GeometrySink(const Request& request, const std::string& port, ScanGeometry geometry)
    : geometry_(std::move(geometry)) {
  if (request.in_memory(port)) {
    memory_ = request.object<std::shared_ptr<ScanGeometry>>(port);
    return;
  }
  if (!std::holds_alternative<CircularGeometry>(geometry_))
    throw Error(ErrorCode::usage,
                fmt::format("{}: RTK's nine parameters do not describe these views; keep the geometry that you gave",
                            request.path(port).string()));
  file_.emplace(request.path(port));
}

io::OutputFile* GeometrySink::finish() {
  if (!file_) return nullptr;
  io::write_rtk_xml(file_->temporary_path(), std::get<CircularGeometry>(geometry_));
  return &*file_;
}

void GeometrySink::hand_over() {
  if (memory_) *memory_ = std::move(geometry_);
}

}  // namespace kiban::engine
