#include "engine/watch_folder/rules.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "engine/queue/sha256.hpp"
#include "engine/watch_folder/toml_section.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

struct Context {
  const fs::path& watched;
  const Registry& registry;
  const TagReader& reader;
};

/// One part of a path: of a file in a study, or of a folder beside it.
bool is_one_name(const std::string& text) {
  return !text.empty() && text.find('/') == std::string::npos && text != "." && text != "..";
}

/// Whether `path`, once its links are followed, lies in `folder` or is it.
bool is_within(const fs::path& path, const fs::path& folder) {
  std::error_code failed;
  const fs::path full = fs::weakly_canonical(path, failed);
  const fs::path below = (failed ? path.lexically_normal() : full).lexically_relative(folder);
  return !below.empty() && *below.begin() != "..";
}

fs::path folder_of_settings(const TomlSection& section, const std::string& key, const std::string& text,
                            const fs::path& watched) {
  const fs::path path(text);
  const toml::source_region& where = section.find(key) ? section.find(key)->source() : section.table().source();
  if (path.is_absolute()) {
    if (is_within(path, watched))
      section.refuse(where,
                     fmt::format("{} lies in the watched folder; give its name alone, or a folder elsewhere", key));
    return path;
  }
  if (!is_one_name(text))
    section.refuse(where, fmt::format("{} must be the name of a folder in the watched one, or begin with /", key));
  return watched / path;
}

WatchSettings read_settings(const TomlSection& section, const Context& context) {
  section.require_known({"quiet_s", "marker", "unmatched", "done", "submitter"});
  WatchSettings settings;
  const auto line = [&](const char* key) -> const toml::source_region& { return section.find(key)->source(); };
  settings.marker = section.text("marker").value_or("");
  if (section.find("marker") && !is_one_name(settings.marker))
    section.refuse(line("marker"), "marker must be the name of a file, without a folder");
  settings.quiet_s = section.number("quiet_s").value_or(settings.quiet_s);
  if (section.find("quiet_s") && !(settings.quiet_s > 0))
    section.refuse(line("quiet_s"), fmt::format("quiet_s is {}, but must be above 0", settings.quiet_s));
  if (std::isinf(settings.quiet_s) && settings.marker.empty())
    section.refuse(line("quiet_s"), "quiet_s is inf and there is no marker, so no study would ever be complete");
  settings.unmatched =
      folder_of_settings(section, "unmatched", section.text("unmatched").value_or("unmatched"), context.watched);
  if (const auto done = section.text("done"))
    settings.done = folder_of_settings(section, "done", *done, context.watched);
  if (settings.done == settings.unmatched)
    section.refuse(line("done"), "done and unmatched are the same folder; name two");
  // Content keys are the submitter's own: of two watched folders each has its own, unless the site says otherwise.
  settings.submitter = section.text("submitter").value_or("watch-" + sha256(context.watched.string()).substr(0, 16));
  return settings;
}

std::vector<FileCondition> read_file_conditions(const TomlSection& match) {
  const TomlSection files = match.section("files");
  std::vector<FileCondition> conditions;
  for (const auto& [key, node] : files.table()) {
    const auto least = node.value_exact<std::int64_t>();
    if (!least || *least < 1 || *least > 1'000'000)
      files.refuse(node.source(),
                   fmt::format("\"{}\" must say how many files are needed at least: 1 or more", key.str()));
    conditions.push_back({std::string(key.str()), static_cast<int>(*least)});
  }
  return conditions;
}

std::vector<TagCondition> read_tag_conditions(const TomlSection& match, const Context& context) {
  const TomlSection tags = match.section("dicom");
  std::vector<TagCondition> conditions;
  for (const auto& [key, node] : tags.table()) {
    const std::string name(key.str());
    tags.at(key.source(), [&] { context.reader.require(name); });
    conditions.push_back({name, tags.texts(name)});
  }
  return conditions;
}

/// Each key of the section is a port of this direction, and what the operation requires is there.
void require_ports(const TomlSection& rule, const TomlSection& section, const Operation& operation,
                   PortDirection direction) {
  std::vector<std::string> known;
  for (const Port& port : operation.ports)
    if (port.direction == direction) known.push_back(port.name);
  const char* kind = direction == PortDirection::in ? "input" : "output";
  for (const auto& [key, node] : section.table())
    if (std::ranges::count(known, std::string(key.str())) == 0)
      section.refuse(key.source(), fmt::format("{} has no {} {}{}", operation.name, kind, key.str(),
                                               suggestion(std::string(key.str()), known)));
  for (const Port& port : operation.ports)
    if (port.direction == direction && port.required && !section.find(port.name))
      rule.refuse(fmt::format("{} needs the {} {}: {}", operation.name, kind, port.name, port.help));
}

std::map<std::string, InputSource> read_inputs(const TomlSection& rule, const Operation& operation) {
  const TomlSection section = rule.section("inputs");
  require_ports(rule, section, operation, PortDirection::in);
  std::map<std::string, InputSource> inputs;
  for (const auto& [key, node] : section.table()) {
    const std::string port(key.str()), text = *section.text(port);
    constexpr std::string_view file = "{file:";
    if (text == "{folder}")
      inputs[port] = {InputSource::Kind::folder, ""};
    else if (text.starts_with(file) && text.ends_with('}') && text.size() > file.size() + 1)
      inputs[port] = {InputSource::Kind::file, text.substr(file.size(), text.size() - file.size() - 1)};
    else if (text.starts_with('/'))
      inputs[port] = {InputSource::Kind::path, text};
    else
      section.refuse(node.source(),
                     fmt::format("{} must be \"{{folder}}\", \"{{file:PATTERN}}\" or a path from / on", port));
  }
  return inputs;
}

std::map<std::string, OutputPath> read_outputs(const TomlSection& rule, const Operation& operation,
                                               const Context& context) {
  const TomlSection section = rule.section("outputs");
  require_ports(rule, section, operation, PortDirection::out);
  std::map<std::string, OutputPath> outputs;
  std::set<std::string> seen;
  for (const auto& [key, node] : section.table()) {
    const std::string port(key.str()), text = *section.text(port);
    section.at(
        node.source(),
        [&] {
          const OutputPath path = OutputPath::parse(text);
          for (const std::string& tag : path.tags()) context.reader.require(tag);
          if (is_within(path.fixed_folder(), context.watched))
            throw Error(ErrorCode::usage, "it would be written into the watched folder, and found there; name another");
          if (!seen.insert(text).second) throw Error(ErrorCode::usage, "another output has the same path");
          outputs[port] = path;
        },
        port + ": ");
  }
  return outputs;
}

nlohmann::json json_of(const TomlSection& section, const std::string& key, const toml::node& node) {
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  if (!node.is_array())
    section.refuse(node.source(), key + " must be a number, a text, true, false or a list of numbers");
  nlohmann::json list = nlohmann::json::array();
  for (const toml::node& each : *node.as_array()) list.push_back(json_of(section, key, each));
  return list;
}

nlohmann::json read_parameters(const TomlSection& rule, const Operation& operation) {
  const TomlSection section = rule.section("parameters");
  // Each by itself first, so that a complaint has its line; what is missing has none.
  std::vector<Parameter> alone = operation.parameters;
  for (Parameter& parameter : alone) parameter.required = false;
  nlohmann::json given = nlohmann::json::object();
  for (const auto& [key, node] : section.table()) {
    const std::string name(key.str());
    given[name] = json_of(section, name, node);
    section.at(key.source(), [&] { Values::from_json(alone, {{name, given[name]}}); });
  }
  return rule.at(rule.table().source(), [&] { return Values::from_json(operation.parameters, given).given_json(); });
}

std::map<std::string, std::string> read_job_tags(const TomlSection& rule) {
  const TomlSection section = rule.section("tags");
  std::map<std::string, std::string> tags;
  for (const auto& [key, node] : section.table()) {
    if (key.str() == kContentTag) section.refuse(key.source(), "the tag content is the content key's; take another");
    tags[std::string(key.str())] = *section.text(std::string(key.str()));
  }
  return tags;
}

/// What the queue would say of its jobs, asked before there are any.
void require_submittable(const TomlSection& rule, const WatchRule& read, const std::string& submitter) {
  Submission submission;
  submission.operation = read.operation;
  submission.operation_version = read.operation_version;
  submission.priority = read.priority;
  submission.timeout_s = read.timeout_s;
  submission.tags = read.job_tags;
  submission.submitter = submitter;
  rule.at(rule.table().source(), [&] { require_valid(submission); });
}

WatchRule read_rule(const TomlSection& section, const Context& context, const std::string& submitter) {
  section.require_known(
      {"name", "match", "operation", "priority", "timeout_s", "inputs", "outputs", "parameters", "tags"});
  WatchRule rule;
  const auto name = section.text("name"), operation_name = section.text("operation");
  if (!name || name->empty()) section.refuse("a rule needs a name");
  if (!operation_name) section.refuse("a rule needs an operation; `kiban ops` lists them");
  rule.name = *name;
  const Operation& operation = section.at(section.find("operation")->source(),
                                          [&]() { return std::cref(context.registry.find(*operation_name)); });
  rule.operation = operation.name;
  rule.operation_version = operation.version;

  const TomlSection match = section.section("match");
  match.require_known({"files", "dicom"});
  rule.files = read_file_conditions(match);
  rule.tags = read_tag_conditions(match, context);
  if (rule.files.empty() && rule.tags.empty())
    section.refuse("a rule needs match.files or match.dicom; match.files = {\"*\" = 1} takes every study");
  rule.inputs = read_inputs(section, operation);
  rule.outputs = read_outputs(section, operation, context);
  rule.parameters = read_parameters(section, operation);
  rule.job_tags = read_job_tags(section);
  if (const auto priority = section.text("priority"))
    rule.priority = section.at(section.find("priority")->source(), [&] { return priority_named(*priority); });
  rule.timeout_s = section.number("timeout_s").value_or(rule.timeout_s);
  require_submittable(section, rule, submitter);
  return rule;
}

toml::table parsed(const fs::path& file) {
  constexpr std::streamsize largest = 1 << 20;
  std::ifstream stream(file, std::ios::binary);
  std::string text(largest + 1, '\0');
  stream.read(text.data(), largest + 1);
  if (!stream.eof() || stream.bad() || stream.gcount() == 0)
    throw Error(ErrorCode::input,
                fmt::format("{}: {}", file.string(),
                            stream.gcount() > largest ? "is larger than 1 MiB, which no rules file is"
                                                      : "cannot be read, or is empty; name a rules file"));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  try {
    return toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    throw Error(ErrorCode::usage, fmt::format("{}, line {}: is not TOML: {}", file.string(), error.source().begin.line,
                                              error.description()));
  }
}

}  // namespace

std::vector<std::string> WatchRule::tag_names() const {
  std::set<std::string> names;
  for (const TagCondition& condition : tags) names.insert(condition.name);
  for (const auto& [port, path] : outputs)
    for (const std::string& tag : path.tags()) names.insert(tag);
  return {names.begin(), names.end()};
}

WatchRules read_watch_rules(const fs::path& file, const fs::path& watched, const Registry& registry,
                            const TagReader& reader) {
  const toml::table table = parsed(file);
  const TomlSection whole(file, table);
  const Context context{watched, registry, reader};
  whole.require_known({"settings", "rule"});
  WatchRules rules;
  rules.settings = read_settings(whole.section("settings"), context);
  const toml::node* list = whole.find("rule");
  if (!list || !list->is_array_of_tables() || list->as_array()->empty())
    whole.refuse(list ? list->source() : table.source(), "there is no rule; begin each with [[rule]]");
  std::set<std::string> names;
  for (const toml::node& each : *list->as_array()) {
    const TomlSection section(file, *each.as_table());
    rules.rules.push_back(read_rule(section, context, rules.settings.submitter));
    if (!names.insert(rules.rules.back().name).second)
      section.refuse(
          fmt::format("there are two rules \"{}\"; reasons would not tell them apart", rules.rules.back().name));
  }
  return rules;
}

bool file_is_like(const std::string& path, const std::string& pattern) {
  const std::string name = pattern.find('/') == std::string::npos ? path.substr(path.find_last_of('/') + 1) : path;
  return fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0;
}

bool value_is_like(const std::string& value, const std::string& pattern) {
  return fnmatch(pattern.c_str(), value.c_str(), 0) == 0;
}

}  // namespace kiban::engine
