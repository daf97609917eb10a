#include "bindings/cli/arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

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
  void declare_valued(const std::string& name, int most_values) {
    options_[name] = app_.add_option(option_name(name))->expected(1, most_values);
  }
  std::map<std::string, std::string> collect() const {
    std::map<std::string, std::string> texts;
    for (const auto& [name, option] : options_)
      if (option->count() > 0) texts[name] = fmt::format("{}", fmt::join(option->results(), ","));
    return texts;
  }

 private:
  CLI::App& app_;
  std::map<std::string, CLI::Option*> options_;
};

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

const std::vector<Parameter>& run_options() {
  static const std::vector<Parameter> options = {
      Parameter::text("device", "Where to compute: auto (the first CUDA device, else the CPU), cpu, or cuda:N")
          .by_default("auto"),
      Parameter::integer("threads", "", "Threads of the CPU; 0 takes every core that this process may use")
          .by_default(0)
          .at_least(0)
          .at_most(4096),
      Parameter::text("simd", "Instruction set of the CPU; `kiban devices` lists them, auto takes the best")
          .by_default("auto"),
      Parameter::flag("json", "Print one JSON object on standard output: timings, rate, device, memory, or the error")};
  return options;
}

std::string option_name(const std::string& name) { return "--" + name; }

RunArguments parse_run(const engine::Operation& operation, const Arguments& arguments) {
  CLI::App app;
  app.set_help_flag();
  GivenTexts of_operation(app), of_run(app);
  for (const engine::Port& port : operation.ports) of_operation.declare_valued(port.name, 1);
  for (const Parameter& parameter : operation.parameters) of_operation.declare(parameter);
  for (const Parameter& option : run_options()) of_run.declare(option);

  RunArguments result;
  // Whoever asks for help may have written anything else wrong.
  if (std::ranges::count(arguments, "--help") + std::ranges::count(arguments, "-h") > 0) {
    result.help = true;
    return result;
  }
  parse(app, arguments);
  result.operation = of_operation.collect();
  result.run = engine::Values::from_text(run_options(), of_run.collect());
  return result;
}

}  // namespace kiban::cli
