#include "kernels/ct/staging.hpp"

#include <algorithm>
#include <utility>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/panel_block.hpp"
#include "kernels/ct/staging_backends.hpp"

namespace kiban::ct {
namespace {

constexpr std::int64_t kBuffers = 2, kViewsInFlight = 8;

}  // namespace

Staging::Staging(Stream stream, std::int64_t rows, std::int64_t columns)
    : stream_(std::move(stream)),
      rows_(rows),
      columns_(columns),
      most_views_(stream_.device().kind == DeviceKind::cpu ? PanelBlock::kViews : kViewsInFlight) {}

Span<const float, 3> Staging::stage(Span<const float, 3> views) {
  if (views.extent(0) > most_views_ || views.extent(1) != rows_ || views.extent(2) != columns_)
    throw Error(ErrorCode::internal, "views of another shape were staged than was announced");
  if (views.device() == stream_.device() || views.size() == 0) return views;
  Span<const float, 3> staged;
  KIBAN_BACKEND_FOR(stream_, stage_views)(stream_, {most_views_, rows_, columns_}, state_, views, staged);
  return staged;
}

std::size_t staging_bytes(Device device, std::int64_t rows, std::int64_t columns) {
  return device.kind == DeviceKind::cpu
             ? 0
             : static_cast<std::size_t>(kBuffers * kViewsInFlight * rows * columns) * sizeof(float);
}

void copy_on_host(const Stream& stream, const float* from, std::int64_t count, float* to) {
  constexpr std::int64_t kGrain = std::int64_t{1} << 18;  // a MiB: worth a thread's while
  parallel_for(stream, count, kGrain,
               [=](std::int64_t begin, std::int64_t end) { std::copy(from + begin, from + end, to + begin); });
}

namespace cpu {

/// A CPU reads host memory where it is; `Staging` comes here with the memory of something else only.
void stage_views(Stream&, const Shape<3>&, std::shared_ptr<void>&, Span<const float, 3> views, Span<const float, 3>&) {
  throw Error(ErrorCode::device, "memory of " + name(views.device()) + " was handed to work on " + name(Device{}));
}

}  // namespace cpu
}  // namespace kiban::ct
