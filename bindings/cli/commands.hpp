#pragma once
#include <memory>

#include "bindings/cli/arguments.hpp"
#include "engine/queue/queue.hpp"
#include "engine/registry.hpp"

namespace kiban::cli {

/// Each command prints to standard output and returns the exit status. Errors: usage, and those of what it runs.
int ops_command(const engine::Registry& registry, const Arguments& arguments);
int devices_command(const Arguments& arguments);
int version_command(const Arguments& arguments);
int run_command(const engine::Registry& registry, const Arguments& arguments);
int submit_command(const engine::Registry& registry, const Arguments& arguments);

/// Those that look at a queue: status, watch, queue.
std::vector<Command> look_commands();
/// Those that change what is to become of jobs: cancel, retry, pause, resume.
std::vector<Command> change_commands();
/// Those that keep a queue in order: backup, restore, prune.
std::vector<Command> maintenance_commands();
/// Those that do the work: worker, executor, replay.
std::vector<Command> work_commands();
/// The one that makes jobs of studies: watch-folder.
std::vector<Command> watch_folder_commands();

/// `--queue` and `--json`, which all of these have.
engine::Parameter queue_option();
///   what   is printed as JSON
engine::Parameter json_option(const std::string& what);
/// The URL that `--queue` gives, "" where it was not given.
std::string queue_url(const engine::Values& options);
/// Errors: those of open_queue.
std::unique_ptr<engine::Queue> queue_of(const engine::Values& options);

/// JSON as it is printed: one line; bytes that are not UTF-8 (a path may hold any) are replaced.
std::string one_line(const nlohmann::json& json);

}  // namespace kiban::cli
