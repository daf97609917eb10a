#pragma once
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/durable_file.hpp"
#include "engine/queue/queue.hpp"
#include "engine/worker/worker_log.hpp"

namespace kiban::engine {

/// Gives committed results the names that were asked for, from threads of its own: a slow or full target holds up
/// nobody's claim. Whatever others have committed and not published (they crashed) is published, too.
class Publisher {
 public:
  Publisher(Queue& queue, WorkerLog& log);
  /// Finishes what has begun; the rest is for whoever comes next.
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  /// `folder` is the one that the row names.
  void add(const std::string& job, const std::filesystem::path& folder, const Submission& submission);
  /// Has nothing to do that it knows of.
  bool idle() const;

 private:
  struct Result {
    std::string job;
    std::filesystem::path folder;
    Submission submission;
  };
  void work(const std::stop_token& stop);
  void look(const std::stop_token& stop);
  void look_once();
  /// What the queue is to be told, and the lock that is held until it was.
  struct Done {
    PublishOutcome outcome;
    std::shared_ptr<FileDescriptor> lock;
  };
  /// Nothing where another process is at it, or was.
  std::optional<Done> publish_one(const Result& result);
  void tell(std::unique_lock<std::mutex>& lock);
  void tell(const std::vector<PublishOutcome>& group);

  Queue& queue_;
  WorkerLog& log_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Result> waiting_;
  std::vector<Done> done_;       ///< the queue is to be told
  bool telling_ = false;         ///< a thread does so
  std::set<std::string> known_;  ///< jobs that wait here, are being published, or are to be told of
  std::set<std::string> seen_;   ///< unpublished when last looked: whose worker would have done it by now
  std::vector<std::jthread> threads_;
};

}  // namespace kiban::engine
