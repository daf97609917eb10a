#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/interrupt.hpp"
#include "engine/worker/replay.hpp"
#include "engine/worker/worker.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::cli {
namespace {

using engine::Parameter;
using engine::Registry;

/// A file that lines are added to, or standard error.
class Log {
 public:
  explicit Log(const std::string& path) : file_(path.empty() ? stderr : std::fopen(path.c_str(), "ae")) {
    if (!file_)
      throw Error(ErrorCode::input, fmt::format("the log {} cannot be written: {}", path, std::strerror(errno)));
  }
  ~Log() {
    if (file_ != stderr) std::fclose(file_);
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  std::FILE* file() const { return file_; }

 private:
  std::FILE* file_;
};

engine::WorkerOptions worker_options(const GivenOptions& given) {
  const engine::Values& values = given.values;
  engine::WorkerOptions options;
  if (given.lists.contains("device")) options.devices = given.lists.at("device");
  options.threads = static_cast<int>(values.integer("threads"));
  options.simd = values.text("simd");
  pin_instruction_set(options.simd);  // so that a slip is told here, not by each executor
  options.limits.most_jobs = static_cast<int>(values.integer("batch"));
  options.limits.max_delay_s = values.real("max-delay-s");
  if (values.has("memory-gib"))
    options.limits.host_bytes = static_cast<std::size_t>(values.real("memory-gib") * (1 << 30));
  if (values.has("exit-when-idle")) options.exit_when_idle_s = values.real("exit-when-idle");
  return options;
}

int worker(const Registry&, const CommandArguments& given) {
  const engine::Values& values = given.options.values;
  const engine::WorkerOptions options = worker_options(given.options);
  const Log log(values.has("log") ? values.text("log") : "");
  const auto queue = queue_of(values);
  watch_signals();
  signal(SIGPIPE, SIG_IGN);  // who reads the log may go; the worker does not
  engine::Worker(*queue, options, log.file()).run([] { return received_signal() != 0; });
  if (values.flag("json"))
    fmt::print("{}\n",
               one_line({{"ended", received_signal() != 0 ? "drained" : "idle"}, {"signal", received_signal()}}));
  return 0;
}

int executor(const Registry& registry, const CommandArguments& given) {
  const nlohmann::json options = nlohmann::json::parse(given.places[0], nullptr, false);
  if (!options.is_object())
    throw Error(ErrorCode::usage, "`kiban executor` is begun by `kiban worker`; begin that one");
  return engine::run_executor(registry, options, STDIN_FILENO, STDOUT_FILENO);
}

void print(const engine::Replay& replay) {
  for (const engine::Replay::Output& output : replay.outputs)
    fmt::print("{}: {} {}\n", output.port, output.sha256 == output.expected_sha256 ? "identical," : "differs,",
               output.sha256);
  for (const std::string& difference : replay.differences) fmt::print("not as it was: {}\n", difference);
}

nlohmann::json to_json(const engine::Replay& replay) {
  nlohmann::json outputs = nlohmann::json::array();
  for (const engine::Replay::Output& output : replay.outputs)
    outputs.push_back({{"port", output.port}, {"expected_sha256", output.expected_sha256}, {"sha256", output.sha256}});
  return {{"identical", replay.identical()}, {"outputs", outputs}, {"differences", replay.differences}};
}

int replay(const Registry& registry, const CommandArguments& given) {
  const engine::Values& values = given.options.values;
  pin_instruction_set(values.text("simd"));
  Stream stream(parse_device(values.text("device")), static_cast<int>(values.integer("threads")));
  const engine::Replay replayed = engine::replay(registry, given.places[0], stream);
  if (values.flag("json"))
    fmt::print("{}\n", one_line(to_json(replayed)));
  else
    print(replayed);
  return replayed.identical() ? 0 : static_cast<int>(ErrorCode::internal);
}

/// Of the options of a run, those that a worker passes on.
Parameter run_option(const std::string& name) {
  for (const Parameter& option : run_options().declared)
    if (option.name == name) return option;
  throw Error(ErrorCode::internal, "a run has no option " + name);
}

Command worker_command() {
  Command command;
  command.name = "worker";
  command.summary = "Takes jobs from the queue and runs them, batched, until it is told to stop";
  const engine::BatchLimits usual;
  command.options = {
      {Parameter::text("device", "Where to compute: cpu, cuda:N, or several of them")
           .or_else("every CUDA device, or else the CPU"),
       run_option("threads"), run_option("simd"),
       Parameter::integer("batch", "", "Most jobs that share a launch")
           .by_default(std::int64_t{usual.most_jobs})
           .at_least(1)
           .at_most(4096),
       Parameter::real("max-delay-s", "s", "How long a job waits for company; a stat job never does")
           .by_default(usual.max_delay_s)
           .at_least(0)
           .at_most(3600),
       Parameter::real("memory-gib", "GiB", "Memory for all jobs that are loaded and not yet stored")
           .or_else("80 % of what is free")
           .above(0)
           .at_most(1e6),
       Parameter::real("exit-when-idle", "s", "Ends after so long without a job that is queued or runs")
           .or_else("never")
           .at_least(0),
       Parameter::text("log", "The file that the log is added to, a JSON object a line").or_else("standard error"),
       queue_option(), json_option("why it ended")},
      {"device"}};
  command.notes = {
      "SIGTERM and Ctrl-C drain: what computes is finished, the rest is given back, exit status 0. A second signal "
      "ends it at once; its jobs run again when their lease has passed.",
      "Several workers may serve one queue. Each begins one executor process a device, and begins it anew if it dies.",
      "The log has ids, codes, stages and times; never values, paths or names."};
  command.run = worker;
  return command;
}

Command executor_command() {
  Command command;
  command.name = "executor";
  command.summary = "Runs what a worker assigns to it";
  command.places = "OPTIONS";
  command.least_places = command.most_places = 1;
  command.hidden = true;
  command.run = executor;
  return command;
}

Command replay_command() {
  Command command;
  command.name = "replay";
  command.summary = "Runs again what a manifest.json describes, and compares the digests of the results";
  command.places = "MANIFEST";
  command.least_places = command.most_places = 1;
  command.options = {{run_option("device"), run_option("threads"), run_option("simd"),
                      json_option("{\"identical\", \"outputs\", \"differences\"}")},
                     {}};
  command.notes = {
      "Results are identical on the same model of device and instruction set; where they are not, exit status 1 and "
      "what is not as it was. `kiban status ID` says where the manifest of a job lies."};
  command.run = replay;
  return command;
}

}  // namespace

std::vector<Command> work_commands() { return {worker_command(), executor_command(), replay_command()}; }

}  // namespace kiban::cli
