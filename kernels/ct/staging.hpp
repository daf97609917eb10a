#pragma once
#include <memory>
#include <span>
#include <vector>

#include "kernels/core/array.hpp"

namespace kiban::ct {

/// Brings views from host memory to the device that works on them. On a GPU they travel through two pinned buffers on a
/// stream of their own, so that one block is on its way while the one before is being worked on; on a CPU, or if they
/// are there already, nothing moves.
class Staging {
 public:
  /// `stream`: whose work reads the staged views.
  ///   rows, columns   pixels of a view
  ///   scans           whose views travel together
  Staging(Stream stream, std::int64_t rows, std::int64_t columns, std::int64_t scans = 1);

  /// Views of each scan that `stage` takes at once, at most: few on a GPU, so that the first ones arrive soon and
  /// buffers stay small.
  std::int64_t most_views() const { return most_views_; }

  /// The same views on the stream's device, for work that is queued on the stream before the next call of `stage`.
  ///   views [n,row,column]   of each scan: n <= most_views(); host memory may be changed once this returns
  /// Errors: internal (shape, more scans than announced) · device (memory). Cost on a GPU: one copy on the host, by the
  /// stream's threads.
  std::span<const Span<const float, 3>> stage(std::span<const Span<const float, 3>> scans);
  Span<const float, 3> stage(Span<const float, 3> views) { return stage({&views, 1}).front(); }

 private:
  Stream stream_;
  std::int64_t rows_, columns_, scans_, most_views_;
  std::vector<Span<const float, 3>> staged_;
  std::shared_ptr<void> state_;  ///< the backend's: buffers, copy stream, events; made when first needed
};

/// Device and pinned host memory that staging takes for one scan, each. For several it takes no more than that times
/// their number.
std::size_t staging_bytes(Device device, std::int64_t rows, std::int64_t columns);

}  // namespace kiban::ct
