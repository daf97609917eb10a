#include "kernels/ct/filtered_backprojection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/core/backends.hpp"
#include "kernels/ct/field_of_view.hpp"
#include "kernels/ct/staging.hpp"

namespace kiban::ct {

KIBAN_BACKENDS(scale_values, Stream&, float factor, float offset, Span<float, 3> volume)

namespace {

std::vector<ProjectionMatrix> matrices_of(const Geometry& geometry, const Grid& grid) {
  std::vector<ProjectionMatrix> matrices;
  matrices.reserve(geometry.views.size());
  for (std::size_t k = 0; k < geometry.views.size(); ++k)
    matrices.push_back(voxel_to_panel(geometry, static_cast<std::int64_t>(k), grid));
  return matrices;
}

}  // namespace

/// A scan on its way into a volume: views are filtered into the slots of one block, and a full block is backprojected.
struct FilteredBackprojection::State {
  Stream stream;
  FilteredBackprojectionOptions options;
  std::int64_t rows, columns;
  std::vector<ProjectionMatrix> matrices;
  Staging staging;
  Filter filter;
  PanelBlock block;
  Span<float, 3> volume;
  std::int64_t views_done = 0;  ///< filtered so far
  std::int64_t filled = 0;      ///< slots of the block that hold views

  std::int64_t views() const { return static_cast<std::int64_t>(matrices.size()); }

  void backproject_block() {
    const std::span<const ProjectionMatrix> all(matrices);
    const auto first = static_cast<std::size_t>(views_done - filled);
    backproject(stream, block, all.subspan(first, static_cast<std::size_t>(filled)), options.interpolation, volume);
    filled = 0;
  }
};

FilteredBackprojection::FilteredBackprojection(Stream stream, const Geometry& geometry, const Grid& grid,
                                               const FilteredBackprojectionOptions& options, Span<float, 3> volume) {
  if (volume.shape() != grid.shape) throw Error(ErrorCode::internal, "the volume has another shape than its grid");
  std::vector<ProjectionMatrix> matrices = matrices_of(geometry, grid);
  Filter filter(plan_filter(geometry, options.window, options.cutoff));
  PanelBlock block =
      PanelBlock::make(stream, geometry.rows, geometry.columns, wants_columns(stream.device(), matrices, grid.shape));
  Staging staging(stream, geometry.rows, geometry.columns);
  state_ =
      std::make_unique<State>(State{std::move(stream), options, geometry.rows, geometry.columns, std::move(matrices),
                                    std::move(staging), std::move(filter), std::move(block), volume});
  zero(state_->stream, volume);
}

FilteredBackprojection::~FilteredBackprojection() = default;

void FilteredBackprojection::add(Span<const float, 3> projections) {
  State& s = *state_;
  const std::int64_t n = projections.extent(0);
  if (s.views_done + n > s.views())
    throw Error(ErrorCode::input, fmt::format("the scan has more projections than its geometry has views ({}); use the "
                                              "geometry that was written for these projections",
                                              s.views()));
  for (std::int64_t done = 0; done < n;) {
    const std::int64_t some = std::min({n - done, PanelBlock::kViews - s.filled, s.staging.most_views()});
    const Span<const float, 3> staged = s.staging.stage(projections.slice(done, done + some));
    s.filter.run(s.stream, staged, s.views_done, s.filled, s.block);
    done += some;
    s.views_done += some;
    s.filled += some;
    if (s.filled == PanelBlock::kViews || s.views_done == s.views()) s.backproject_block();
  }
}

void FilteredBackprojection::finish() {
  State& s = *state_;
  if (s.views_done != s.views())
    throw Error(ErrorCode::input, fmt::format("the scan has {} projections and its geometry {} views; use the geometry "
                                              "that was written for these projections",
                                              s.views_done, s.views()));
  const bool hounsfield = s.options.mu_water_per_mm > 0;
  if (hounsfield) {
    const auto factor = static_cast<float>(1000 / s.options.mu_water_per_mm);
    KIBAN_BACKEND_FOR(s.stream, scale_values)(s.stream, factor, -1000.F, s.volume);
  }
  if (s.options.mask_field_of_view)
    mask_field_of_view(s.stream, s.matrices, s.rows, s.columns, hounsfield ? -1000.F : 0.F, s.volume);
  s.stream.synchronize();
}

std::size_t FilteredBackprojection::workspace_bytes(Device device, const Geometry& geometry, const Grid& grid,
                                                    const FilteredBackprojectionOptions& options) {
  const auto matrices = matrices_of(geometry, grid);
  const bool columns_contiguous = wants_columns(device, matrices, grid.shape);
  const std::size_t block = PanelBlock::bytes(geometry.rows, geometry.columns, columns_contiguous);
  if (device.kind == DeviceKind::cpu) return block;
  const std::int64_t padded = padded_length(geometry.columns);
  const auto samples = static_cast<std::size_t>(filter_batch(geometry.rows, padded) * geometry.rows * (padded + 2));
  // Rows and their spectra, five numbers a row for the weights, views on their way, and with textures the block again.
  const std::size_t weights = geometry.views.size() * static_cast<std::size_t>(geometry.rows) * 5;
  return block * (options.interpolation == Interpolation::texture ? 2 : 1) + (2 * samples + weights) * sizeof(float) +
         staging_bytes(device, geometry.rows, geometry.columns);
}

}  // namespace kiban::ct
