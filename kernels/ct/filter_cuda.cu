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

struct FilterState {
  FilterState(Stream& stream, const FilterPlan& plan)
      : views(filter_batch(plan.rows, plan.padded)),
        weights({static_cast<std::int64_t>(plan.views.size()), plan.rows}, stream.device()),
        response({plan.padded / 2 + 1}, stream.device()),
        samples({views * plan.rows, plan.padded}, stream.device()),
        spectra({views * plan.rows, plan.padded / 2 + 1}, stream.device()),
        fft(stream, views * plan.rows, plan.padded) {
    std::vector<RowWeight> table;
    table.reserve(static_cast<std::size_t>(weights.size()));
    for (const FilterPlan::ViewWeight& view : plan.views)
      for (std::int64_t row = 0; row < plan.rows; ++row) table.push_back(row_weight(view, row));
    copy(stream, Span<const RowWeight, 2>(table.data(), weights.shape()), weights.span());
    copy(stream, Span<const float, 1>(plan.response.data(), response.shape()), response.span());
    stream.synchronize();  // the table goes away
  }

  std::int64_t views;  ///< of a batch
  Array<RowWeight, 2> weights;
  Array<float, 1> response;
  Array<float, 2> samples;
  Array<std::complex<float>, 2> spectra;
  RealFft fft;
};

/// One thread a sample: weighted pixels, then zeros to the end of the row, and to the end of the batch.
///   grid (padded / 256, rows, views of the batch)
__global__ void __launch_bounds__(kThreads)
    weigh_rows(ArrayView<const float, 3> projections, const RowWeight* weights, std::int64_t padded, float* samples) {
  const std::int64_t u = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t row = blockIdx.y, view = blockIdx.z, rows = gridDim.y;
  if (u >= padded) return;
  float value = 0;
  if (u < projections.shape[2] && view < projections.shape[0])
    value = projections(view, row, u) * pixel_weight(weights[view * rows + row], static_cast<float>(u));
  samples[(view * rows + row) * padded + u] = value;
}

/// spectra[row, k] *= response[k].   grid (bins / 256, rows, views of the batch)
__global__ void __launch_bounds__(kThreads) apply_response(const float* response, std::int64_t bins, float2* spectra) {
  const std::int64_t k = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= bins) return;
  float2& value = spectra[(static_cast<std::int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * bins + k];
  const float factor = __ldg(response + k);
  value = make_float2(factor * value.x, factor * value.y);
}

/// Where the views go in a block.
struct Slots {
  float* first_pixel;
  std::int64_t view_stride, pitch;
};

/// Crops the rows into the block.   grid (columns / 256, rows, views)
__global__ void __launch_bounds__(kThreads)
    store_rows(const float* samples, std::int64_t padded, std::int64_t columns, Slots slots) {
  const std::int64_t u = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t row = blockIdx.y, view = blockIdx.z, rows = gridDim.y;
  if (u < columns)
    slots.first_pixel[view * slots.view_stride + row * slots.pitch + u] = samples[(view * rows + row) * padded + u];
}

/// At most a batch of views, the first of which is view `first` of the scan.
void filter_batch(Stream& stream, const FilterPlan& plan, FilterState& state, Span<const float, 3> projections,
                  std::int64_t first, const Slots& slots) {
  const Device device = stream.device();
  const ArrayView<const float, 3> input = projections.on(device);
  const std::int64_t bins = plan.padded / 2 + 1;
  const auto rows = static_cast<unsigned>(plan.rows), batch = static_cast<unsigned>(state.views);
  float* samples = state.samples.span().on(device).data;
  auto* spectra = reinterpret_cast<float2*>(state.spectra.span().on(device).data);
  const RowWeight* weights = state.weights.span().on(device).data + first * plan.rows;
  gpu::launch(stream, dim3(gpu::blocks_for(plan.padded, kThreads), rows, batch), dim3(kThreads), &weigh_rows, input,
              weights, plan.padded, samples);
  state.fft.forward(stream, state.samples.span(), state.spectra.span());
  gpu::launch(stream, dim3(gpu::blocks_for(bins, kThreads), rows, batch), dim3(kThreads), &apply_response,
              state.response.span().on(device).data, bins, spectra);
  state.fft.inverse(stream, state.spectra.span(), state.samples.span());
  gpu::launch(stream, dim3(gpu::blocks_for(plan.columns, kThreads), rows, static_cast<unsigned>(input.shape[0])),
              dim3(kThreads), &store_rows, samples, plan.padded, plan.columns, slots);
}

}  // namespace

void filter_views(Stream& stream, const FilterPlan& plan, std::shared_ptr<void>& state,
                  Span<const float, 3> projections, std::int64_t first, std::int64_t slot, PanelBlock& block) {
  if (block.columns_contiguous) throw Error(ErrorCode::internal, "a GPU filters into rows");
  if (plan.rows > 65535)
    throw Error(ErrorCode::input, "the panel has more than 65535 rows, which a GPU does not filter; take --device cpu");
  if (!state) state = std::make_shared<FilterState>(stream, plan);
  auto& filter = *static_cast<FilterState*>(state.get());
  float* pixels = block.pixels.span().on(stream.device()).data;
  for (std::int64_t done = 0; done < projections.extent(0); done += filter.views) {
    const std::int64_t end = std::min(done + filter.views, projections.extent(0));
    const Slots slots{pixels + block.first_pixel(slot + done), block.pixels.shape()[1] * block.pitch(), block.pitch()};
    filter_batch(stream, plan, filter, projections.slice(done, end), first + done, slots);
  }
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
