#include "tests/cudasim/stream.hpp"

#include <algorithm>
#include <utility>

#include "tests/cudasim/fault.hpp"
#include "tests/cudasim/memory.hpp"

namespace cudasim {

Streams& Streams::instance() {
  static Streams streams;
  return streams;
}

CUstream_st* Streams::create() {
  streams_.push_back(std::make_unique<CUstream_st>());
  return streams_.back().get();
}

CUstream_st* Streams::find(cudaStream_t stream) {
  if (!stream) return streams_.front().get();
  for (const auto& one : streams_)
    if (one.get() == stream) return stream;
  return nullptr;
}

cudaError_t Streams::destroy(CUstream_st* stream) {
  const cudaError_t status = synchronize(*stream);
  std::erase_if(streams_, [=](const auto& one) { return one.get() == stream; });
  return status;
}

void Streams::run_one(CUstream_st& stream) {
  const std::function<void()> work = std::move(stream.work.front());
  stream.work.pop_front();
  work();
}

// A fault ends what the streams were doing: on a GPU the whole context would be lost.
cudaError_t Streams::run(const std::function<void()>& all) {
  DeviceMemory::Open open(DeviceMemory::instance());
  try {
    all();
    open.close();
  } catch (const Fault& fault) {
    fault_ = fault.what();
    for (const auto& stream : streams_) stream->work.clear();
    return cudaErrorLaunchFailure;
  }
  return cudaSuccess;
}

void Streams::run_others(const CUstream_st* but) {
  if (order == Order::reverse) {
    for (std::size_t i = streams_.size(); i-- > 0;) {
      CUstream_st& other = *streams_[i];
      while (&other != but && !other.work.empty()) run_one(other);
    }
  }
  if (order == Order::shuffled) {
    for (std::size_t turn = 0; turn < streams_.size(); ++turn) {
      CUstream_st& other = *streams_[random_() % streams_.size()];
      if (&other != but && !other.work.empty()) run_one(other);
    }
  }
}

cudaError_t Streams::synchronize(CUstream_st& stream) {
  if (stream.work.empty()) return cudaSuccess;
  return run([&] {
    while (!stream.work.empty()) {
      run_others(&stream);
      if (!stream.work.empty()) run_one(stream);  // others may have waited for it
    }
  });
}

cudaError_t Streams::synchronize(Ticket& ticket) {
  if (ticket.reached) return cudaSuccess;
  return run([&] {
    run_others(ticket.stream);
    while (!ticket.reached && !ticket.stream->work.empty()) run_one(*ticket.stream);
  });
}

cudaError_t Streams::synchronize_all() {
  cudaError_t status = cudaSuccess;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const std::size_t place = order == Order::reverse ? streams_.size() - 1 - i : i;
    if (const cudaError_t failed = synchronize(*streams_[place])) status = failed;
  }
  return status;
}

std::shared_ptr<Ticket> Streams::record(CUstream_st& stream) {
  auto ticket = std::make_shared<Ticket>(Ticket{&stream});
  stream.work.push_back([ticket] { ticket->reached = true; });
  return ticket;
}

void Streams::wait(CUstream_st& stream, const std::shared_ptr<Ticket>& ticket) {
  if (!ticket) return;
  // The ticket was queued before this wait, so what waits for what has no circles.
  stream.work.push_back([ticket] {
    while (!ticket->reached && !ticket->stream->work.empty()) run_one(*ticket->stream);
  });
}

}  // namespace cudasim
