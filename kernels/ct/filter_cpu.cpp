#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/core/fft.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/ct/filter.hpp"

namespace kiban::ct::cpu {
namespace {

/// Rows that a thread filters together: one cache line where detector columns are contiguous, whole vectors everywhere.
constexpr std::int64_t kRowGroup = 16;

/// A group of rows, each a lane, and the row that is being weighted.
struct Workspace {
  Array<float, 1> samples;  ///< [kRowGroup / lanes, padded, lanes]
  Array<float, 1> row;
  Workspace(std::int64_t padded, std::int64_t columns) : samples({padded * kRowGroup}), row({columns}) {}
};

/// One view of one of the scans.
struct ViewOfScan {
  const float* pixels;
  std::int64_t index, slot;  ///< in its scan, and in the block
};

#define KIBAN_HD
#include "kernels/ct/filter_math-inl.hpp"
#undef KIBAN_HD

/// samples[k] *= response of its frequency, in FFTPACK's half-complex order.
void multiply(const std::vector<float>& response, std::int64_t padded, std::int64_t lanes, float* samples) {
  for (std::int64_t i = 0; i < padded; ++i) {
    const float factor = response[static_cast<std::size_t>((i + 1) / 2)];
    for (std::int64_t lane = 0; lane < lanes; ++lane) samples[i * lanes + lane] *= factor;
  }
}

void store_rows(const Workspace& work, std::int64_t lanes, std::int64_t padded, std::int64_t first_row,
                std::int64_t count, std::int64_t columns, float* panel, const PanelBlock& block) {
  const float* samples = work.samples.host().data;
  const std::int64_t pitch = block.pitch();
  if (block.columns_contiguous) {
    // Lanes beyond the last row hold zeros and land in the margin, which is as wide as a group.
    for (std::int64_t u = 0; u < columns; ++u)
      for (std::int64_t part = 0; part < kRowGroup / lanes; ++part)
        std::copy_n(samples + (part * padded + u) * lanes, lanes, panel + u * pitch + first_row + part * lanes);
    return;
  }
  for (std::int64_t r = 0; r < count; ++r) {
    const float* lane = samples + (r / lanes) * padded * lanes + r % lanes;
    float* row = panel + (first_row + r) * pitch;
    for (std::int64_t u = 0; u < columns; ++u) row[u] = lane[u * lanes];
  }
}

}  // namespace

void filter_tables(Stream&, const FilterPlan& plan, std::shared_ptr<const void>& tables) {
  tables = std::make_shared<const LaneFft>(plan.padded);
}

void filter_views(Stream& stream, const FilterTables& tables, std::shared_ptr<void>&,
                  std::span<const Span<const float, 3>> projections, std::int64_t first, std::int64_t slot,
                  PanelBlock& block) {
  static_assert(kRowGroup <= PanelBlock::kFastMargin);
  const FilterPlan& plan = tables.plan();
  const auto& fft = *static_cast<const LaneFft*>(tables.on_device());
  std::vector<ViewOfScan> views;
  for (std::size_t scan = 0; scan < projections.size(); ++scan)
    for (std::int64_t k = 0; k < projections[scan].extent(0); ++k)
      views.push_back({&projections[scan].host()(k, 0, 0), first + k,
                       static_cast<std::int64_t>(scan) * PanelBlock::kViews + slot + k});
  float* pixels = block.pixels.host().data;
  const std::int64_t groups = (plan.rows + kRowGroup - 1) / kRowGroup;
  const std::int64_t lanes = fft.lanes();
  parallel_for(stream, static_cast<std::int64_t>(views.size()) * groups, 1, [&](std::int64_t begin, std::int64_t end) {
    Workspace work(plan.padded, plan.columns);
    float* samples = work.samples.host().data;
    float* row = work.row.host().data;
    for (std::int64_t task = begin; task < end; ++task) {
      const ViewOfScan& view = views[static_cast<std::size_t>(task / groups)];
      const std::int64_t first_row = task % groups * kRowGroup;
      const std::int64_t count = std::min(kRowGroup, plan.rows - first_row);
      std::fill_n(samples, plan.padded * kRowGroup, 0.F);
      for (std::int64_t r = 0; r < count; ++r) {
        const RowWeight weight = row_weight(plan.views[static_cast<std::size_t>(view.index)], first_row + r);
        const float* projection = view.pixels + (first_row + r) * plan.columns;
        for (std::int64_t u = 0; u < plan.columns; ++u)
          row[u] = projection[u] * pixel_weight(weight, static_cast<float>(static_cast<std::int32_t>(u)));
        float* lane = samples + (r / lanes) * plan.padded * lanes + r % lanes;
        for (std::int64_t u = 0; u < plan.columns; ++u) lane[u * lanes] = row[u];
      }
      for (std::int64_t part = 0; part < kRowGroup / lanes; ++part) {
        float* some = samples + part * plan.padded * lanes;
        fft.forward(some);
        multiply(plan.response, plan.padded, lanes, some);
        fft.inverse(some);
      }
      store_rows(work, lanes, plan.padded, first_row, count, plan.columns, pixels + block.first_pixel(view.slot),
                 block);
    }
  });
}

}  // namespace kiban::ct::cpu
