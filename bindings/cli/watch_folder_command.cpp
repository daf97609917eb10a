#include "bindings/cli/watch_folder_command.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/interrupt.hpp"
#include "engine/watch_folder/watcher.hpp"
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

void print_line(nlohmann::json line) {
  const std::int64_t now_ms = engine::machine_clock().wall_us() / 1000;
  line["time"] =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(now_ms / 1000)), now_ms % 1000);
  fmt::print("{}\n", one_line(line));
  std::fflush(stdout);
}

}  // namespace

int watch_folder_command(const engine::Registry& registry, const Arguments& arguments) {
  CLI::App app("Turns the study folders of a folder into jobs: docs/watch-folder.md", "kiban watch-folder");
  std::string folder, rules_file, url;
  bool check = false;
  app.add_option("DIR", folder, "The folder to watch")->required();
  app.add_option("--rules", rules_file, "The rules, a TOML file")->required();
  app.add_option("--queue", url, "The queue; without it KIBAN_QUEUE, else the user's own");
  app.add_flag("--check", check, "Check the rules, and stop");
  if (parse(app, arguments) == Parsed::help_asked) return 0;

  std::error_code failed;
  const fs::path watched = fs::canonical(folder, failed);
  if (failed || !fs::is_directory(watched, failed))
    throw Error(ErrorCode::input, fmt::format("{}: is not a folder; make it, or name another", folder));
  const engine::TagReader reader = dicom_tags();
  const engine::WatchRules rules = engine::read_watch_rules(rules_file, watched, registry, reader);
  if (check) {
    fmt::print("{}: {} rules, no mistake found\n", rules_file, rules.rules.size());
    return 0;
  }
  const auto queue = engine::open_queue(url);
  engine::FolderWatcher watcher(watched, rules, reader, *queue, print_line);
  watch_signals();
  print_line({{"event", "watching"}, {"rules", rules.rules.size()}});
  watcher.run([] { return received_signal() != 0; });
  print_line({{"event", "stopped"}});
  return 0;
}

}  // namespace kiban::cli
