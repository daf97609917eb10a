#include "bindings/cli/follow.hpp"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/duration.hpp"
#include "bindings/cli/interrupt.hpp"
#include "bindings/cli/job_text.hpp"
#include "bindings/cli/progress_bar.hpp"

namespace kiban::cli {
namespace {

using engine::Job;
using engine::JobState;

/// A result has its names a moment after it counts.
bool is_over(const Job& job) {
  if (job.state != JobState::succeeded) return is_final(job.state);
  return job.published || job.submission.outputs.empty() || !job.publish_error.empty();
}

void print_ending(const Job& job) {
  if (exit_status(job) != 0) {
    std::fputs(fmt::format("kiban: {}\n", ending(job)).c_str(), stderr);
    return;
  }
  for (const auto& [port, path] : job.submission.outputs) fmt::print("{}: {}\n", port, path);
  const double seconds = static_cast<double>(job.finished_us - job.submitted_us) * 1e-6;
  fmt::print("{} in {}, {} of them on a device\n", job.submission.operation, human_duration(seconds),
             human_duration(job.device_seconds));
}

int stopped(const std::vector<Job>& jobs) {
  std::size_t going_on = 0;
  for (const Job& job : jobs) going_on += is_over(job) ? 0 : 1;
  const std::string what = jobs.size() == 1 ? "the job goes on; `kiban cancel " + jobs[0].id + "` stops it"
                                            : fmt::format("{} jobs go on; `kiban cancel ID` stops one", going_on);
  std::fputs(fmt::format("kiban: stopped waiting by a signal; {}\n", what).c_str(), stderr);
  return 128 + received_signal();
}

}  // namespace

bool Changes::wait() {
  using namespace std::chrono;
  const auto until = steady_clock::now() + seconds(1);
  while (received_signal() == 0) {
    const std::int64_t now = queue_.change_count();
    if (now != seen_ || steady_clock::now() > until) {
      seen_ = now;
      return true;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

std::vector<Job> follow(const engine::Queue& queue, const std::vector<std::string>& ids,
                        const std::function<void(const Job&)>& changed) {
  const auto where = [](const Job& job) { return std::tie(job.state, job.stage, job.fraction, job.cancel_asked); };
  Changes changes(queue);
  std::vector<Job> jobs;
  for (const std::string& id : ids) {
    jobs.push_back(queue.find(id));
    Job& job = jobs.back();
    changed(job);
    while (!is_over(job) && changes.wait()) {
      Job now = queue.find(id);
      const bool moved = where(now) != where(job);
      job = std::move(now);
      if (moved) changed(job);
    }
  }
  return jobs;
}

int wait_for(const engine::Queue& queue, const std::vector<std::string>& ids, bool as_json) {
  ProgressBar bar;
  const std::vector<Job> jobs = follow(queue, ids, [&](const Job& job) {
    const bool runs = job.state == JobState::running;
    bar.show(runs ? job.stage : to_string(job.state), runs ? job.fraction : is_final(job.state) ? 1 : 0);
  });
  bar.clear();
  int status = 0;
  for (const Job& job : jobs) {
    if (as_json) fmt::print("{}\n", one_line(to_json(job)));
    if (!is_over(job)) continue;
    if (!as_json) print_ending(job);
    if (status == 0) status = exit_status(job);
  }
  return received_signal() != 0 ? stopped(jobs) : status;
}

}  // namespace kiban::cli
