#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "engine/worker/pipeline_state.hpp"

namespace kiban::engine {
namespace {

bool all_stopped(const std::vector<std::shared_ptr<PipelineJob>>& batch) {
  return std::ranges::all_of(batch, [](const auto& job) { return job->stop.load(std::memory_order_relaxed); });
}

double updates_of(const PipelineJob& job) { return static_cast<double>(std::max<std::int64_t>(1, job.plan.updates)); }

MemoryNeed need_of(const std::vector<std::shared_ptr<PipelineJob>>& batch) {
  MemoryNeed need;
  for (const auto& job : batch) {
    need.host_bytes += job->need.host_bytes;
    need.device_bytes += job->need.device_bytes;
  }
  return need;
}

}  // namespace

void Pipeline::State::compute_loop() {
  Lock lock(mutex);
  for (;;) {
    const std::vector<std::string> tokens = batcher.next(steady_now_us(), stalled());
    if (tokens.empty()) {
      if (stopping) return;
      if (const auto due = batcher.next_due_us())
        compute_wanted.wait_until(lock, std::chrono::steady_clock::time_point(std::chrono::microseconds(*due)));
      else
        compute_wanted.wait(lock);
      continue;
    }
    std::vector<JobPtr> batch;
    for (const std::string& token : tokens) batch.push_back(jobs.at(token));
    for (const JobPtr& job : batch) job->place = PipelineJob::Place::computing;
    lock.unlock();
    compute(batch);
    batch.clear();
    lock.lock();
  }
}

void Pipeline::State::compute(const std::vector<JobPtr>& batch) {
  for (const JobPtr& job : batch)
    tell(*job, Event::Kind::began, [&](Event& event) { event.batch_size = static_cast<int>(batch.size()); });
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::exception_ptr> failures(batch.size());
  std::exception_ptr of_all;
  try {
    launch(batch, failures);
    stream.synchronize();
  } catch (...) {
    of_all = std::current_exception();
    try {
      stream.synchronize();  // nothing of it may still run when its memory goes
    } catch (...) {          // it is the failure that is known already
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  for (const JobPtr& job : batch) job->progress.finish();
  // From here on the timeout, which is for the device, no longer counts. What has no outputs is as good as ended.
  for (const JobPtr& job : batch)
    if (!of_all && job->has_outputs()) tell(*job, Event::Kind::progress, [](Event& event) { event.stage = "store"; });

  // Whose fault it is that a batch failed as a whole, only each alone can show.
  const bool again = of_all && batch.size() > 1 && !all_stopped(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!failures[i] && of_all && !again) failures[i] = of_all;
    if (!failures[i] && again) batch[i]->work.reset();
  }
  const Lock lock(mutex);
  account(batch, took.count(), !of_all);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const JobPtr& job = batch[i];
    if (failures[i]) {
      give_up(job, outcome_of(failures[i]));
    } else if (again) {
      job->assignment.alone = true;
      step_back(job);
    } else {
      job->place = PipelineJob::Place::computed;
      computed.emplace(job->urgency(), job);
    }
  }
  store_wanted.notify_one();
}

void Pipeline::State::launch(const std::vector<JobPtr>& batch, std::vector<std::exception_ptr>& failures) {
  require_memory(need_of(batch), options.device);
  if (batch.size() == 1) {
    PipelineJob& job = *batch[0];
    const StopBetweenPieces stop(stream, [&job] { job.progress.check(); });
    job.work->run(stream, job.progress);
    return;
  }
  std::vector<Work*> works;
  std::vector<Progress*> progress;
  for (const JobPtr& job : batch) {
    works.push_back(job->work.get());
    progress.push_back(&job->progress);
  }
  // One that is cancelled leaves by itself; the launch stops when nobody wants it any more.
  const StopBetweenPieces stop(stream, [&batch] {
    if (all_stopped(batch)) throw Cancelled();
  });
  batch[0]->operation->run_together(works, stream, progress, failures);
}

/// What the batch took is charged to its jobs by their updates.
void Pipeline::State::account(const std::vector<JobPtr>& batch, double seconds, bool succeeded) {
  constexpr double kWeight = 0.125;  // of the newest batch in what is expected of the next
  double updates = 0;
  for (const JobPtr& job : batch) updates += updates_of(*job);
  for (const JobPtr& job : batch) job->device_seconds += seconds * updates_of(*job) / updates;
  busy_seconds += seconds;
  if (!succeeded) return;
  const auto [place, is_new] = pace.try_emplace(batch[0]->operation, seconds / updates);
  if (!is_new) place->second += kWeight * (seconds / updates - place->second);
}

}  // namespace kiban::engine
