#pragma once
#include "engine/registry.hpp"

namespace kiban::cli {

/// The whole command, with the operations of `registry`: a program that calls it from its `main` is `kiban`, also as
/// the executor that a worker begins. Returns the exit status; never throws.
int command_line(const engine::Registry& registry, int argc, char** argv);

}  // namespace kiban::cli
