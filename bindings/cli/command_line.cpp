#include "bindings/cli/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/interrupt.hpp"
#include "engine/nearest_name.hpp"
#include "kernels/core/error.hpp"

namespace kiban::cli {
namespace {

constexpr const char* kUsage =
    "Usage: kiban COMMAND\n\n"
    "  ops [NAME]      list the operations, or describe one\n"
    "  devices         list the devices and instruction sets\n"
    "  version         print the version\n"
    "  run OPERATION   run one; `kiban run OPERATION --help` describes its options\n\n"
    "Exit status: 0 done, 2 usage, 3 bad input or an output that cannot be written, 4 device, 1 anything else;\n"
    "130 and 143 after Ctrl-C and SIGTERM. No partial output is left behind.\n";

int dispatch(const engine::Registry& registry, const Arguments& arguments) {
  if (arguments.empty()) throw Error(ErrorCode::usage, "which command? ops, devices, version or run");
  const std::string& command = arguments[0];
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (command == "--help" || command == "-h" || command == "help") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (command == "ops") return ops_command(registry, rest);
  if (command == "devices") return devices_command(rest);
  if (command == "version" || command == "--version") return version_command(rest);
  if (command == "run") return run_command(registry, rest);
  const std::string hint = engine::suggestion(command, {"ops", "devices", "version", "run"});
  throw Error(ErrorCode::usage, fmt::format("there is no command {}{}", command,
                                            hint.empty() ? "; use ops, devices, version or run" : hint));
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
