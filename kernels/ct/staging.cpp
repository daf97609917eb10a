#include "kernels/ct/staging.hpp"

#include <algorithm>
#include <utility>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/panel_block.hpp"
#include "kernels/ct/staging_backends.hpp"

namespace kiban::ct {
namespace {

constexpr std::int64_t kBuffers = 2, kViewsInFlight = 8;
constexpr std::int64_t kBufferPixels = std::int64_t{1} << 22;  ///< that a buffer of several scans may grow to: 16 MiB

/// Views of each of `scans` that a GPU's buffer holds: as many as of one alone while they are small.
std::int64_t views_in_flight(std::int64_t scans, std::int64_t pixels) {
  const std::int64_t views = std::max(kViewsInFlight, kBufferPixels / std::max<std::int64_t>(pixels, 1));
  return std::clamp<std::int64_t>(views / scans, 1, kViewsInFlight);
}

}  // namespace

Staging::Staging(Stream stream, std::int64_t rows, std::int64_t columns, std::int64_t scans)
    : stream_(std::move(stream)),
      rows_(rows),
      columns_(columns),
      scans_(scans),
      most_views_(stream_.device().kind == DeviceKind::cpu ? PanelBlock::kViews
                                                           : views_in_flight(scans, rows * columns)) {}

std::span<const Span<const float, 3>> Staging::stage(std::span<const Span<const float, 3>> scans) {
  bool all_there = true;
  for (const Span<const float, 3>& views : scans) {
    if (views.size() == 0) continue;
    if (views.extent(0) > most_views_ || views.extent(1) != rows_ || views.extent(2) != columns_)
      throw Error(ErrorCode::internal, "views of another shape were staged than was announced");
    all_there = all_there && views.device() == stream_.device();
  }
  if (static_cast<std::int64_t>(scans.size()) > scans_)
    throw Error(ErrorCode::internal, "views of more scans were staged than was announced");
  staged_.assign(scans.begin(), scans.end());
  if (!all_there)
    KIBAN_BACKEND_FOR(stream_, stage_views)(stream_, {scans_ * most_views_, rows_, columns_}, state_, staged_);
  return staged_;
}

std::size_t staging_bytes(Device device, std::int64_t rows, std::int64_t columns) {
  return device.kind == DeviceKind::cpu
             ? 0
             : static_cast<std::size_t>(kBuffers * kViewsInFlight * rows * columns) * sizeof(float);
}

void gather_on_host(const Stream& stream, std::span<const Span<const float, 3>> parts, float* to) {
  constexpr std::int64_t kGrain = std::int64_t{1} << 18;  // a MiB: worth a thread's while
  std::int64_t count = 0;
  for (const Span<const float, 3>& part : parts) count += part.size();
  parallel_for(stream, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t first = 0;  // of a part, in `to`
    for (const Span<const float, 3>& part : parts) {
      const std::int64_t from = std::max(begin, first), until = std::min(end, first + part.size());
      if (from < until) std::copy_n(part.host().data + (from - first), until - from, to + from);
      first += part.size();
    }
  });
}

namespace cpu {

/// A CPU reads host memory where it is; `Staging` comes here with the memory of something else only.
void stage_views(Stream&, const Shape<3>&, std::shared_ptr<void>&, std::span<Span<const float, 3>> scans) {
  for (const Span<const float, 3>& views : scans) views.host();
}

}  // namespace cpu
}  // namespace kiban::ct
