#pragma once
#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "engine/operation.hpp"

namespace kiban::cli {

using Arguments = std::vector<std::string>;

enum class Parsed { done, help_asked };

/// Parses `arguments` (the command's own name left out), or prints the help if they ask for it. Errors: usage (CLI11's
/// complaint in one line; an unknown option with the nearest known one).
Parsed parse(CLI::App& app, const Arguments& arguments);

/// The options of `kiban run` that every operation has.
const std::vector<engine::Parameter>& run_options();

/// `--spacing-mm`
std::string option_name(const std::string& name);

/// What a command line gives for one operation: names without dashes and the texts of their values.
struct RunArguments {
  std::map<std::string, std::string> operation;  ///< its ports and parameters
  engine::Values run;                            ///< run_options()
  bool help = false;
};

/// Errors: usage.
RunArguments parse_run(const engine::Operation& operation, const Arguments& arguments);

}  // namespace kiban::cli
