#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/follow.hpp"
#include "bindings/cli/interrupt.hpp"
#include "bindings/cli/job_text.hpp"
#include "bindings/cli/progress_bar.hpp"
#include "bindings/cli/queue_settings.hpp"
#include "engine/queue/queue.hpp"
#include "engine/registry.hpp"

namespace kiban::cli {
namespace {

using engine::Job;
using engine::Parameter;
using engine::Queue;
using engine::Registry;

engine::JobFilter filter_of(const GivenOptions& given) {
  engine::JobFilter filter;
  const engine::Values& values = given.values;
  if (values.has("state")) filter.state = engine::state_named(values.text("state"));
  if (values.has("submitter")) filter.submitter = values.text("submitter");
  if (values.has("operation")) filter.operation = values.text("operation");
  if (given.lists.contains("tag")) filter.tags = keys_and_values("tag", given.lists.at("tag"));
  filter.most = static_cast<int>(values.integer("most"));
  return filter;
}

int status(const Registry&, const CommandArguments& given) {
  const engine::Values& options = given.options.values;
  const auto queue = queue_of(options);
  const bool json = options.flag("json");
  if (!given.places.empty()) {
    const Job job = queue->find(given.places[0]);
    nlohmann::json all = to_json(job);
    all["manifest"] = manifest_path(job, queue->results());
    fmt::print("{}", json ? one_line(all) + "\n" : description(job, queue->results()));
    return 0;
  }
  const std::vector<Job> jobs = queue->list(filter_of(given.options));
  nlohmann::json list = nlohmann::json::array();
  for (const Job& job : jobs) list.push_back(to_json(job));
  fmt::print("{}", json ? one_line({{"jobs", list}}) + "\n" : table(jobs));
  return 0;
}

/// A line for each change that is worth one: of a fraction only a progress bar makes something.
int watch_job(const Queue& queue, const std::string& id, bool json) {
  watch_signals();
  ProgressBar bar;
  std::string told;
  const std::vector<Job> jobs = follow(queue, {id}, [&](const Job& job) {
    const bool runs = job.state == engine::JobState::running;
    const std::string where = to_string(job.state) + (runs && !job.stage.empty() ? ", " + job.stage : "");
    if (json) {
      fmt::print("{}\n", one_line(to_json(job)));
    } else if (where != told) {
      bar.clear();
      fmt::print("{} {}\n", job.id, where);
    }
    told = where;
    std::fflush(stdout);
    if (runs) bar.show(job.stage, job.fraction);
  });
  bar.clear();
  if (received_signal() != 0) return 128 + received_signal();
  if (exit_status(jobs[0]) != 0) std::fputs(fmt::format("kiban: {}\n", ending(jobs[0])).c_str(), stderr);
  return exit_status(jobs[0]);
}

bool has_work(const engine::QueueCounts& counts) {
  std::int64_t unfinished = counts.unpublished;
  for (const engine::ClassCounts& one : counts.classes) unfinished += one.waiting + one.queued + one.running;
  return unfinished > 0;
}

/// Each look below the one before: what has scrolled away can be read again.
int watch_queue(const Queue& queue, bool json) {
  watch_signals();
  Changes changes(queue);
  std::string told;
  while (true) {
    const engine::QueueCounts counts = queue.counts();
    // How long the oldest has waited changes all the time, and is no news.
    engine::QueueCounts news = counts;
    for (engine::ClassCounts& one : news.classes) one.oldest_queued_s = one.device_share = 0;
    news.finished_per_minute = 0;
    if (const std::string now = one_line(to_json(news)); now != told) {
      fmt::print("{}\n", json ? one_line(to_json(counts)) : table(counts));
      std::fflush(stdout);
      told = now;
    }
    if (!has_work(counts)) return 0;
    if (!changes.wait()) return 128 + received_signal();
  }
}

int watch(const Registry&, const CommandArguments& given) {
  const engine::Values& options = given.options.values;
  const auto queue = queue_of(options);
  if (given.places.empty()) return watch_queue(*queue, options.flag("json"));
  return watch_job(*queue, given.places[0], options.flag("json"));
}

void print_settings(const engine::QueueSettings& settings, bool json) {
  const std::map<std::string, engine::Value> values = to_values(settings);
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, value] : values) object[name] = engine::to_json(value);
  if (json) {
    fmt::print("{}\n", one_line({{"settings", object}}));
    return;
  }
  for (const Parameter& setting : queue_settings())
    fmt::print("{:<28}{:<10}{}\n", setting.name,
               engine::to_text(values.at(setting.name)) + (setting.unit.empty() ? "" : " " + setting.unit),
               setting.help);
}

int queue_counts(const Registry&, const CommandArguments& given) {
  const engine::Values& options = given.options.values;
  const auto queue = queue_of(options);
  const auto changes = given.options.lists.find("set");
  if (changes != given.options.lists.end()) queue->change_settings(changed(queue->settings(), changes->second));
  if (changes != given.options.lists.end() || options.flag("settings")) {
    print_settings(queue->settings(), options.flag("json"));
    return 0;
  }
  const engine::QueueCounts counts = queue->counts();
  fmt::print("{}", options.flag("json") ? one_line(to_json(counts)) + "\n" : table(counts));
  return 0;
}

Command status_command() {
  Command command;
  command.name = "status";
  command.summary = "Lists the latest jobs, or tells all of one: also where the manifest of its result lies";
  command.places = "[ID]";
  command.most_places = 1;
  command.options = {{Parameter::choice("state", {"waiting", "queued", "running", "succeeded", "failed", "cancelled"},
                                        "Only jobs of this state"),
                      Parameter::text("submitter", "Only jobs of this submitter"),
                      Parameter::text("operation", "Only jobs of this operation"),
                      Parameter::text("tag", "Only jobs with these tags, as site=north"),
                      Parameter::integer("most", "", "So many of the latest").by_default(20).at_least(1).at_most(1e6),
                      queue_option(), json_option("{\"jobs\": [...]}, or the one job")},
                     {"tag"}};
  command.run = status;
  return command;
}

Command watch_command() {
  Command command;
  command.name = "watch";
  command.summary = "Follows a job until it is over, or the whole queue until nothing is left to do in it";
  command.places = "[ID]";
  command.most_places = 1;
  command.options = {{queue_option(), json_option("the job, or the counts, whenever they change, an object a line")},
                     {}};
  command.notes = {"The exit status is that of the job: 0, or that of its error, 1 where it was cancelled.",
                   "Ctrl-C ends the watching, not the job."};
  command.run = watch;
  return command;
}

Command queue_command() {
  Command command;
  command.name = "queue";
  command.summary = "Tells how many jobs of each class wait, are queued and run, the oldest wait, and how fast it goes";
  command.options = {{Parameter::flag("settings", "Print the queue's settings instead"),
                      Parameter::text("set", "Change settings, as lease-s=30, for all who use the queue"),
                      queue_option(), json_option("the counts, or the settings")},
                     {"set"}};
  command.run = queue_counts;
  return command;
}

}  // namespace

std::vector<Command> look_commands() { return {status_command(), watch_command(), queue_command()}; }

}  // namespace kiban::cli
