#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/duration.hpp"

namespace kiban::cli {
namespace {

using engine::Parameter;
using engine::Registry;

int backup(const Registry&, const CommandArguments& given) {
  const std::filesystem::path file = std::filesystem::absolute(given.places[0]);
  queue_of(given.options.values)->backup(file);
  fmt::print("{}\n", given.options.values.flag("json") ? one_line({{"backup", file.string()}}) : file.string());
  return 0;
}

int restore(const Registry&, const CommandArguments& given) {
  const engine::Restored restored =
      engine::restore_queue(queue_url(given.options.values), std::filesystem::absolute(given.places[0]));
  if (given.options.values.flag("json")) {
    fmt::print("{}\n",
               one_line({{"set_aside", restored.set_aside.string()}, {"later_results", restored.later_results}}));
    return 0;
  }
  fmt::print("restored\n");
  if (!restored.set_aside.empty()) fmt::print("the queue that was there: {}\n", restored.set_aside.string());
  if (!restored.later_results.empty())
    fmt::print("{} results are later than the backup; their jobs would run again, or are not known to it:\n",
               restored.later_results.size());
  for (const std::string& manifest : restored.later_results) fmt::print("{}\n", manifest);
  return 0;
}

int prune(const Registry&, const CommandArguments& given) {
  const engine::Values& options = given.options.values;
  const double older_than_s = parse_duration("older-than", options.text("older-than"));
  const engine::Queue::Pruned pruned = queue_of(options)->prune(older_than_s);
  if (options.flag("json"))
    fmt::print("{}\n", one_line({{"jobs", pruned.jobs}, {"folders", pruned.folders}, {"bytes", pruned.bytes}}));
  else
    fmt::print("removed {} jobs and {} folders, {:.1f} MiB\n", pruned.jobs, pruned.folders,
               static_cast<double>(pruned.bytes) / (1 << 20));
  return 0;
}

Command file_command(const std::string& name, const std::string& summary, const std::string& json) {
  Command command;
  command.name = name;
  command.summary = summary;
  command.places = "FILE";
  command.least_places = command.most_places = 1;
  command.options = {{queue_option(), json_option(json)}, {}};
  return command;
}

}  // namespace

std::vector<Command> maintenance_commands() {
  Command backing_up =
      file_command("backup", "Copies the queue into a new file, while others go on with it", "{\"backup\": the file}");
  backing_up.notes = {"Results are not in it: they lie in the folder results beside the queue."};
  backing_up.run = backup;

  Command restoring = file_command("restore", "Puts a backup in the queue's place, and lists what it does not know of",
                                   "{\"set_aside\": the file that was there, \"later_results\": manifests}");
  restoring.notes = {"Stop the workers first. The queue that was there is kept beside it."};
  restoring.run = restore;

  Command pruning;
  pruning.name = "prune";
  pruning.summary = "Removes jobs that have been over for long, and their results, and keeps a record of each";
  pruning.options = {
      {Parameter::text("older-than", "How long a job must have been over: 90s, 15m, 12h or 30d").must_be_given(),
       queue_option(), json_option("{\"jobs\", \"folders\", \"bytes\"}")},
      {}};
  pruning.notes = {"Outputs under the names that were asked for stay. The record is pruned.jsonl beside the queue."};
  pruning.run = prune;
  return {backing_up, restoring, pruning};
}

}  // namespace kiban::cli
