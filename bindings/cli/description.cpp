#include "bindings/cli/description.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
namespace kiban::cli {
namespace {

using engine::Operation;
using engine::Parameter;
using engine::ParameterType;
using engine::Port;
using engine::PortDirection;

constexpr std::size_t kLine = 100, kIndent = 28;

/// What stands for the value after an option's name.
std::string placeholder(const Parameter& parameter) {
  switch (parameter.type) {
    case ParameterType::integer:
      return "N";
    case ParameterType::real:
      return "X";
    case ParameterType::flag:
      return "";
    case ParameterType::text:
      return "TEXT";
    case ParameterType::choice:
      return "NAME";
    case ParameterType::integers3:
      return "N [N N]";
    case ParameterType::reals3:
      return "X [X X]";
  }
  return "";
}

std::string value_with_unit(const Parameter& parameter, const std::string& text) {
  return parameter.unit.empty() ? text : text + " " + parameter.unit;
}

/// "required", "default 360", or what happens without it.
std::string default_of(const Parameter& parameter) {
  if (parameter.required) return "required";
  if (parameter.type == ParameterType::flag) return "";
  if (parameter.default_value)
    return "default " + value_with_unit(parameter, engine::to_text(*parameter.default_value));
  return parameter.otherwise.empty() ? "" : "default: " + parameter.otherwise;
}

/// "mm; default 1000 mm; above 0"
std::string facts(const Parameter& parameter) {
  std::vector<std::string> parts;
  if (!parameter.unit.empty() && !parameter.default_value) parts.push_back("in " + parameter.unit);
  if (const std::string text = default_of(parameter); !text.empty()) parts.push_back(text);
  if (const std::string range = engine::allowed(parameter); !range.empty()) parts.push_back(range);
  return parts.empty() ? "" : fmt::format(" ({})", fmt::join(parts, "; "));
}

std::string facts(const Port& port) {
  return fmt::format(" ({}{})", engine::to_string(port.kind), port.required ? "; required" : "");
}

/// Words from `indent` on, broken before `kLine`.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string lines;
  std::size_t place = indent, begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (place > indent && place + 1 + word.size() > kLine) {
      lines += "\n" + std::string(indent, ' ');
      place = indent;
    } else if (place > indent) {
      lines += " ";
      ++place;
    }
    lines += word;
    place += word.size();
    begin = end + 1;
  }
  return lines;
}

std::string option_line(const std::string& name, const std::string& value, const std::string& text) {
  std::string head = "  " + option_name(name) + (value.empty() ? "" : " " + value);
  head += head.size() + 2 > kIndent ? "\n" + std::string(kIndent, ' ') : std::string(kIndent - head.size(), ' ');
  return head + wrapped(text, kIndent) + "\n";
}

std::string ports_section(const Operation& operation, PortDirection direction, const std::string& title) {
  std::string lines;
  for (const Port& port : operation.ports)
    if (port.direction == direction) lines += option_line(port.name, "PATH", port.help + facts(port));
  return lines.empty() ? "" : "\n" + title + "\n" + lines;
}

std::string options_section(const Options& options, const std::string& title) {
  std::string lines;
  for (const Parameter& option : options.declared)
    lines += option_line(option.name, placeholder(option) + (options.lists.contains(option.name) ? " ..." : ""),
                         option.help + facts(option));
  return lines.empty() ? "" : "\n" + title + "\n" + lines;
}

std::string notes_section(const std::vector<std::string>& notes) {
  std::string text = notes.empty() ? "" : "\nNotes\n";
  for (const std::string& note : notes) text += "  - " + wrapped(note, 4) + "\n";
  return text;
}

std::string usage_line(const Operation& operation, const std::string& command) {
  std::string usage = fmt::format("kiban {} {}", command, operation.name);
  for (const Port& port : operation.ports)
    if (port.required) usage += fmt::format(" {} PATH", option_name(port.name));
  for (const Parameter& parameter : operation.parameters)
    if (parameter.required) usage += fmt::format(" {} {}", option_name(parameter.name), placeholder(parameter));
  return usage + " [OPTION ...]";
}

std::string code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

void append_markdown(std::string& page, const Operation& operation) {
  const auto out = std::back_inserter(page);
  fmt::format_to(out, "\n## {}\n\n{}. Version {}.\n\n    {}\n", operation.name, operation.summary, operation.version,
                 usage_line(operation, "run"));
  for (const std::string& note : operation.notes) fmt::format_to(out, "\n- {}", note);
  if (!operation.notes.empty()) page += "\n";
  page += "\n| port | | kind | |\n|---|---|---|---|\n";
  for (const Port& port : operation.ports)
    fmt::format_to(out, "| `{}` | {}{} | {} | {} |\n", option_name(port.name),
                   port.direction == PortDirection::in ? "in" : "out", port.required ? ", required" : "",
                   engine::to_string(port.kind), port.help);
  if (operation.parameters.empty()) return;
  page += "\n| parameter | unit | default | allowed | |\n|---|---|---|---|---|\n";
  for (const Parameter& parameter : operation.parameters) {
    std::string standard = parameter.required ? "required" : parameter.otherwise;
    if (parameter.default_value) standard = code(engine::to_text(*parameter.default_value));
    const std::string name =
        option_name(parameter.name) + (parameter.type == ParameterType::flag ? "" : " " + placeholder(parameter));
    fmt::format_to(out, "| `{}` | {} | {} | {} | {} |\n", name, parameter.unit, standard, engine::allowed(parameter),
                   parameter.help);
  }
}

}  // namespace

std::string help_text(const Operation& operation, const std::string& command, const Options& options) {
  const std::string title = fmt::format("{}: {} (version {})", operation.name, operation.summary, operation.version);
  std::string text = fmt::format("{}\n\nUsage: {}\n", wrapped(title, 0), wrapped(usage_line(operation, command), 7));
  text += ports_section(operation, PortDirection::in, "Inputs");
  text += ports_section(operation, PortDirection::out, "Outputs");
  text += options_section({operation.parameters, {}}, "Parameters");
  text += options_section(options, command == "run" ? "Run" : "Queue");
  return text + notes_section(operation.notes);
}

std::string help_text(const Command& command) {
  const std::string places = command.places.empty() ? "" : " " + command.places;
  return fmt::format("{}\n\nUsage: kiban {}{} [OPTION ...]\n{}{}", wrapped(command.summary, 0), command.name, places,
                     options_section(command.options, "Options"), notes_section(command.notes));
}

std::string markdown(const engine::Registry& registry) {
  std::string page =
      "# Operations\n\n"
      "Generated from the declarations by `kiban ops --markdown`; a test keeps this page and the command the same.\n"
      "Numbers of three (`N [N N]`) run along x, y, z; one number stands for three equal ones.\n"
      "Every operation also has the options of the run:\n\n";
  for (const Parameter& option : run_options().declared)
    page +=
        fmt::format("- `{}{}`: {}{}.\n", option_name(option.name),
                    option.type == ParameterType::flag ? "" : " " + placeholder(option), option.help, facts(option));
  for (const Operation& operation : registry.operations()) append_markdown(page, operation);
  return page;
}

}  // namespace kiban::cli
