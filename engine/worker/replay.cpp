#include "engine/worker/replay.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/runner.hpp"
#include "engine/worker/attempt.hpp"
#include "engine/worker/durable_file.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

/// A folder that goes with everything in it.
class PassingFolder {
 public:
  PassingFolder() {
    std::string name = (fs::temp_directory_path() / "kiban-replay-XXXXXX").string();
    if (!mkdtemp(name.data())) throw write_failure(name, errno);
    path_ = name;
  }
  ~PassingFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  PassingFolder(const PassingFolder&) = delete;
  PassingFolder& operator=(const PassingFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

nlohmann::json read_manifest(const fs::path& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::input, fmt::format("{}: cannot be read; name a manifest.json", path.string()));
  nlohmann::json manifest = nlohmann::json::parse(file, nullptr, false);
  if (!manifest.is_object() || manifest.value("manifest", nlohmann::json()) != 1)
    throw Error(ErrorCode::input,
                fmt::format("{}: is not the manifest of a result; name a manifest.json", path.string()));
  return manifest;
}

void require_same_inputs(const nlohmann::json& manifest) {
  for (const auto& [port, files] : manifest.at("inputs").items())
    for (const nlohmann::json& file : files) {
      const auto path = file.at("path").get<std::string>();
      if (digest_of(path).sha256 != file.at("sha256").get<std::string>())
        throw Error(ErrorCode::input, fmt::format("{}: has changed since the run (port {}); bring back the file whose "
                                                  "SHA-256 the manifest names",
                                                  path, port));
    }
}

std::vector<std::string> differences(const nlohmann::json& manifest, const nlohmann::json& report) {
  std::vector<std::string> found;
  for (const auto& [field, words] :
       {std::pair{"version", "version of Kiban"}, std::pair{"device", "device"},
        std::pair{"device_model", "device model"}, std::pair{"instruction_set", "instruction set"}}) {
    const auto then = manifest.at(field).get<std::string>(), now = report.at(field).get<std::string>();
    if (then != now) found.push_back(fmt::format("{}: {} then, {} now", words, then, now));
  }
  return found;
}

Replay replay_of(const Registry& registry, const nlohmann::json& manifest, Stream& stream) {
  const PassingFolder folder;
  Assignment assignment;
  assignment.submission = submission_from_json(manifest.at("submission"));
  assignment.folder = folder.path();
  const Operation& operation = registry.find(assignment.submission.operation);
  const Request request = request_of(assignment, operation);
  require_same_inputs(manifest);

  Progress progress;
  Replay replay;
  replay.differences = differences(manifest, to_json(run(operation, request, stream, progress)));
  for (const auto& [port, path] : assignment.submission.outputs)
    replay.outputs.push_back({port, manifest.at("outputs").at(port).at("sha256").get<std::string>(),
                              digest_of(folder.path() / file_in_attempt(port, path)).sha256});
  return replay;
}

}  // namespace

bool Replay::identical() const {
  return std::ranges::all_of(outputs, [](const Output& output) { return output.sha256 == output.expected_sha256; });
}

Replay replay(const Registry& registry, const fs::path& path, Stream& stream) {
  const nlohmann::json manifest = read_manifest(path);
  try {
    return replay_of(registry, manifest, stream);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::input, fmt::format("{}: lacks a field of a manifest, or has one of another type; name "
                                              "another",
                                              path.string()));
  }
}

}  // namespace kiban::engine
