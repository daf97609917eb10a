#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/interrupt.hpp"
#include "engine/watch_folder/watcher.hpp"
#include "engine/worker/worker_log.hpp"
#include "io/dicom_reader.hpp"
#include "kernels/core/error.hpp"

namespace kiban::cli {
namespace {

namespace fs = std::filesystem;

/// What rules ask of files, answered for DICOM.
engine::TagReader dicom_tags() {
  engine::TagReader reader;
  reader.require = [](const std::string& name) { io::dicom_reader().tag(name); };
  reader.read = [](const fs::path& file,
                   const std::vector<std::string>& names) -> std::optional<engine::TagReader::Values> {
    std::vector<io::DicomTag> tags;
    for (const std::string& name : names) tags.push_back(io::dicom_reader().tag(name));
    const auto found = io::dicom_reader().values(file, tags);
    if (!found) return std::nullopt;
    engine::TagReader::Values values;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (const auto value = found->find(tags[i]); value != found->end()) values[names[i]] = value->second;
    return values;
  };
  return reader;
}

int watch_folder(const engine::Registry& registry, const CommandArguments& given) {
  const engine::Values& values = given.options.values;
  std::error_code failed;
  const fs::path watched = fs::canonical(given.places[0], failed);
  if (failed || !fs::is_directory(watched, failed))
    throw Error(ErrorCode::input, fmt::format("{}: is not a folder; make it, or name another", given.places[0]));
  const engine::TagReader reader = dicom_tags();
  const engine::WatchRules rules = engine::read_watch_rules(values.text("rules"), watched, registry, reader);
  if (values.flag("check")) {
    if (values.flag("json"))
      fmt::print("{}\n", one_line({{"rules", rules.rules.size()}}));
    else
      fmt::print("{}: {} rules, without a mistake\n", values.text("rules"), rules.rules.size());
    return 0;
  }
  const auto queue = queue_of(values);
  engine::WorkerLog log(stderr);
  engine::FolderWatcher watcher(watched, rules, reader, *queue,
                                [&](const char* event, const nlohmann::json& fields) { log.write(event, fields); });
  watch_signals();
  log.write("watching", {{"rules", rules.rules.size()}});
  watcher.run([] { return received_signal() != 0; });
  log.write("stopped");
  if (values.flag("json")) fmt::print("{}\n", one_line({{"ended", "stopped"}, {"signal", received_signal()}}));
  return 0;
}

}  // namespace

std::vector<Command> watch_folder_commands() {
  using engine::Parameter;
  Command command;
  command.name = "watch-folder";
  command.summary = "Submits every study folder that is complete as a job, by rules, and moves it when it is done";
  command.places = "DIR";
  command.least_places = command.most_places = 1;
  command.options = {{Parameter::text("rules", "The rules, a TOML file: docs/watch-folder.md").must_be_given(),
                      Parameter::flag("check", "Only check the rules"), queue_option(),
                      json_option("why it ended, or what --check found")},
                     {}};
  command.notes = {
      "Runs until SIGTERM or Ctrl-C; what was not submitted is found again at the next start, what was is not "
      "submitted twice.",
      "The log, on standard error, has ids, codes, stages and times; never values, paths or names."};
  command.run = watch_folder;
  return {command};
}

}  // namespace kiban::cli
