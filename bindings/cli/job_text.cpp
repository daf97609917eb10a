#include "bindings/cli/job_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <iterator>

#include "bindings/cli/duration.hpp"

namespace kiban::cli {
namespace {

using engine::Job;
using engine::JobState;

double seconds_between(std::int64_t from_us, std::int64_t to_us) { return static_cast<double>(to_us - from_us) * 1e-6; }

std::string time_text(std::int64_t wall_us) {
  const std::time_t seconds = static_cast<std::time_t>(wall_us / 1'000'000);
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", local);
}

/// How long it has been what it is: queued for, running for; of a job that is over, how long that is ago.
double since_change(const Job& job) {
  std::int64_t since = job.submitted_us;
  if (job.state == JobState::running) since = job.started_us;
  if (is_final(job.state)) since = job.finished_us;
  return seconds_between(since, engine::machine_clock().wall_us());
}

std::string note(const Job& job) {
  if (job.cancel_asked && !is_final(job.state)) return "asked to stop";
  if (job.state == JobState::running) return fmt::format("{} {:.0f} %", job.stage, 100 * job.fraction);
  if (job.state == JobState::succeeded) return job.publish_error;
  return job.error;
}

std::string cut(const std::string& text, std::size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 3) + "...";
}

template <class... Texts>
std::string job_line(const Texts&... texts) {
  std::string line = fmt::format("{:<28}{:<11}{:<10}{:<20}{:<14}{:<14}{}", texts...);
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

std::string count_line(const std::string& name, const engine::ClassCounts& counts) {
  const std::string oldest = counts.queued > 0 ? human_duration(counts.oldest_queued_s) : "-";
  return fmt::format("{:<10}{:>9}{:>9}{:>9}{:>14}{:>14.1f} %\n", name, counts.waiting, counts.queued, counts.running,
                     oldest, 100 * counts.device_share);
}

}  // namespace

std::string table(const std::vector<Job>& jobs) {
  std::string text = job_line("ID", "STATE", "CLASS", "OPERATION", "SUBMITTER", "FOR", "NOTE");
  for (const Job& job : jobs)
    text += job_line(job.id, to_string(job.state), to_string(job.priority), cut(job.submission.operation, 19),
                     cut(job.submission.submitter, 13), human_duration(since_change(job)), cut(note(job), 60));
  return text;
}

std::string manifest_path(const Job& job, const std::filesystem::path& results) {
  return job.result.empty() ? "" : (results / job.result / "manifest.json").string();
}

std::string description(const Job& job, const std::filesystem::path& results) {
  std::string text;
  const auto line = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) fmt::format_to(std::back_inserter(text), "{:<14}{}\n", name, value);
  };
  const auto time_line = [&](const std::string& name, std::int64_t wall_us) {
    if (wall_us > 0) line(name, time_text(wall_us));
  };
  const engine::Submission& asked = job.submission;
  line("job", job.id);
  line("state", to_string(job.state));
  line("", note(job));
  line("fault of", job.fault_of);
  line("operation", fmt::format("{} (version {})", asked.operation, asked.operation_version));
  for (const auto& [port, path] : asked.inputs) line("input", fmt::format("{}: {}", port, path));
  for (const auto& [name, value] : asked.parameters.items())
    line("parameter", fmt::format("{}: {}", name, value.dump()));
  for (const auto& [port, path] : asked.outputs) line("output", fmt::format("{}: {}", port, path));
  line("class", to_string(job.priority) + (job.priority == asked.priority ? "" : ", as what waits for it"));
  line("submitter", asked.submitter);
  line("key", asked.key);
  for (const std::string& id : asked.after) line("after", id);
  for (const auto& [key, value] : asked.tags) line("tag", key + "=" + value);
  time_line("submitted", job.submitted_us);
  time_line("started", job.started_us);
  time_line("finished", job.finished_us);
  if (job.attempts > 0) line("attempts", fmt::format("{} that failed", job.attempts));
  if (job.lost_leases > 0) line("lost", fmt::format("{} times with its worker", job.lost_leases));
  line("worker", job.worker);
  if (job.state == JobState::succeeded) line("device", human_duration(job.device_seconds));
  line("manifest", manifest_path(job, results));
  return text;
}

std::string table(const engine::QueueCounts& counts) {
  std::string text = fmt::format("{:<10}{:>9}{:>9}{:>9}{:>14}{:>16}\n", "CLASS", "WAITING", "QUEUED", "RUNNING",
                                 "OLDEST WAIT", "DEVICE SHARE");
  for (int i = 0; i < engine::kPriorities; ++i)
    text += count_line(to_string(static_cast<engine::Priority>(i)), counts.classes[static_cast<std::size_t>(i)]);
  fmt::format_to(std::back_inserter(text), "succeeded {}, failed {}, cancelled {}; {:.1f} a minute over the last ten\n",
                 counts.succeeded, counts.failed, counts.cancelled, counts.finished_per_minute);
  if (counts.unpublished > 0)
    fmt::format_to(std::back_inserter(text), "{} succeeded whose outputs do not have their names yet\n",
                   counts.unpublished);
  if (counts.paused) text += "paused: no job begins before `kiban resume`\n";
  return text;
}

nlohmann::json to_json(const engine::QueueCounts& counts) {
  nlohmann::json classes = nlohmann::json::object();
  for (int i = 0; i < engine::kPriorities; ++i) {
    const engine::ClassCounts& one = counts.classes[static_cast<std::size_t>(i)];
    classes[to_string(static_cast<engine::Priority>(i))] = {{"waiting", one.waiting},
                                                            {"queued", one.queued},
                                                            {"running", one.running},
                                                            {"oldest_queued_s", one.oldest_queued_s},
                                                            {"device_share", one.device_share}};
  }
  return {{"classes", classes},
          {"succeeded", counts.succeeded},
          {"failed", counts.failed},
          {"cancelled", counts.cancelled},
          {"unpublished", counts.unpublished},
          {"finished_per_minute", counts.finished_per_minute},
          {"paused", counts.paused}};
}

std::string ending(const Job& job) {
  if (job.state == JobState::failed) return fmt::format("job {} failed: {}", job.id, job.error);
  if (job.state == JobState::cancelled) return fmt::format("job {} was cancelled: {}", job.id, job.error);
  if (job.publish_error.empty()) return fmt::format("job {} succeeded", job.id);
  return fmt::format("job {} succeeded, but its outputs do not have their names yet: {}", job.id, job.publish_error);
}

int exit_status(const Job& job) {
  if (job.state == JobState::succeeded) return job.publish_error.empty() ? 0 : static_cast<int>(ErrorCode::input);
  return static_cast<int>(job.error_code.value_or(ErrorCode::internal));
}

}  // namespace kiban::cli
