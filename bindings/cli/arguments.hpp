#pragma once
#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/operation.hpp"
#include "engine/registry.hpp"

namespace kiban::cli {

using Arguments = std::vector<std::string>;

enum class Parsed { done, help_asked };

/// Parses `arguments` (the command's own name left out), or prints the help if they ask for it. Errors: usage (CLI11's
/// complaint in one line; an unknown option with the nearest known one).
Parsed parse(CLI::App& app, const Arguments& arguments);

/// Options that are no operation's, declared as parameters are.
struct Options {
  std::vector<engine::Parameter> declared;
  std::set<std::string> lists;  ///< of them, those that take several values
};
struct GivenOptions {
  engine::Values values;                                  ///< of all but the lists
  std::map<std::string, std::vector<std::string>> lists;  ///< of those that were given
};

/// The options of `kiban run` that every operation has.
const Options& run_options();

/// `--spacing-mm`
std::string option_name(const std::string& name);

/// Of texts such as "site=north". Errors: usage (names the option).
std::map<std::string, std::string> keys_and_values(const std::string& option, const std::vector<std::string>& texts);

/// What a command line gives for one operation.
struct OperationArguments {
  std::map<std::string, std::string> operation;  ///< its ports and parameters, names without dashes, and their texts
  GivenOptions options;
  bool help = false;
};

/// Errors: usage.
OperationArguments parse_operation(const engine::Operation& operation, const Options& options,
                                   const Arguments& arguments);

struct CommandArguments {
  std::vector<std::string> places;  ///< arguments without a name
  GivenOptions options;
  bool help = false;
};

/// A command that takes no options of an operation, described by data, as operations are.
struct Command {
  std::string name;
  std::string summary;
  std::string places;  ///< arguments without a name, as the usage line shows them: "[ID]"
  std::size_t least_places = 0, most_places = 0;
  Options options;
  std::vector<std::string> notes;  ///< sentences for its help
  /// Prints to standard output and returns the exit status. Errors: of whatever it does.
  std::function<int(const engine::Registry&, const CommandArguments&)> run;
  bool hidden = false;  ///< nobody's but ours
};

/// Errors: usage.
CommandArguments parse_command(const Command& command, const Arguments& arguments);

}  // namespace kiban::cli
