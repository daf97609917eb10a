#include "engine/worker/publisher.hpp"

#include <chrono>
#include <utility>

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
    std::optional<Done> done = publish_one(result);
    lock.lock();
    if (!done) {  // `unpublished` offers it again, if need be
      known_.erase(result.job);
      continue;
    }
    done_.push_back(std::move(*done));
    done.reset();
    tell(lock);
  }
}

std::optional<Publisher::Done> Publisher::publish_one(const Result& result) {
  Done done{{result.job, ""}, nullptr};
  const auto failed = [&](ErrorCode code, const std::string& why) {
    log_.job("publish_failed", result.job, {{"code", static_cast<int>(code)}});
    done.outcome.failure = why;
    return done;
  };
  try {
    if (!result.submission.outputs.empty()) {
      done.lock = lock_result(result.folder);
      if (!done.lock || queue_.find(result.job).published) return std::nullopt;
    }
    publish(result.folder, result.submission);
    return done;
  } catch (const Error& error) {
    return failed(error.code(), error.what());
  } catch (const std::exception& error) {
    return failed(ErrorCode::internal, std::string("the result could not be given its name: ") + error.what());
  }
}

/// One thread tells the queue; what the others have done meanwhile goes into its next transaction.
void Publisher::tell(std::unique_lock<std::mutex>& lock) {
  if (telling_) return;
  telling_ = true;
  while (!done_.empty()) {
    std::vector<Done> group = std::exchange(done_, {});
    lock.unlock();
    std::vector<PublishOutcome> outcomes;
    for (const Done& done : group) outcomes.push_back(done.outcome);
    tell(outcomes);
    group.clear();  // their locks go
    lock.lock();
    for (const PublishOutcome& outcome : outcomes) known_.erase(outcome.job);
  }
  telling_ = false;
}

void Publisher::tell(const std::vector<PublishOutcome>& group) {
  try {
    queue_.published(group);
    fault_point("worker.published");
    for (const PublishOutcome& outcome : group)
      if (outcome.failure.empty()) log_.job("published", outcome.job);
  } catch (const Error& error) {
    // `unpublished` will offer them again; and if one of them is no longer a job, the others are told without it.
    log_.write("queue_trouble", {{"call", "published"}, {"code", static_cast<int>(error.code())}});
    if (error.code() == ErrorCode::usage && group.size() > 1)
      for (const PublishOutcome& outcome : group) tell(std::vector{outcome});
  } catch (const std::exception&) {  // memory ran out
    log_.write("queue_trouble", {{"call", "published"}, {"code", static_cast<int>(ErrorCode::internal)}});
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
  } catch (const std::exception&) {  // memory ran out
    log_.write("queue_trouble", {{"call", "unpublished"}, {"code", static_cast<int>(ErrorCode::internal)}});
  }
}

}  // namespace kiban::engine
