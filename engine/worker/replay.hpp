#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "engine/registry.hpp"
#include "kernels/core/stream.hpp"

namespace kiban::engine {

/// How a replay compares with what the manifest says.
struct Replay {
  struct Output {
    std::string port, expected_sha256, sha256;
  };
  std::vector<Output> outputs;
  std::vector<std::string> differences;  ///< of device model, instruction set, version: reasons for other digests
  /// Every output has the digest that the manifest says.
  bool identical() const;
};

/// Runs again what a manifest describes, into a folder of its own that is removed, and compares the digests.
/// Errors: input (the manifest is not one; an input is missing or has another digest) · usage (this build has not the
/// operation in that version) · and those of the run.
Replay replay(const Registry& registry, const std::filesystem::path& manifest, Stream& stream);

}  // namespace kiban::engine
