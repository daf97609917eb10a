#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "cuda_runtime.h"

/// Work in the order in which it came. None is done before somebody waits for it.
struct CUstream_st {
  std::deque<std::function<void()>> work;
};

namespace cudasim {

/// A place in a stream that others may wait for.
struct Ticket {
  CUstream_st* stream;
  bool reached = false;
};

}  // namespace cudasim

struct CUevent_st {
  std::shared_ptr<cudasim::Ticket> ticket;  ///< null before the first record: nothing to wait for
};

namespace cudasim {

/// All streams of the device, the default one first. `Order` says what else runs when somebody waits for a stream:
/// nothing, so that unfinished work of others shows (forward); all others before it, the youngest first (reverse); any
/// of them in turns (shuffled). The caller holds `mutex()`.
class Streams {
 public:
  static Streams& instance();
  /// Guards the whole simulator: work of several host threads is done one after another.
  std::mutex& mutex() { return mutex_; }

  CUstream_st* create();
  cudaError_t destroy(CUstream_st* stream);
  /// The default stream for null; null for what is no stream.
  CUstream_st* find(cudaStream_t stream);

  std::shared_ptr<Ticket> record(CUstream_st& stream);
  void wait(CUstream_st& stream, const std::shared_ptr<Ticket>& ticket);

  cudaError_t synchronize(CUstream_st& stream);
  cudaError_t synchronize(Ticket& ticket);
  cudaError_t synchronize_all();

  Order order = Order::forward;
  /// The sentence of the last fault.
  const std::string& fault() const { return fault_; }

 private:
  static void run_one(CUstream_st& stream);
  cudaError_t run(const std::function<void()>& all);
  void run_others(const CUstream_st* but);

  std::mutex mutex_;
  std::vector<std::unique_ptr<CUstream_st>> streams_;
  std::minstd_rand random_;
  std::string fault_;
  Streams() { create(); }
};

}  // namespace cudasim
