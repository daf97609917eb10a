#pragma once
#include <functional>
#include <memory>

#include "kernels/core/device.hpp"

namespace kiban {

/// Ordered work on one device. On a CPU, work is done when the call returns, by at most `threads()` threads.
/// Cheap to copy: copies are the same stream.
class Stream {
 public:
  /// `threads`: 0 takes every core that this process may use. Ignored on a GPU.
  explicit Stream(Device device = {}, int threads = 0);

  Device device() const;
  int threads() const;

  /// Returns when all work so far is done, and reports what failed in it. Errors: device.
  void synchronize();

  /// The cudaStream_t of the device; null on a CPU.
  void* native() const;

  /// Runs `body` inside this stream's thread budget; `parallel_for` of parallel.hpp is the usual way in.
  void execute(const std::function<void()>& body) const;

  /// From here on `parallel_for` calls `check` between the pieces of its work, from any of its threads, and again and
  /// again; to stop the work, it throws. What was computed is then incomplete. An empty function: no check.
  void check_between_pieces(std::function<void()> check);
  /// Calls it. Errors: what it throws.
  void check() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Returns when all work so far on the device is done, whoever in this process began it: for memory that another
/// library has just written. At once on a CPU. Errors: device.
void synchronize(Device device);

}  // namespace kiban
