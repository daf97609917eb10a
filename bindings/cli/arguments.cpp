#include "bindings/cli/arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/nearest_name.hpp"
#include "kernels/core/error.hpp"

namespace kiban::cli {
namespace {

using engine::Parameter;
using engine::ParameterType;

void refuse_unknown(const CLI::App& app) {
  const Arguments unknown = app.remaining();
  if (unknown.empty()) return;
  const auto option = std::ranges::find_if(unknown, [](const std::string& text) { return text.starts_with("-"); });
  if (option == unknown.end()) throw Error(ErrorCode::usage, fmt::format("unexpected argument {}", unknown.front()));
  std::vector<std::string> known;
  for (const CLI::Option* declared : app.get_options()) known.push_back(declared->get_name());
  const std::string name = option->substr(0, option->find('='));
  throw Error(ErrorCode::usage, fmt::format("there is no option {}{}", name, engine::suggestion(name, known)));
}

constexpr int kAnyNumber = 1 << 20;

/// Texts of the options that were given, by name.
class GivenTexts {
 public:
  explicit GivenTexts(CLI::App& app) : app_(app) {}

  void declare(const Parameter& parameter) {
    if (parameter.type == ParameterType::flag) {
      options_[parameter.name] = app_.add_flag(option_name(parameter.name));
      return;
    }
    const bool three = parameter.type == ParameterType::integers3 || parameter.type == ParameterType::reals3;
    declare_valued(parameter.name, three ? 3 : 1);
  }
  void declare(const Options& options) {
    for (const Parameter& option : options.declared)
      if (options.lists.contains(option.name))
        declare_valued(option.name, kAnyNumber);
      else
        declare(option);
  }
  void declare_valued(const std::string& name, int most_values) {
    options_[name] = app_.add_option(option_name(name))->expected(1, most_values);
  }
  std::map<std::string, std::string> collect() const {
    std::map<std::string, std::string> texts;
    for (const auto& [name, option] : options_)
      if (option->count() > 0) texts[name] = fmt::format("{}", fmt::join(option->results(), ","));
    return texts;
  }

  GivenOptions collect(const Options& options) const {
    GivenOptions given;
    std::map<std::string, std::string> texts = collect();
    for (const std::string& name : options.lists)
      if (texts.erase(name) > 0) given.lists[name] = options_.at(name)->results();
    given.values = engine::Values::from_text(options.declared, texts);
    return given;
  }

 private:
  CLI::App& app_;
  std::map<std::string, CLI::Option*> options_;
};

/// Whoever asks for help may have written anything else wrong.
bool asks_for_help(const Arguments& arguments) {
  return std::ranges::count(arguments, "--help") + std::ranges::count(arguments, "-h") > 0;
}

}  // namespace

Parsed parse(CLI::App& app, const Arguments& arguments) {
  app.allow_extras();
  try {
    app.parse(Arguments(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return Parsed::help_asked;
  } catch (const CLI::ParseError& error) {
    std::string sentence = error.what();
    std::ranges::replace(sentence, '\n', ' ');
    throw Error(ErrorCode::usage, sentence);
  }
  refuse_unknown(app);
  return Parsed::done;
}

const Options& run_options() {
  static const Options options = {
      {Parameter::text("device", "Where to compute: auto (the first CUDA device, else the CPU), cpu, or cuda:N")
           .by_default("auto"),
       Parameter::integer("threads", "", "Threads of the CPU; 0 takes every core that this process may use")
           .by_default(0)
           .at_least(0)
           .at_most(4096),
       Parameter::text("simd", "Instruction set of the CPU; `kiban devices` lists them, auto takes the best")
           .by_default("auto"),
       Parameter::flag("json",
                       "Print one JSON object on standard output: timings, rate, device, memory, or the error")},
      {}};
  return options;
}

std::string option_name(const std::string& name) { return "--" + name; }

std::map<std::string, std::string> keys_and_values(const std::string& option, const std::vector<std::string>& texts) {
  std::map<std::string, std::string> values;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw Error(ErrorCode::usage, fmt::format("{} is '{}', but must be NAME=VALUE", option, text));
    values[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return values;
}

OperationArguments parse_operation(const engine::Operation& operation, const Options& options,
                                   const Arguments& arguments) {
  CLI::App app;
  app.set_help_flag();
  GivenTexts of_operation(app), of_command(app);
  for (const engine::Port& port : operation.ports) of_operation.declare_valued(port.name, 1);
  for (const Parameter& parameter : operation.parameters) of_operation.declare(parameter);
  of_command.declare(options);

  OperationArguments given;
  given.help = asks_for_help(arguments);
  if (given.help) return given;
  parse(app, arguments);
  given.operation = of_operation.collect();
  given.options = of_command.collect(options);
  return given;
}

CommandArguments parse_command(const Command& command, const Arguments& arguments) {
  CLI::App app;
  app.set_help_flag();
  GivenTexts of_command(app);
  of_command.declare(command.options);
  CommandArguments given;
  app.add_option("PLACES", given.places)->expected(0, kAnyNumber);
  given.help = asks_for_help(arguments);
  if (given.help) return given;
  parse(app, arguments);
  given.options = of_command.collect(command.options);
  if (given.places.size() > command.most_places)
    throw Error(ErrorCode::usage, "unexpected argument " + given.places[command.most_places]);
  if (given.places.size() < command.least_places)
    throw Error(ErrorCode::usage, fmt::format("`kiban {}` needs {}; `kiban {} --help` describes it", command.name,
                                              command.places, command.name));
  return given;
}

}  // namespace kiban::cli
