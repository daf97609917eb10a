#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/ct/staging_backends.hpp"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

class Event {
 public:
  Event() { KIBAN_CUDA_CHECK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Happens once all work so far of the stream is done.
  void record(const Stream& stream) { KIBAN_CUDA_CHECK(cudaEventRecord(event_, gpu::native(stream))); }
  /// Later work of the stream starts after the event; at once if it was never recorded.
  void hold(const Stream& stream) const { KIBAN_CUDA_CHECK(cudaStreamWaitEvent(gpu::native(stream), event_, 0)); }
  void wait_on_host() const { KIBAN_CUDA_CHECK(cudaEventSynchronize(event_)); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// One of the two ways to the device.
struct Lane {
  explicit Lane(Device device, const Shape<3>& block) : on_device(block, device) {
    KIBAN_CUDA_CHECK(cudaMallocHost(&pinned, on_device.span().bytes()));
  }
  ~Lane() { cudaFreeHost(pinned); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  Array<float, 3> on_device;
  void* pinned = nullptr;
  Event arrived;   ///< `pinned` may be written again
  Event consumed;  ///< `on_device` may be written again
};

struct StagingState {
  StagingState(Device device, const Shape<3>& block)
      : copies(device), lanes{Lane(device, block), Lane(device, block)} {}
  ~StagingState() { cudaStreamSynchronize(gpu::native(copies)); }  // buffers may still be in use
  StagingState(const StagingState&) = delete;
  StagingState& operator=(const StagingState&) = delete;

  Stream copies;
  Lane lanes[2];
  int next = 0;
};

}  // namespace

void stage_views(Stream& stream, const Shape<3>& block, std::shared_ptr<void>& state,
                 std::span<Span<const float, 3>> scans) {
  const Device device = stream.device();
  KIBAN_CUDA_CHECK(cudaSetDevice(device.index));
  if (!state) state = std::make_shared<StagingState>(device, block);
  auto& staging = *static_cast<StagingState*>(state.get());
  Lane& lane = staging.lanes[staging.next];
  staging.next = 1 - staging.next;
  // What the stream was given since the last call reads the other lane, and is done with this one's earlier block after
  // what was recorded then.
  staging.lanes[staging.next].consumed.record(stream);

  std::vector<Span<const float, 3>> parts;
  float* const target = lane.on_device.span().on(device).data;
  std::int64_t count = 0;
  for (Span<const float, 3>& views : scans) {
    if (views.device() == device || views.size() == 0) continue;
    parts.push_back(views);
    views = Span<const float, 3>(target + count, views.shape(), device);
    count += views.size();
  }
  lane.arrived.wait_on_host();
  gather_on_host(stream, parts, static_cast<float*>(lane.pinned));
  lane.consumed.hold(staging.copies);
  copy_bytes(staging.copies, target, device, lane.pinned, Device{}, static_cast<std::size_t>(count) * sizeof(float));
  lane.arrived.record(staging.copies);
  lane.arrived.hold(stream);
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
