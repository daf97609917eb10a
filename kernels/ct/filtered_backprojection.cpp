#include "kernels/ct/filtered_backprojection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/core/backends.hpp"
#include "kernels/ct/field_of_view.hpp"
#include "kernels/ct/staging.hpp"

namespace kiban::ct {

KIBAN_BACKENDS(scale_values, Stream&, float factor, float offset, std::int64_t voxels, const VolumePointers&,
               std::int64_t scans)

namespace {

std::vector<ProjectionMatrix> matrices_of(const Geometry& geometry, const Grid& grid) {
  std::vector<ProjectionMatrix> matrices;
  matrices.reserve(geometry.views.size());
  for (std::size_t k = 0; k < geometry.views.size(); ++k)
    matrices.push_back(voxel_to_panel(geometry, static_cast<std::int64_t>(k), grid));
  return matrices;
}

}  // namespace

struct FilteredBackprojectionPlan::Tables {
  Device device;
  FilteredBackprojectionOptions options;
  std::int64_t rows, columns;
  Shape<3> volume;
  std::vector<ProjectionMatrix> matrices;
  bool columns_contiguous;  ///< in blocks of views
  std::shared_ptr<const FilterTables> filter;
  Array<SeenVoxels, 2> seen;  ///< without elements where nothing is masked
  std::size_t bytes;
};

FilteredBackprojectionPlan::FilteredBackprojectionPlan(Stream& stream, const Geometry& geometry, const Grid& grid,
                                                       const FilteredBackprojectionOptions& options) {
  auto tables = std::make_unique<Tables>();
  tables->device = stream.device();
  tables->options = options;
  tables->rows = geometry.rows;
  tables->columns = geometry.columns;
  tables->volume = grid.shape;
  tables->matrices = matrices_of(geometry, grid);
  tables->columns_contiguous = wants_columns(stream.device(), tables->matrices, grid.shape);
  tables->filter = std::make_shared<const FilterTables>(stream, plan_filter(geometry, options.window, options.cutoff));
  if (options.mask_field_of_view)
    tables->seen = seen_voxels(stream, tables->matrices, geometry.rows, geometry.columns, grid.shape);
  tables->bytes = bytes(stream.device(), geometry, grid);
  tables_ = std::move(tables);
}

FilteredBackprojectionPlan::~FilteredBackprojectionPlan() = default;

Device FilteredBackprojectionPlan::device() const { return tables_->device; }

std::size_t FilteredBackprojectionPlan::bytes() const { return tables_->bytes; }

std::size_t FilteredBackprojectionPlan::bytes(Device device, const Geometry& geometry, const Grid& grid) {
  const auto views = static_cast<std::int64_t>(geometry.views.size());
  return static_cast<std::size_t>(grid.shape[0] * grid.shape[1]) * sizeof(SeenVoxels) +
         static_cast<std::size_t>(views) * sizeof(ProjectionMatrix) + FilterTables::bytes(device, views, geometry.rows);
}

/// Scans on their way into volumes: views are filtered into the slots of one block, and a full block is backprojected.
struct FilteredBackprojection::State {
  Stream stream;
  std::shared_ptr<const FilteredBackprojectionPlan> plan;
  const FilteredBackprojectionPlan::Tables& tables;
  std::vector<Span<float, 3>> volumes;  ///< without elements where a scan was given up
  Staging staging;
  Filter filter;
  PanelBlock block;
  std::int64_t views_done = 0;  ///< filtered so far
  std::int64_t filled = 0;      ///< slots of a scan that hold views

  std::int64_t views() const { return static_cast<std::int64_t>(tables.matrices.size()); }

  void backproject_block() {
    const std::span<const ProjectionMatrix> all(tables.matrices);
    const auto first = static_cast<std::size_t>(views_done - filled);
    backproject(stream, block, all.subspan(first, static_cast<std::size_t>(filled)), tables.options.interpolation,
                volumes);
    filled = 0;
  }

  /// Views of each of these scans. Errors: internal (not of each the same number).
  std::int64_t common_count(std::span<const Span<const float, 3>> projections) const {
    std::int64_t count = -1;
    bool fits = projections.size() == volumes.size();
    for (std::size_t scan = 0; fits && scan < volumes.size(); ++scan) {
      if (volumes[scan].size() == 0) continue;
      fits = count < 0 || projections[scan].extent(0) == count;
      count = projections[scan].extent(0);
    }
    if (!fits) throw Error(ErrorCode::internal, "scans that run together were given different numbers of views");
    return std::max<std::int64_t>(count, 0);
  }
};

FilteredBackprojection::FilteredBackprojection(Stream stream, std::shared_ptr<const FilteredBackprojectionPlan> plan,
                                               std::span<const Span<float, 3>> volumes) {
  const FilteredBackprojectionPlan::Tables& tables = *plan->tables_;
  const auto scans = static_cast<std::int64_t>(volumes.size());
  if (scans < 1 || scans > PanelBlock::kMostScans)
    throw Error(ErrorCode::internal, "no scan, or more scans than a block of views holds, are to run together");
  if (tables.device != stream.device())
    throw Error(ErrorCode::internal, "a plan made for " + name(tables.device) + " is to run elsewhere");
  for (const Span<float, 3>& volume : volumes)
    if (volume.shape() != tables.volume) throw Error(ErrorCode::internal, "the volume has another shape than its grid");
  PanelBlock block = PanelBlock::make(stream, tables.rows, tables.columns, tables.columns_contiguous, scans);
  state_ = std::make_unique<State>(State{stream,
                                         std::move(plan),
                                         tables,
                                         {volumes.begin(), volumes.end()},
                                         Staging(stream, tables.rows, tables.columns, scans),
                                         Filter(tables.filter),
                                         std::move(block)});
  for (const Span<float, 3>& volume : volumes) zero(state_->stream, volume);
}

FilteredBackprojection::FilteredBackprojection(Stream stream, const Geometry& geometry, const Grid& grid,
                                               const FilteredBackprojectionOptions& options, Span<float, 3> volume)
    : FilteredBackprojection(
          stream, std::make_shared<const FilteredBackprojectionPlan>(stream, geometry, grid, options), {&volume, 1}) {}

FilteredBackprojection::~FilteredBackprojection() = default;

void FilteredBackprojection::add(std::span<const Span<const float, 3>> projections) {
  State& s = *state_;
  const std::int64_t n = s.common_count(projections);
  if (s.views_done + n > s.views())
    throw Error(ErrorCode::input, fmt::format("the scan has more projections than its geometry has views ({}); use the "
                                              "geometry that was written for these projections",
                                              s.views()));
  std::vector<Span<const float, 3>> parts(projections.size());
  for (std::int64_t done = 0; done < n;) {
    const std::int64_t some = std::min({n - done, PanelBlock::kViews - s.filled, s.staging.most_views()});
    for (std::size_t scan = 0; scan < parts.size(); ++scan)
      if (s.volumes[scan].size() != 0) parts[scan] = projections[scan].slice(done, done + some);
    s.filter.run(s.stream, s.staging.stage(parts), s.views_done, s.filled, s.block);
    done += some;
    s.views_done += some;
    s.filled += some;
    if (s.filled == PanelBlock::kViews || s.views_done == s.views()) s.backproject_block();
  }
}

void FilteredBackprojection::give_up(std::size_t scan) { state_->volumes.at(scan) = {}; }

void FilteredBackprojection::finish() {
  State& s = *state_;
  if (count_of(s.volumes) == 0) return;
  if (s.views_done != s.views())
    throw Error(ErrorCode::input, fmt::format("the scan has {} projections and its geometry {} views; use the geometry "
                                              "that was written for these projections",
                                              s.views_done, s.views()));
  const FilteredBackprojectionOptions& options = s.tables.options;
  const bool hounsfield = options.mu_water_per_mm > 0;
  if (hounsfield) KIBAN_BACKEND_FOR(s.stream, scale_values)
  (s.stream, static_cast<float>(1000 / options.mu_water_per_mm), -1000.F, element_count<3>(s.tables.volume),
   pointers_of(s.volumes, s.stream.device()), static_cast<std::int64_t>(s.volumes.size()));
  if (options.mask_field_of_view) mask_unseen(s.stream, s.tables.seen.span(), hounsfield ? -1000.F : 0.F, s.volumes);
  s.stream.synchronize();
}

std::size_t FilteredBackprojection::workspace_bytes(Device device, const Geometry& geometry, const Grid& grid,
                                                    const FilteredBackprojectionOptions& options) {
  const auto matrices = matrices_of(geometry, grid);
  const bool columns_contiguous = wants_columns(device, matrices, grid.shape);
  const std::size_t block = PanelBlock::bytes(geometry.rows, geometry.columns, columns_contiguous);
  const std::size_t plan = FilteredBackprojectionPlan::bytes(device, geometry, grid);
  if (device.kind == DeviceKind::cpu) return block + plan;
  const std::int64_t padded = padded_length(geometry.columns);
  const auto samples = static_cast<std::size_t>(filter_batch(geometry.rows, padded) * geometry.rows * (padded + 2));
  // Rows and their spectra, views on their way, and with textures the block again.
  return plan + block * (options.interpolation == Interpolation::texture ? 2 : 1) + 2 * samples * sizeof(float) +
         staging_bytes(device, geometry.rows, geometry.columns);
}

}  // namespace kiban::ct
