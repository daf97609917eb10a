#pragma once
#include <string>

#include "bindings/cli/arguments.hpp"
#include "engine/registry.hpp"

namespace kiban::cli {

/// The help of `kiban run NAME --help`, `kiban ops NAME` and `kiban submit NAME --help`: ports, parameters with units,
/// defaults and ranges, and the options of the command.
///   command   "run"
std::string help_text(const engine::Operation& operation, const std::string& command, const Options& options);

/// The help of `kiban NAME --help`.
std::string help_text(const Command& command);

/// docs/operations.md.
std::string markdown(const engine::Registry& registry);

}  // namespace kiban::cli
