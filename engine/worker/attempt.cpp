#include "engine/worker/attempt.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "engine/durable_file.hpp"
#include "engine/files.hpp"
#include "engine/nearest_name.hpp"
#include "engine/sha256.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

Error read_failure(const fs::path& file, int error_number) {
  // What the disk refuses, it may give another time; what is not there, or not permitted, is the request's fault.
  const bool of_the_machine = error_number == EIO || error_number == EMFILE || error_number == ENFILE;
  return {ErrorCode::input,
          fmt::format("{}: cannot be read ({}); check the file", file.string(),
                      std::generic_category().message(error_number)),
          of_the_machine ? error_number : 0};
}

void bind_file(Request& request, const Operation& operation, PortDirection direction, const std::string& port,
               const fs::path& file) {
  std::vector<std::string> known;
  for (const Port& declared : operation.ports)
    if (declared.direction == direction) known.push_back(declared.name);
  if (std::ranges::count(known, port) == 0)
    throw Error(ErrorCode::usage,
                fmt::format("{} has no {} {}{}", operation.name, direction == PortDirection::in ? "input" : "output",
                            port, suggestion(port, known)));
  request.ports[port] = file;
}

nlohmann::json digest_json(const fs::path& file, const std::string& path) {
  const FileDigest digest = digest_of(file);
  return {{"path", path}, {"sha256", digest.sha256}, {"bytes", digest.bytes}};
}

nlohmann::json inputs_json(const Submission& submission, const Operation& operation) {
  nlohmann::json inputs = nlohmann::json::object();
  for (const Port& port : operation.ports) {
    const auto given = submission.inputs.find(port.name);
    if (port.direction != PortDirection::in || given == submission.inputs.end()) continue;
    nlohmann::json& files = inputs[port.name] = nlohmann::json::array();
    for (const fs::path& file : files_behind(port.kind, given->second))
      files.push_back(digest_json(file, file.string()));
  }
  return inputs;
}

nlohmann::json outputs_json(const Assignment& assignment) {
  nlohmann::json outputs = nlohmann::json::object();
  for (const auto& [port, asked_for] : assignment.submission.outputs) {
    const std::string name = file_in_attempt(port, asked_for);
    nlohmann::json& output = outputs[port] = digest_json(assignment.folder / name, asked_for);
    output["file"] = name;
    for (const std::string& more : names_beside(assignment.folder, name)) {
      nlohmann::json beside = digest_json(assignment.folder / (name + more), asked_for + more);
      beside["file"] = name + more;
      output["beside"].push_back(std::move(beside));
    }
  }
  return outputs;
}

std::string utc_now() {
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
}

}  // namespace

FileDigest digest_of(const fs::path& path) {
  const FileDescriptor file(path, O_RDONLY);
  if (file.number() >= 0) posix_fadvise(file.number(), 0, 0, POSIX_FADV_SEQUENTIAL);
  Sha256 sha256;
  FileDigest digest;
  const int failure = try_read_all(file, [&](std::string_view block) {
    sha256.add(block);
    digest.bytes += block.size();
  });
  if (failure != 0) throw read_failure(path, failure);
  digest.sha256 = sha256.hexadecimal();
  return digest;
}

std::string file_in_attempt(const std::string& port, const fs::path& asked_for) {
  return port + full_extension(asked_for);
}

std::vector<std::string> names_beside(const fs::path& folder, const std::string& file) {
  std::vector<std::string> found;
  std::error_code failure;  // what cannot be listed cannot be published either, which says so
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failure))
    if (const std::string name = entry.path().filename(); name.starts_with(file + "."))
      found.push_back(name.substr(file.size()));
  std::ranges::sort(found);
  return found;
}

Request request_of(const Assignment& assignment, const Operation& operation) {
  const Submission& submission = assignment.submission;
  if (submission.operation != operation.name || submission.operation_version != operation.version)
    throw Error(ErrorCode::usage,
                fmt::format("{} of version {} is asked for, and this build has {} of version {}; submit it anew, or "
                            "run it with the build that has that version",
                            submission.operation, submission.operation_version, operation.name, operation.version));
  Request request;
  for (const auto& [port, path] : submission.inputs) bind_file(request, operation, PortDirection::in, port, path);
  for (const auto& [port, path] : submission.outputs)
    bind_file(request, operation, PortDirection::out, port, assignment.folder / file_in_attempt(port, path));
  require_ports(operation, request);
  request.parameters = Values::from_json(operation.parameters, submission.parameters);
  return request;
}

nlohmann::json manifest_of(const Assignment& assignment, const Operation& operation, const Report& report) {
  const nlohmann::json run = to_json(report);
  nlohmann::json manifest = {{"manifest", 1},
                             {"job", assignment.job},
                             {"token", assignment.token},
                             {"submission", to_json(assignment.submission)},
                             {"inputs", inputs_json(assignment.submission, operation)},
                             {"outputs", outputs_json(assignment)},
                             {"finished", utc_now()}};
  for (const char* field : {"operation", "operation_version", "version", "parameters", "findings", "seconds",
                            "stages_seconds", "device", "device_model", "instruction_set", "threads"})
    manifest[field] = run.at(field);
  return manifest;
}

}  // namespace kiban::engine
