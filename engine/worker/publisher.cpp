#include "engine/worker/publisher.hpp"

#include <chrono>

#include "engine/fault_point.hpp"
#include "engine/worker/attempt.hpp"

namespace kiban::engine {
namespace {

constexpr int kThreads = 4;  // they wait for disks, whose flushes go together
constexpr auto kLookEvery = std::chrono::milliseconds(500);
constexpr int kMostAtOnce = 64;

}  // namespace

Publisher::Publisher(Queue& queue, WorkerLog& log) : queue_(queue), log_(log) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  threads_.emplace_back([this](const std::stop_token& stop) { look(stop); });
}

Publisher::~Publisher() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

void Publisher::add(const std::string& job, const std::filesystem::path& folder, const Submission& submission) {
  const std::lock_guard lock(mutex_);
  if (!known_.insert(job).second) return;
  waiting_.push_back({job, folder, submission});
  wake_.notify_one();
}

bool Publisher::idle() const {
  const std::lock_guard lock(mutex_);
  return known_.empty();
}

void Publisher::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (wake_.wait(lock, stop, [this] { return !waiting_.empty(); }) && !stop.stop_requested()) {
    const Result result = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    publish_one(result);
    lock.lock();
    known_.erase(result.job);
  }
}

void Publisher::publish_one(const Result& result) {
  std::string failure;
  try {
    publish(result.folder, result.submission);
  } catch (const Error& error) {
    failure = error.what();
    log_.job("publish_failed", result.job, {{"code", static_cast<int>(error.code())}});
  } catch (const std::exception& error) {
    failure = std::string("the result could not be given its name: ") + error.what();
    log_.job("publish_failed", result.job, {{"code", static_cast<int>(ErrorCode::internal)}});
  }
  try {
    queue_.published(result.job, failure);
    fault_point("worker.published");
    if (failure.empty()) log_.job("published", result.job);
  } catch (const Error& error) {  // `unpublished` will offer it again
    log_.write("queue_trouble", {{"call", "published"}, {"code", static_cast<int>(error.code())}});
  }
}

void Publisher::look(const std::stop_token& stop) {
  std::mutex alone;
  std::unique_lock lock(alone);
  std::condition_variable_any never;
  while (!stop.stop_requested()) {
    look_once();
    never.wait_for(lock, stop, kLookEvery, [] { return false; });
  }
}

void Publisher::look_once() {
  try {
    std::set<std::string> seen;
    for (const Job& job : queue_.unpublished(kMostAtOnce)) {
      seen.insert(job.id);
      if (seen_.contains(job.id)) add(job.id, queue_.results() / job.result, job.submission);
    }
    seen_ = std::move(seen);
  } catch (const Error& error) {
    log_.write("queue_trouble", {{"call", "unpublished"}, {"code", static_cast<int>(error.code())}});
  }
}

}  // namespace kiban::engine
