#include "engine/operations/scan_port.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "io/image/image_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

/// What the reader of files checks of a file.
void check(const MemoryScan& scan) {
  const Shape<3>& shape = scan.counts.shape();
  const auto is_frame = [&](const Shape<3>& frames) { return frames[1] == shape[1] && frames[2] == shape[2]; };
  if (scan.counts.size() == 0 || scan.flats.extent(0) == 0 || !is_frame(scan.flats.shape()) ||
      (scan.darks.extent(0) != 0 && !is_frame(scan.darks.shape())))
    throw Error(ErrorCode::input,
                fmt::format("the scan's views are {} x {} pixels; give at least one view and one flat, and flats and "
                            "darks of that size",
                            shape[1], shape[2]));
  if (!scan.angles_deg.empty() && static_cast<std::int64_t>(scan.angles_deg.size()) != shape[0])
    throw Error(ErrorCode::input, fmt::format("the scan has {} views and {} angles; give one angle a view", shape[0],
                                              scan.angles_deg.size()));
  for (std::size_t k = 0; k < scan.angles_deg.size(); ++k)
    if (!std::isfinite(scan.angles_deg[k]))
      throw Error(ErrorCode::input, fmt::format("angle {} of the scan is not a finite number", k));
}

}  // namespace

ScanSource::ScanSource(const Request& request, const std::string& port) : name_(request.described(port)) {
  if (!request.in_memory(port)) {
    file_.emplace(request.path(port));
    return;
  }
  memory_ = request.object<MemoryScan>(port);
  check(*memory_);
}

void ScanSource::read(std::int64_t begin, std::int64_t end, Span<float, 3> views) const {
  if (memory_)
    std::memcpy(views.host().data, memory_->counts.slice(begin, end).host().data, views.bytes());
  else
    file_->read(begin, end, views);
  io::require_finite(views, "view", name_, begin);
}

Span<const float, 3> ScanSource::checked(Span<const float, 3> frames, const char* what) const {
  io::require_finite(frames, what, name_, 0);
  return frames;
}

}  // namespace kiban::engine
