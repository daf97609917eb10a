#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/worker/attempt.hpp"
#include "engine/worker/durable_file.hpp"
#include "engine/worker/pipeline_state.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

/// Nobody sees more, and a heartbeat carries the last one.
constexpr auto kBetweenEvents = std::chrono::milliseconds(200);

void require_ever_fits(std::size_t need, std::size_t limit, const char* where) {
  if (limit != 0 && need > limit)
    throw Error(ErrorCode::input, fmt::format("this needs {} of {} memory ({} bytes) and the executor may use {} ({} "
                                              "bytes), so it can never run here; ask for fewer or larger voxels, or "
                                              "raise the limit",
                                              human_bytes(need), where, need, human_bytes(limit), limit));
}

/// Ports bound to the paths that were asked for, as the result will be published there.
Request as_asked_for(const PipelineJob& job) {
  Request request = job.request;
  for (const auto& [port, path] : job.assignment.submission.outputs) request.ports[port] = fs::path(path);
  return request;
}

/// The attempt's own, empty. An executor that died may have left something in it.
void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::remove_all(folder, failure);
  if (!failure) fs::create_directories(folder, failure);
  if (failure) throw write_failure(folder, failure.value());
}

}  // namespace

void Pipeline::State::load_loop() {
  Lock lock(mutex);
  for (;;) {
    if (end_given_up(lock)) continue;
    if (stopping) return;
    const JobPtr job = next_to_load();
    if (!job) {
      if (!waiting.empty() && make_room(lock, *waiting.begin()->second)) continue;
      if (stalled()) compute_wanted.notify_one();
      load_wanted.wait(lock);
      continue;
    }
    waiting.erase(job->urgency());
    job->place = PipelineJob::Place::loading;
    const bool is_open = job->work != nullptr;
    if (is_open) take_memory(*job);
    lock.unlock();
    std::exception_ptr failure;
    try {
      is_open ? fill(*job) : open(*job);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) {
      give_up(job, outcome_of(failure));
    } else if (!is_open || job->stop || draining) {
      step_back(job);
    } else {
      job->place = PipelineJob::Place::loaded;
      batcher.add(batchable(*job));
      compute_wanted.notify_one();
    }
  }
}

Pipeline::State::JobPtr Pipeline::State::next_to_load() const {
  if (waiting.empty()) return nullptr;
  const JobPtr& head = waiting.begin()->second;
  return !head->work || fits(*head) ? head : nullptr;
}

/// For a stat job, less urgent ones that are loaded give their memory back and are loaded again later. False where that
/// does not help.
bool Pipeline::State::make_room(Lock& lock, const PipelineJob& urgent) {
  if (urgent.assignment.priority != Priority::stat) return false;
  std::vector<JobPtr> loaded;
  for (const auto& [token, job] : jobs)
    if (job->place == PipelineJob::Place::loaded && job->assignment.priority != Priority::stat) loaded.push_back(job);
  std::ranges::sort(loaded, std::greater{}, [](const JobPtr& job) { return job->urgency(); });
  const MemoryNeed taken_before = taken;
  std::size_t leaving = 0;
  while (leaving < loaded.size() && !fits(urgent)) {
    taken.host_bytes -= loaded[leaving]->taken.host_bytes;
    taken.device_bytes -= loaded[leaving++]->taken.device_bytes;
  }
  const bool helps = fits(urgent);
  taken = taken_before;
  if (!helps || leaving == 0) return false;
  loaded.resize(leaving);
  for (const JobPtr& job : loaded) {
    batcher.remove(job->assignment.token);
    job->place = PipelineJob::Place::loading;
  }
  lock.unlock();
  for (const JobPtr& job : loaded) job->work.reset();
  lock.lock();
  for (const JobPtr& job : loaded) step_back(job);
  return true;
}

void Pipeline::State::open(PipelineJob& job) {
  tell(job, Event::Kind::opened);
  job.last_told = std::chrono::steady_clock::now();
  job.progress = Progress(
      [this, &job](std::string_view stage, double fraction) {
        const auto now = std::chrono::steady_clock::now();
        if (now - job.last_told < kBetweenEvents) return;
        job.last_told = now;
        tell(job, Event::Kind::progress, [&](Event& event) {
          event.stage = stage;
          event.fraction = fraction;
        });
      },
      [&job] { return job.stop.load(std::memory_order_relaxed); });
  job.progress.enter("load");
  job.operation = &registry.find(job.assignment.submission.operation);
  job.request = request_of(job.assignment, *job.operation);
  if (job.has_outputs()) require_different_files(*job.operation, as_asked_for(job));
  job.work = job.operation->load(job.request);
  job.progress.enter("plan");
  job.plan = job.work->plan(options.device);
  job.need = memory_need(job.plan, options.device);
  require_ever_fits(job.need.host_bytes, options.limits.host_bytes, "the host's");
  require_ever_fits(job.need.device_bytes, options.limits.device_bytes, "the device's");
  job.progress.finish();
}

void Pipeline::State::fill(PipelineJob& job) {
  if (job.has_outputs() && !job.has_folder) {
    make_folder(job.assignment.folder);
    job.has_folder = true;
  }
  if (!job.may_prefetch) return;
  job.work->prefetch(job.progress);
  job.progress.finish();
}

Batchable Pipeline::State::batchable(const PipelineJob& job) const {
  Batchable batchable;
  batchable.token = job.assignment.token;
  // Nothing is gained by a batch that runs one by one, and a stat job would wait for it.
  if (job.operation->run_together && !job.assignment.alone && !job.plan.batch_key.empty())
    batchable.batch_key = fmt::format("{} {} {}", job.operation->name, job.operation->version, job.plan.batch_key);
  batchable.priority = job.assignment.priority;
  batchable.host_bytes = job.taken.host_bytes;
  batchable.device_bytes = job.taken.device_bytes;
  if (const auto known = pace.find(job.operation); known != pace.end())
    batchable.expected_s = known->second * static_cast<double>(std::max<std::int64_t>(1, job.plan.updates));
  batchable.arrived_us = steady_now_us();
  return batchable;
}

}  // namespace kiban::engine
