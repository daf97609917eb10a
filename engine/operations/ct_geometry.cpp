#include <fmt/format.h>

#include <optional>

#include "engine/operations/ct_inputs.hpp"
#include "engine/operations/standard.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

constexpr std::int64_t kMostViews = 1000000;

std::int64_t number_of_views(const Request& request) {
  if (!request.uses("projections")) {
    if (!request.parameters.has("views"))
      throw Error(ErrorCode::usage, "how many views? give views, or the projections that the geometry is for");
    return request.parameters.integer("views");
  }
  const std::int64_t views = Projections(request).views();
  if (views > kMostViews)
    throw Error(ErrorCode::input, fmt::format("{} has {} views, and a geometry has at most {}; is it a stack of views?",
                                              request.described("projections"), views, kMostViews));
  if (request.parameters.has("views") && request.parameters.integer("views") != views)
    throw Error(ErrorCode::usage,
                fmt::format("views is {}, but {} has {}; leave views out", request.parameters.integer("views"),
                            request.described("projections"), views));
  return views;
}

class GeometryWork : public Work {
 public:
  explicit GeometryWork(const Request& request)
      : request_(request), scan_(circular_scan_from(request.parameters, number_of_views(request))) {}

  Plan plan(Device) const override {
    Plan plan;
    plan.host_bytes = scan_.size() * sizeof(CircularView);
    return plan;
  }
  void run(Stream&, Progress&) override { output_.emplace(request_, "geometry", scan_); }
  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({output_->finish()});
    output_->hand_over();
  }

 private:
  Request request_;
  CircularGeometry scan_;
  std::optional<GeometrySink> output_;
};

}  // namespace

Operation ct_geometry() {
  Operation operation;
  operation.name = "ct.geometry";
  operation.summary =
      "Writes the geometry of a circular cone-beam or parallel scan, for projections that are there already";
  operation.notes = {
      "The file is RTK's XML, version 3; the frame is IEC 61217, rotation about y.",
      "With `--projections` the number of views is theirs; their pixels stay where their own header puts them.",
  };
  operation.ports = {
      {"projections", PortDirection::in, PortKind::projections, false, "The stack whose views are counted"},
      {"geometry", PortDirection::out, PortKind::geometry, true, "RTK's geometry XML"},
  };
  operation.parameters = {Parameter::integer("views", "", "Number of views")
                              .or_else("those of the projections")
                              .at_least(1)
                              .at_most(static_cast<double>(kMostViews))};
  operation.add(circular_scan_parameters());
  operation.load = [](const Request& request) { return std::make_unique<GeometryWork>(request); };
  return operation;
}

}  // namespace kiban::engine
