#pragma once
#include "bindings/cli/arguments.hpp"
#include "engine/registry.hpp"

namespace kiban::cli {

/// Watches a folder until a signal says to stop. Prints JSON lines. Errors: usage, input.
int watch_folder_command(const engine::Registry& registry, const Arguments& arguments);

}  // namespace kiban::cli
