#include "kernels/ct/filter.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/core/backends.hpp"

namespace kiban::ct {

KIBAN_BACKENDS(filter_tables, Stream&, const FilterPlan&, std::shared_ptr<const void>& tables)
KIBAN_BACKENDS(filter_views, Stream&, const FilterTables&, std::shared_ptr<void>& state,
               std::span<const Span<const float, 3>> projections, std::int64_t first, std::int64_t slot, PanelBlock&)

namespace {

FilterPlan::ViewWeight view_weight(const View& view, const Geometry& geometry, double gap) {
  FilterPlan::ViewWeight weight{};
  weight.parallel = view.parallel;
  weight.scale = gap;
  if (view.parallel) return weight;
  const Vec3 first_pixel = view.detector - 0.5 * static_cast<double>(geometry.columns - 1) * view.u -
                           0.5 * static_cast<double>(geometry.rows - 1) * view.v;
  weight.ray = first_pixel - view.source;
  weight.du = view.u;
  weight.dv = view.v;
  const Vec3 normal = cross(view.u, view.v);
  const double sid = std::abs(dot(view.source, normal)) / norm(normal);
  const double sdd = std::abs(dot(weight.ray, normal)) / norm(normal);
  weight.scale = gap * sdd * norm(view.source) / (2 * sid * sid);
  // gamma is measured from the line through the source that meets the axis at a right angle.
  Vec3 inward = dot(view.source, geometry.axis) * geometry.axis - view.source;
  inward = (1 / norm(inward)) * inward;
  weight.a = dot(weight.ray, inward);
  weight.bu = dot(weight.du, inward);
  weight.bv = dot(weight.dv, inward);
  return weight;
}

}  // namespace

FilterPlan plan_filter(const Geometry& geometry, Window window, double cutoff) {
  FilterPlan plan;
  plan.rows = geometry.rows;
  plan.columns = geometry.columns;
  plan.padded = padded_length(geometry.columns);
  const std::vector<double> gaps = angular_gaps(geometry);
  for (std::size_t k = 0; k < geometry.views.size(); ++k)
    plan.views.push_back(view_weight(geometry.views[k], geometry, gaps[k]));
  // The ramp acts where the ray crosses the isocentre's plane in the theory, and on the panel here; the magnification
  // is in the views' weights, so the spacing is the panel's own.
  const double spacing = geometry.views.empty() ? 1 : norm(geometry.views[0].u);
  for (const double value : ramp_response(geometry.columns, plan.padded, spacing, window, cutoff))
    plan.response.push_back(static_cast<float>(value / static_cast<double>(plan.padded)));
  return plan;
}

FilterTables::FilterTables(Stream& stream, FilterPlan plan) : plan_(std::move(plan)) {
  KIBAN_BACKEND_FOR(stream, filter_tables)(stream, plan_, on_device_);
}

std::size_t FilterTables::bytes(Device device, std::int64_t views, std::int64_t rows) {
  const std::int64_t numbers_of_a_row = device.kind == DeviceKind::cpu ? 0 : 5;  // a GPU's weights
  return static_cast<std::size_t>(views) *
         (sizeof(FilterPlan::ViewWeight) + static_cast<std::size_t>(rows * numbers_of_a_row) * sizeof(float));
}

Filter::Filter(std::shared_ptr<const FilterTables> tables) : tables_(std::move(tables)) {}
Filter::~Filter() = default;
Filter::Filter(Filter&&) noexcept = default;

void Filter::run(Stream& stream, std::span<const Span<const float, 3>> projections, std::int64_t first,
                 std::int64_t slot, PanelBlock& block) {
  const FilterPlan& plan = tables_->plan();
  Shape<3> views{};
  bool fits = static_cast<std::int64_t>(projections.size()) * PanelBlock::kViews <= block.slots();
  for (const Span<const float, 3>& scan : projections) {
    if (scan.size() == 0) continue;
    fits = fits && (views == Shape<3>{} || scan.shape() == views);
    views = scan.shape();
  }
  if (views == Shape<3>{}) return;
  if (!fits || views[1] != plan.rows || views[2] != plan.columns || block.rows != plan.rows ||
      block.columns != plan.columns || first < 0 || first + views[0] > static_cast<std::int64_t>(plan.views.size()) ||
      slot < 0 || slot + views[0] > PanelBlock::kViews)
    throw Error(ErrorCode::internal,
                "the filter was given projections or a block of another shape than it was planned for");
  KIBAN_BACKEND_FOR(stream, filter_views)(stream, *tables_, state_, projections, first, slot, block);
}

std::int64_t filter_batch(std::int64_t rows, std::int64_t padded) {
  constexpr std::int64_t kSamples = std::int64_t{1} << 23;  // 32 MiB, and as much again for the spectra
  return std::clamp<std::int64_t>(kSamples / (rows * padded), 1, PanelBlock::kViews);
}

}  // namespace kiban::ct
