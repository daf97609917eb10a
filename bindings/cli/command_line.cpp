#include "bindings/cli/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/description.hpp"
#include "bindings/cli/interrupt.hpp"
#include "engine/nearest_name.hpp"
#include "kernels/core/error.hpp"

namespace kiban::cli {
namespace {

constexpr const char* kUsage =
    "Usage: kiban COMMAND\n\n"
    "  ops [NAME]        list the operations, or describe one\n"
    "  devices           list the devices and instruction sets\n"
    "  version           print the version\n"
    "  run OPERATION     run one; `kiban run OPERATION --help` describes its options\n\n"
    "A queue of jobs, and who runs them\n"
    "  submit OPERATION  put a job into the queue; --from FILE: many\n"
    "  status [ID]       list the latest jobs, or tell all of one\n"
    "  watch [ID]        follow a job, or the queue, to the end\n"
    "  cancel ID         stop a job\n"
    "  retry ID          queue a failed or cancelled job again\n"
    "  queue             jobs of each class, the oldest wait, rates, settings\n"
    "  worker            take jobs and run them\n"
    "  watch-folder DIR  turn the study folders of a folder into jobs, by rules\n"
    "  replay MANIFEST   run again what a result records, and compare\n"
    "  pause, resume     let no more jobs begin, and again\n"
    "  backup FILE       copy the queue\n"
    "  restore FILE      put a copy in its place\n"
    "  prune             remove what has been over for long\n\n"
    "`kiban COMMAND --help` describes its options.\n\n"
    "Exit status: 0 done, 2 usage, 3 bad input or an output that cannot be written, 4 device, 1 anything else;\n"
    "130 and 143 after Ctrl-C and SIGTERM. No partial output is left behind.\n";

/// What is described by data.
std::vector<Command> described_commands() {
  std::vector<Command> all;
  for (std::vector<Command> some :
       {look_commands(), change_commands(), maintenance_commands(), work_commands(), watch_folder_commands()})
    for (Command& command : some) all.push_back(std::move(command));
  return all;
}

int run(const Command& command, const engine::Registry& registry, const Arguments& arguments) {
  const CommandArguments given = parse_command(command, arguments);
  if (!given.help) return command.run(registry, given);
  fmt::print("{}", help_text(command));
  return 0;
}

int dispatch(const engine::Registry& registry, const Arguments& arguments) {
  if (arguments.empty()) throw Error(ErrorCode::usage, "which command? `kiban help` lists them");
  const std::string& name = arguments[0];
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (name == "--help" || name == "-h" || name == "help") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (name == "ops") return ops_command(registry, rest);
  if (name == "devices") return devices_command(rest);
  if (name == "version" || name == "--version") return version_command(rest);
  if (name == "run") return run_command(registry, rest);
  if (name == "submit") return submit_command(registry, rest);
  std::vector<std::string> known = {"ops", "devices", "version", "run", "submit"};
  for (const Command& command : described_commands()) {
    if (command.name == name) return run(command, registry, rest);
    if (!command.hidden) known.push_back(command.name);
  }
  const std::string hint = engine::suggestion(name, known);
  throw Error(ErrorCode::usage,
              fmt::format("there is no command {}{}", name, hint.empty() ? "; `kiban help` lists them" : hint));
}

const char* kind(int status) {
  switch (status) {
    case static_cast<int>(ErrorCode::usage):
      return "usage";
    case static_cast<int>(ErrorCode::input):
      return "input";
    case static_cast<int>(ErrorCode::device):
      return "device";
    case static_cast<int>(ErrorCode::internal):
      return "internal";
    default:
      return "cancelled";
  }
}

/// One line on standard error, and with --json one object on standard output.
int fail(int status, std::string sentence, bool as_json) {
  std::ranges::replace(sentence, '\n', ' ');
  std::fputs(fmt::format("kiban: {}\n", sentence).c_str(), stderr);  // must not throw, even where stderr is closed
  if (as_json)
    fmt::print("{}\n", one_line({{"error", {{"code", status}, {"kind", kind(status)}, {"message", sentence}}}}));
  return status;
}

int guarded(const engine::Registry& registry, const Arguments& arguments) {
  const bool as_json = std::ranges::count(arguments, "--json") > 0;
  try {
    return dispatch(registry, arguments);
  } catch (const Error& error) {
    return fail(static_cast<int>(error.code()), error.what(), as_json);
  } catch (const engine::Cancelled&) {
    return fail(128 + received_signal(), "stopped by a signal; no output was written", as_json);
  } catch (const std::bad_alloc&) {
    return fail(static_cast<int>(ErrorCode::input),
                "memory ran out; ask for fewer or larger voxels, or free some memory", as_json);
  } catch (const std::exception& error) {
    return fail(static_cast<int>(ErrorCode::internal), std::string("internal error: ") + error.what(), as_json);
  }
}

}  // namespace

int command_line(const engine::Registry& registry, int argc, char** argv) {
  const int status = guarded(registry, {argv + 1, argv + argc});
  // A full disk behind a redirection is found out only here.
  if (std::fflush(stdout) == 0) return status;
  return fail(static_cast<int>(ErrorCode::internal), "standard output cannot be written", false);
}

}  // namespace kiban::cli
