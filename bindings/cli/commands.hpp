#pragma once
#include "bindings/cli/arguments.hpp"
#include "engine/registry.hpp"

namespace kiban::cli {

/// Each command prints to standard output and returns the exit status. Errors: usage, and those of what it runs.
int ops_command(const engine::Registry& registry, const Arguments& arguments);
int devices_command(const Arguments& arguments);
int version_command(const Arguments& arguments);
int run_command(const engine::Registry& registry, const Arguments& arguments);

/// JSON as it is printed: one line; bytes that are not UTF-8 (a path may hold any) are replaced.
std::string one_line(const nlohmann::json& json);

}  // namespace kiban::cli
