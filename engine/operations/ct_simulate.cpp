#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/operations/ct_inputs.hpp"
#include "engine/operations/geometry_port.hpp"
#include "engine/operations/projected_object.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/volume_port.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/ct/noise.hpp"

namespace kiban::engine {
namespace {

ScanGeometry scan_of(const Request& request) {
  if (!request.uses("scan-geometry")) {
    if (!request.uses("geometry"))
      throw Error(ErrorCode::usage, "geometry must be given: without it nothing says how the projections were taken");
    return circular_scan_from(request.parameters, request.parameters.integer("views"));
  }
  for (const Parameter& parameter : circular_scan_parameters())
    if (request.parameters.given(parameter.name))
      throw Error(ErrorCode::usage,
                  fmt::format("{} and scan-geometry contradict each other; give one of them", parameter.name));
  if (request.parameters.given("views"))
    throw Error(ErrorCode::usage, "views and scan-geometry contradict each other; give one of them");
  return read_geometry(request, "scan-geometry");
}

/// The pitch with which a panel of rows x columns holds the shadow of a cylinder about the axis, seen from anywhere.
double covering_pitch(const ProjectedObject& object, const CircularGeometry& scan, std::int64_t rows,
                      std::int64_t columns) {
  double half_width = 0, half_height = 0;
  for (const CircularView& view : scan) {
    const double sid = view.source_to_isocentre_mm, sdd = view.source_to_detector_mm, radius = object.radius_mm();
    if (sdd > 0 && radius >= sid)
      throw Error(ErrorCode::usage,
                  fmt::format("the object reaches {:.1f} mm from the rotation axis and the source is at {} mm; "
                              "give a larger sid-mm, or pixel-mm",
                              radius, sid));
    const double tangent = sdd > 0 ? sdd / std::sqrt(sid * sid - radius * radius) : 1;
    const double nearest = sdd > 0 ? sdd / (sid - radius) : 1;
    half_width = std::max(half_width, radius * tangent);
    half_height = std::max(half_height, object.half_height_mm() * nearest);
  }
  // A pixel of air on every side.
  return 2 * std::max(half_width / static_cast<double>(std::max<std::int64_t>(columns - 2, 1)),
                      half_height / static_cast<double>(std::max<std::int64_t>(rows - 2, 1)));
}

ct::Panel panel_of(const Values& values, const ProjectedObject& object, const CircularGeometry& scan) {
  const std::int64_t columns = values.integer("columns");
  const std::int64_t rows = values.has("rows") ? values.integer("rows") : columns;
  const double pitch = values.has("pixel-mm") ? values.real("pixel-mm") : covering_pitch(object, scan, rows, columns);
  return ct::Panel::centred(rows, columns, pitch, pitch);
}

/// The panel of views that are complete. Errors: usage (the request describes another one).
ct::Panel panel_of(const Values& values, const ct::Geometry& complete) {
  for (const char* name : {"columns", "rows", "pixel-mm"})
    if (values.given(name))
      throw Error(ErrorCode::usage, fmt::format("the views of scan-geometry have pixels; leave {} out", name));
  const ct::View& view = complete.views.front();
  return ct::Panel::centred(complete.rows, complete.columns, norm(view.u), norm(view.v));
}

ct::Panel panel_of(const Values& values, const ProjectedObject& object, const ScanGeometry& scan) {
  if (const auto* circular = std::get_if<CircularGeometry>(&scan)) return panel_of(values, object, *circular);
  return panel_of(values, std::get<ct::Geometry>(scan));
}

ct::Geometry complete_geometry(const ScanGeometry& scan, const ct::Panel& panel) {
  if (const auto* circular = std::get_if<CircularGeometry>(&scan)) return ct::geometry_from_circular(*circular, panel);
  return std::get<ct::Geometry>(scan);
}

Grid stack_grid(const ct::Panel& panel, std::int64_t views) {
  Grid grid;
  grid.shape = {views, panel.rows, panel.columns};
  grid.spacing = {panel.spacing_u_mm, panel.spacing_v_mm, 1};
  grid.origin = {panel.first_u_mm, panel.first_v_mm, 0};
  return grid;
}

class SimulateWork : public Work {
 public:
  explicit SimulateWork(const Request& request)
      : request_(request),
        object_(projected_object(request)),
        scan_(scan_of(request)),
        panel_(panel_of(request.parameters, *object_, scan_)),
        geometry_(complete_geometry(scan_, panel_)),
        photons_(request.parameters.has("photons") ? request.parameters.real("photons") : 0),
        seed_(static_cast<std::uint64_t>(request.parameters.integer("seed"))) {}

  Plan plan(Device device) const override {
    const std::size_t chunk_bytes =
        static_cast<std::size_t>(views_at_a_time() * panel_.rows * panel_.columns) * sizeof(float);
    Plan plan;
    plan.updates = views() * panel_.rows * panel_.columns;
    plan.device_bytes = chunk_bytes + object_->device_bytes();
    if (device.kind != DeviceKind::cpu) plan.host_bytes = chunk_bytes + object_->host_bytes();
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    projections_.emplace(request_, "projections", stack_grid(panel_, views()), stream);
    if (request_.uses("geometry")) geometry_out_.emplace(request_, "geometry", scan_);
    object_->prepare(stream, progress);
    for (std::int64_t first = 0; first < views(); first += views_at_a_time()) {
      const std::int64_t end = std::min(views(), first + views_at_a_time());
      progress.enter("compute");
      const Span<float, 3> part = projections_->part(first, end);
      object_->project(stream, geometry_, first, part);
      if (photons_ > 0) ct::add_poisson_noise(stream, photons_, seed_, first, part);
      require_finite_result(stream, part, object_->name());
      progress.enter("write");
      projections_->put();
      progress.report(static_cast<double>(end) / static_cast<double>(views()));
    }
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({projections_->finish(progress), geometry_out_ ? geometry_out_->finish() : nullptr});
    projections_->hand_over();
    if (geometry_out_) geometry_out_->hand_over();
  }

  std::vector<Finding> findings() const override { return {{"pixel", panel_.spacing_u_mm, "mm"}}; }

 private:
  std::int64_t views() const { return view_count(scan_); }
  std::int64_t views_at_a_time() const { return std::min(views(), slices_at_a_time({1, panel_.rows, panel_.columns})); }

  Request request_;
  std::unique_ptr<ProjectedObject> object_;
  ScanGeometry scan_;
  ct::Panel panel_;
  ct::Geometry geometry_;
  double photons_;  ///< a pixel behind nothing; 0: no noise
  std::uint64_t seed_;
  std::optional<VolumeSink> projections_;
  std::optional<GeometrySink> geometry_out_;
};

}  // namespace

Operation ct_simulate() {
  Operation operation;
  operation.name = "ct.simulate";
  operation.summary = "Projects a phantom (exactly) or a volume (Joseph 1982) as a circular scan would see it";
  operation.update = "pixel";
  operation.notes = {
      "The projections are line integrals, without unit: mm^-1 along mm.",
      "The phantom is the three-dimensional Shepp-Logan head, y along the patient. With the default density its "
      "brain is close to water: 0.0204 mm^-1.",
      "A volume is taken in mm^-1, or in HU with `--mu-water`; its world is the scanner's frame (IEC 61217, rotation "
      "about y) unless `--patient-position` says how the patient lay.",
  };
  operation.ports = {
      {"volume", PortDirection::in, PortKind::volume, false, "What to project, instead of a phantom"},
      {"scan-geometry", PortDirection::in, PortKind::geometry, false,
       "RTK's geometry XML to follow, instead of the circular scan that the parameters describe"},
      {"projections", PortDirection::out, PortKind::projections, true, "The stack [view,row,column]; .mha is streamed"},
      {"geometry", PortDirection::out, PortKind::geometry, false,
       "RTK's geometry XML of the scan; required unless scan-geometry is given"},
  };
  operation.add(projected_object_parameters());
  operation.add(std::vector<Parameter>{
      Parameter::integer("columns", "", "Pixels along a detector row").by_default(256).at_least(1).at_most(65535),
      Parameter::integer("rows", "", "Pixels along a detector column")
          .or_else("as many as columns")
          .at_least(1)
          .at_most(65535),
      Parameter::real("pixel-mm", "mm", "Pitch of the pixels")
          .or_else("what covers the object from every side")
          .above(0)
          .at_most(1e4),
      Parameter::integer("views", "", "Number of views").by_default(360).at_least(1).at_most(1000000),
  });
  operation.add(circular_scan_parameters());
  operation.add(std::vector<Parameter>{
      Parameter::real("photons", "", "Photons a pixel gets without an object; counts are then Poisson's")
          .or_else("no noise")
          .at_least(1)
          .at_most(1e12),
      Parameter::integer("seed", "", "Of the noise: the same seed gives the same counts").by_default(0).at_least(0),
  });
  operation.load = [](const Request& request) { return std::make_unique<SimulateWork>(request); };
  return operation;
}

}  // namespace kiban::engine
