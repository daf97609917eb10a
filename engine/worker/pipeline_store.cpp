#include <nlohmann/json.hpp>

#include "engine/worker/attempt.hpp"
#include "engine/worker/pipeline_state.hpp"

namespace kiban::engine {
namespace {

/// A group that is sealed together shares the flushes of its folders; none waits longer for company than this.
constexpr auto kLongestGroup = std::chrono::milliseconds(50);
constexpr std::size_t kMostInGroup = 16;

/// "<job>/<token>", under the results.
std::string result_of(const Assignment& assignment) {
  return (assignment.folder.parent_path().filename() / assignment.folder.filename()).string();
}

}  // namespace

void Pipeline::State::store_loop() {
  Lock lock(mutex);
  for (;;) {
    if (end_given_up(lock)) continue;
    if (!computed.empty()) {
      lock.unlock();
      store_group();
      lock.lock();
      continue;
    }
    if (stopping) return;
    store_wanted.wait(lock);
  }
}

Pipeline::State::JobPtr Pipeline::State::next_to_store() {
  const Lock lock(mutex);
  if (computed.empty()) return nullptr;
  JobPtr job = std::move(computed.begin()->second);
  computed.erase(computed.begin());
  job->place = PipelineJob::Place::storing;
  return job;
}

void Pipeline::State::store_group() {
  std::vector<JobPtr> group;
  std::deque<nlohmann::json> manifests;
  std::vector<Sealing> sealings;
  const auto began = std::chrono::steady_clock::now();
  while (const JobPtr job = next_to_store()) {
    try {
      nlohmann::json manifest = store(*job);
      if (job->has_outputs()) {
        manifests.push_back(std::move(manifest));
        sealings.push_back({job->assignment.folder, &manifests.back(), {}});
        group.push_back(job);
      } else {
        end(*job);
      }
    } catch (...) {
      job->outcome = outcome_of(std::current_exception());
      end(*job);
    }
    if (group.size() == kMostInGroup || std::chrono::steady_clock::now() - began > kLongestGroup) break;
  }
  seal_together(sealings);
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (sealings[i].failure)
      group[i]->outcome = outcome_of(sealings[i].failure);
    else
      group[i]->outcome.result = result_of(group[i]->assignment);
    end(*group[i]);
  }
}

/// Writes the outputs; returns their manifest, where there are any.
nlohmann::json Pipeline::State::store(PipelineJob& job) {
  job.work->store(job.progress);
  job.progress.finish();
  Report report;
  if (job.has_outputs()) report = report_of(*job.operation, job.request, *job.work, job.plan, job.progress, stream);
  job.work.reset();
  {
    const Lock lock(mutex);
    release_memory(job);
  }
  if (!job.has_outputs()) return {};
  nlohmann::json manifest = manifest_of(job.assignment, *job.operation, report);
  job.progress.check();
  return manifest;
}

}  // namespace kiban::engine
