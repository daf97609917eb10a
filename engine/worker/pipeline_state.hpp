#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/operation.hpp"
#include "engine/runner.hpp"
#include "engine/worker/pipeline.hpp"

/// What the threads of a pipeline share; for the files pipeline*.cpp alone.
namespace kiban::engine {

/// One assignment on its way. One thread at a time has it; what others may touch is guarded as said.
struct PipelineJob {
  enum class Place {
    waiting,    ///< for the loader; with `work`, for memory
    loading,    ///< the loader has it
    loaded,     ///< in the batcher
    computing,  ///< on the device
    computed,   ///< waits for the storer
    storing,    ///< the storer has it
    ending,     ///< only its last word is left
  };

  Assignment assignment;
  std::uint64_t number = 0;       ///< of arrival
  std::atomic<bool> stop{false};  ///< cancelled
  Place place = Place::waiting;   ///< guarded by the state's mutex
  MemoryNeed taken;               ///< guarded, too
  bool holds_memory = false;      ///< guarded, too
  bool may_prefetch = false;      ///< room for it is taken

  const Operation* operation = nullptr;
  Request request;
  std::unique_ptr<Work> work;
  Plan plan;
  MemoryNeed need;
  Progress progress;
  std::chrono::steady_clock::time_point last_told{};
  bool has_folder = false;
  double device_seconds = 0;
  Outcome outcome;

  std::pair<Priority, std::uint64_t> urgency() const { return {assignment.priority, number}; }
  bool has_outputs() const { return !assignment.submission.outputs.empty(); }
};

struct Pipeline::State {
  using JobPtr = std::shared_ptr<PipelineJob>;
  using Queue = std::map<std::pair<Priority, std::uint64_t>, JobPtr>;  ///< the most urgent first
  using Lock = std::unique_lock<std::mutex>;

  State(const Registry& known, const PipelineOptions& wanted, Listener told);

  const Registry& registry;
  PipelineOptions options;
  Listener listener;
  Stream stream;
  std::mutex telling;  ///< one event at a time

  std::mutex mutex;  ///< guards what follows; no event is told and no work touched under it
  std::condition_variable load_wanted, compute_wanted, store_wanted, all_ended;
  std::unordered_map<std::string, JobPtr> jobs;  ///< that have not ended, by token
  Queue waiting, computed;
  Batcher batcher;
  std::deque<JobPtr> given_up;  ///< whose last word is still to be said
  MemoryNeed taken;
  int holders = 0;  ///< of memory: loaded and not yet stored
  std::uint64_t arrivals = 0;
  bool draining = false, stopping = false;
  double busy_seconds = 0;
  std::map<const Operation*, double> pace;  ///< seconds per update
  std::vector<std::thread> threads;

  // pipeline.cpp
  void tell(const PipelineJob& job, Event::Kind kind, const std::function<void(Event&)>& complete = {});
  void give_up(const JobPtr& job, Outcome outcome);
  /// Says the last word on what was given up; false if there was none. Lets go of the lock meanwhile.
  bool end_given_up(Lock& lock);
  void end(PipelineJob& job);
  bool fits(const PipelineJob& job) const;
  void take_memory(PipelineJob& job);
  void release_memory(PipelineJob& job);
  /// It begins again: it waits for the loader, unless there is no more loading. Its work must be gone.
  void step_back(const JobPtr& job);

  // pipeline_load.cpp
  void load_loop();
  JobPtr next_to_load() const;
  /// Nothing can be loaded before something computes.
  bool stalled() const { return !waiting.empty() && !next_to_load(); }
  bool make_room(Lock& lock, const PipelineJob& urgent);
  void open(PipelineJob& job);
  void fill(PipelineJob& job);
  Batchable batchable(const PipelineJob& job) const;

  // pipeline_compute.cpp
  void compute_loop();
  void compute(const std::vector<JobPtr>& batch);
  void launch(const std::vector<JobPtr>& batch, std::vector<std::exception_ptr>& failures);
  void account(const std::vector<JobPtr>& batch, double seconds, bool succeeded);

  // pipeline_store.cpp
  void store_loop();
  JobPtr next_to_store();
  void store_group();
  nlohmann::json store(PipelineJob& job);
};

/// How an attempt ended that threw.
Outcome outcome_of(const std::exception_ptr& failure);

std::int64_t steady_now_us();

}  // namespace kiban::engine
