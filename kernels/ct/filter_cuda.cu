#include <algorithm>
#include <complex>
#include <memory>
#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/fft.hpp"
#include "kernels/ct/filter.hpp"

// Bytes a pixel, with rows padded to twice their length: 4 read and 8 written by the weights, about 64 by the two
// transforms and the response, 4 read and 4 written by the store; all of it is bound by memory.
namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/ct/filter_math-inl.hpp"

constexpr unsigned kThreads = 256;

struct DeviceTables {
  DeviceTables(Stream& stream, const FilterPlan& plan)
      : weights({static_cast<std::int64_t>(plan.views.size()), plan.rows}, stream.device()),
        response({plan.padded / 2 + 1}, stream.device()) {
    std::vector<RowWeight> table;
    table.reserve(static_cast<std::size_t>(weights.size()));
    for (const FilterPlan::ViewWeight& view : plan.views)
      for (std::int64_t row = 0; row < plan.rows; ++row) table.push_back(row_weight(view, row));
    copy(stream, Span<const RowWeight, 2>(table.data(), weights.shape()), weights.span());
    copy(stream, Span<const float, 1>(plan.response.data(), response.shape()), response.span());
    stream.synchronize();  // the table goes away
  }

  Array<RowWeight, 2> weights;
  Array<float, 1> response;
};

struct FilterState {
  FilterState(Stream& stream, const FilterPlan& plan)
      : views(filter_batch(plan.rows, plan.padded)),
        samples({views * plan.rows, plan.padded}, stream.device()),
        spectra({views * plan.rows, plan.padded / 2 + 1}, stream.device()),
        fft(stream, views * plan.rows, plan.padded) {}

  std::int64_t views;  ///< of a batch
  Array<float, 2> samples;
  Array<std::complex<float>, 2> spectra;
  RealFft fft;
};

/// Views of several scans, those of one after those of the other.
struct Views {
  const float* projections[PanelBlock::kMostScans];  ///< [view,row,column] of each scan
  float* first_pixel[PanelBlock::kMostScans];        ///< of the slot of the first view of each
  std::int64_t slot_stride, pitch;                   ///< elements from a slot, and from a line, to the next
  unsigned of_scan, count;                           ///< views of a scan, and of all
};

/// One thread a sample: weighted pixels, then zeros to the end of the row, and to the end of the batch, whose first
/// view is view `base` of all.
///   weights [view of a scan, row]
///   grid (padded / 256, rows, views of the batch)
__global__ void __launch_bounds__(kThreads)
    weigh_rows(const __grid_constant__ Views views, unsigned base, std::int64_t columns, const RowWeight* weights,
               std::int64_t padded, float* samples) {
  const std::int64_t u = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t row = blockIdx.y, rows = gridDim.y;
  if (u >= padded) return;
  const unsigned view = base + blockIdx.z;
  float value = 0;
  if (u < columns && view < views.count) {
    const std::int64_t line = static_cast<std::int64_t>(view % views.of_scan) * rows + row;
    value = views.projections[view / views.of_scan][line * columns + u] *
            pixel_weight(weights[line], static_cast<float>(u));
  }
  samples[(blockIdx.z * rows + row) * padded + u] = value;
}

/// spectra[row, k] *= response[k].   grid (bins / 256, rows, views of the batch)
__global__ void __launch_bounds__(kThreads) apply_response(const float* response, std::int64_t bins, float2* spectra) {
  const std::int64_t k = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= bins) return;
  float2& value = spectra[(static_cast<std::int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * bins + k];
  const float factor = __ldg(response + k);
  value = make_float2(factor * value.x, factor * value.y);
}

/// Crops the rows into the block.   grid (columns / 256, rows, views of the batch that are there)
__global__ void __launch_bounds__(kThreads)
    store_rows(const __grid_constant__ Views views, unsigned base, std::int64_t columns, const float* samples,
               std::int64_t padded) {
  const std::int64_t u = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t row = blockIdx.y, rows = gridDim.y;
  const unsigned view = base + blockIdx.z;
  if (u < columns)
    views.first_pixel[view / views.of_scan][view % views.of_scan * views.slot_stride + row * views.pitch + u] =
        samples[(blockIdx.z * rows + row) * padded + u];
}

/// At most a batch of views, from view `base` of all on.
///   first   the first view of each scan
void filter_batch(Stream& stream, const FilterPlan& plan, const DeviceTables& tables, FilterState& state,
                  const Views& views, unsigned base, std::int64_t first) {
  const Device device = stream.device();
  const std::int64_t bins = plan.padded / 2 + 1;
  const auto rows = static_cast<unsigned>(plan.rows), batch = static_cast<unsigned>(state.views);
  float* samples = state.samples.span().on(device).data;
  auto* spectra = reinterpret_cast<float2*>(state.spectra.span().on(device).data);
  const RowWeight* weights = tables.weights.span().on(device).data + first * plan.rows;
  gpu::launch(stream, dim3(gpu::blocks_for(plan.padded, kThreads), rows, batch), dim3(kThreads), &weigh_rows, views,
              base, plan.columns, weights, plan.padded, samples);
  state.fft.forward(stream, state.samples.span(), state.spectra.span());
  gpu::launch(stream, dim3(gpu::blocks_for(bins, kThreads), rows, batch), dim3(kThreads), &apply_response,
              tables.response.span().on(device).data, bins, spectra);
  state.fft.inverse(stream, state.spectra.span(), state.samples.span());
  gpu::launch(stream, dim3(gpu::blocks_for(plan.columns, kThreads), rows, std::min(batch, views.count - base)),
              dim3(kThreads), &store_rows, views, base, plan.columns, samples, plan.padded);
}

/// Those of the scans that have any.
Views views_of(std::span<const Span<const float, 3>> projections, std::int64_t slot, PanelBlock& block, Device device) {
  if (projections.size() > PanelBlock::kMostScans)
    throw Error(ErrorCode::internal, "more scans are to be filtered together than a block of views holds");
  Views views{{}, {}, block.pixels.shape()[1] * block.pitch(), block.pitch(), 0, 0};
  float* pixels = block.pixels.span().on(device).data;
  int scans = 0;
  for (std::size_t scan = 0; scan < projections.size(); ++scan) {
    if (projections[scan].size() == 0) continue;
    views.projections[scans] = projections[scan].on(device).data;
    views.first_pixel[scans++] =
        pixels + block.first_pixel(static_cast<std::int64_t>(scan) * PanelBlock::kViews + slot);
    views.of_scan = static_cast<unsigned>(projections[scan].extent(0));
    views.count += views.of_scan;
  }
  return views;
}

}  // namespace

void filter_tables(Stream& stream, const FilterPlan& plan, std::shared_ptr<const void>& tables) {
  if (plan.rows > 65535)
    throw Error(ErrorCode::input, "the panel has more than 65535 rows, which a GPU does not filter; take --device cpu");
  tables = std::make_shared<const DeviceTables>(stream, plan);
}

void filter_views(Stream& stream, const FilterTables& tables, std::shared_ptr<void>& state,
                  std::span<const Span<const float, 3>> projections, std::int64_t first, std::int64_t slot,
                  PanelBlock& block) {
  const FilterPlan& plan = tables.plan();
  if (block.columns_contiguous) throw Error(ErrorCode::internal, "a GPU filters into rows");
  if (!state) state = std::make_shared<FilterState>(stream, plan);
  auto& filter = *static_cast<FilterState*>(state.get());
  const Views views = views_of(projections, slot, block, stream.device());
  for (unsigned base = 0; base < views.count; base += static_cast<unsigned>(filter.views))
    filter_batch(stream, plan, *static_cast<const DeviceTables*>(tables.on_device()), filter, views, base, first);
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
