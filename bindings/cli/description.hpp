#pragma once
#include <string>

#include "engine/registry.hpp"

namespace kiban::cli {

/// The help of `kiban run NAME --help` and `kiban ops NAME`: ports, parameters with units, defaults and ranges,
/// options.
std::string help_text(const engine::Operation& operation);

/// docs/operations.md.
std::string markdown(const engine::Registry& registry);

}  // namespace kiban::cli
