#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"

namespace kiban::cli {
namespace {

using engine::Job;
using engine::Parameter;
using engine::Registry;

int print_job(const Job& job, const std::string& what, const engine::Values& options) {
  if (options.flag("json"))
    fmt::print("{}\n", one_line(to_json(job)));
  else
    fmt::print("{} {}\n", job.id, what);
  return 0;
}

int cancel(const Registry&, const CommandArguments& given) {
  const engine::Values& options = given.options.values;
  const auto queue = queue_of(options);
  queue->cancel(given.places[0], options.text("why"));
  const Job job = queue->find(given.places[0]);
  // What was over before stays as it was, and says so.
  return print_job(job, is_final(job.state) ? to_string(job.state) : "is asked to stop", options);
}

int retry(const Registry&, const CommandArguments& given) {
  const auto queue = queue_of(given.options.values);
  queue->retry(given.places[0]);
  const Job job = queue->find(given.places[0]);
  return print_job(job, to_string(job.state), given.options.values);
}

Command job_command(const std::string& name, const std::string& summary) {
  Command command;
  command.name = name;
  command.summary = summary;
  command.places = "ID";
  command.least_places = command.most_places = 1;
  command.options = {{queue_option(), json_option("the job as it now is")}, {}};
  return command;
}

Command pause_command(const std::string& name, const std::string& summary, bool paused) {
  Command command;
  command.name = name;
  command.summary = summary;
  command.options = {{queue_option(), json_option("{\"paused\": true or false}")}, {}};
  command.run = [paused](const Registry&, const CommandArguments& given) {
    queue_of(given.options.values)->pause(paused);
    const char* sentence = paused ? "paused: what runs is finished, nothing else begins before `kiban resume`"
                                  : "resumed: jobs begin again";
    fmt::print("{}\n", given.options.values.flag("json") ? one_line({{"paused", paused}}) : sentence);
    return 0;
  };
  return command;
}

}  // namespace

std::vector<Command> change_commands() {
  Command cancelling = job_command("cancel", "Stops a job, and with it what waits for it");
  cancelling.options.declared.insert(
      cancelling.options.declared.begin(),
      Parameter::text("why", "The reason, for who asks later what became of it").by_default("cancelled by hand"));
  cancelling.notes = {"A job that runs stops at its worker's next heartbeat. One that is over stays as it is."};
  cancelling.run = cancel;
  Command retrying = job_command("retry", "Queues a failed or cancelled job again, and what waited for it");
  retrying.run = retry;
  return {cancelling, retrying, pause_command("pause", "Lets no more jobs begin; what runs is finished", true),
          pause_command("resume", "Lets jobs begin again after `kiban pause`", false)};
}

}  // namespace kiban::cli
