#include "engine/queue/submission.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "engine/nearest_name.hpp"
#include "engine/runner.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

/// Links in the folder are followed, a link at the end is kept: it is what the user named.
std::string absolute(const std::string& port, const std::string& text) {
  if (text.empty()) throw Error(ErrorCode::usage, fmt::format("{} needs the path of a file", port));
  std::error_code failed;
  const fs::path path = fs::absolute(text, failed), last = path.filename();
  if (failed) throw Error(ErrorCode::input, "the current folder is gone; change to one that is there");
  const bool is_name = !last.empty() && last != "." && last != "..";
  const fs::path folder = fs::weakly_canonical(is_name ? path.parent_path() : path, failed);
  return (failed ? path.lexically_normal() : is_name ? folder / last : folder).string();
}

void make_absolute(std::map<std::string, std::string>& paths) {
  for (auto& [port, path] : paths) path = absolute(port, path);
}

/// `given` are ports of this direction. Errors: usage.
void require_ports(const Operation& operation, PortDirection direction,
                   const std::map<std::string, std::string>& given) {
  const std::string kind = direction == PortDirection::in ? "input" : "output";
  std::vector<std::string> known;
  for (const Port& port : operation.ports)
    if (port.direction == direction) known.push_back(port.name);
  for (const auto& [name, path] : given)
    if (std::ranges::count(known, name) == 0)
      throw Error(ErrorCode::usage,
                  fmt::format("{} has no {} {}{}", operation.name, kind, name, suggestion(name, known)));
  for (const Port& port : operation.ports)
    if (port.direction == direction && port.required && !given.contains(port.name))
      throw Error(ErrorCode::usage, fmt::format("{} must be given: {}", port.name, port.help));
}

/// The files that are there, for the check that none is named twice.
Request existing_files(const Submission& submission) {
  Request request;
  for (const auto& [port, path] : submission.outputs) request.ports[port] = fs::path(path);
  for (const auto& [port, path] : submission.inputs)
    if (std::error_code failed; fs::exists(path, failed)) request.ports[port] = fs::path(path);
  return request;
}

void require_output(const std::string& port, const fs::path& path) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::input, fmt::format("{}: {}", port, what));
  };
  std::error_code failed;
  const std::string folder = path.parent_path().string();
  if (!fs::is_directory(folder, failed)) refuse(fmt::format("there is no folder {}; make it, or name another", folder));
  if (fs::is_directory(path, failed)) refuse(fmt::format("{} is a folder; name a file", path.string()));
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    refuse(fmt::format("the folder {} is write-protected; name another", folder));
}

/// Fields that are left out stand as those of a Submission do. Errors: usage.
nlohmann::json completed(const nlohmann::json& request) {
  if (!request.is_object()) throw Error(ErrorCode::usage, "a submission must be a JSON object");
  nlohmann::json complete = to_json(Submission{});
  std::vector<std::string> known;
  for (const auto& [field, value] : complete.items()) known.push_back(field);
  for (const auto& [field, value] : request.items()) {
    if (std::ranges::count(known, field) == 0)
      throw Error(ErrorCode::usage, fmt::format("a submission has no field {}{}", field, suggestion(field, known)));
    complete[field] = value;
  }
  return complete;
}

}  // namespace

Submission submission_from_text(const Operation& operation, const std::map<std::string, std::string>& given) {
  const Request request = request_from_text(operation, given);
  Submission submission;
  submission.operation = operation.name;
  submission.operation_version = operation.version;
  submission.parameters = request.parameters.given_json();
  for (const Port& port : operation.ports)
    if (request.uses(port.name))
      (port.direction == PortDirection::in ? submission.inputs : submission.outputs)[port.name] =
          absolute(port.name, request.path(port.name).string());
  submission.submitter = default_submitter();
  return submission;
}

Submission submission_from_request_json(const Registry& registry, const nlohmann::json& request) {
  const bool names_operation = request.is_object() && request.contains("operation");
  if (request.is_object() && !names_operation)
    throw Error(ErrorCode::usage, "operation must be given: the name of what is to run, as \"ct.fdk\"");
  Submission submission = submission_from_json(completed(request));
  const Operation& operation = registry.find(submission.operation);
  if (request.contains("operation_version") && submission.operation_version != operation.version)
    throw Error(
        ErrorCode::usage,
        fmt::format("operation_version is {}, but {} is of version {} here; leave the field out, or submit with "
                    "the build that has it",
                    submission.operation_version, operation.name, operation.version));
  submission.operation_version = operation.version;
  submission.parameters = Values::from_json(operation.parameters, submission.parameters).given_json();
  require_ports(operation, PortDirection::in, submission.inputs);
  require_ports(operation, PortDirection::out, submission.outputs);
  make_absolute(submission.inputs);
  make_absolute(submission.outputs);
  if (submission.submitter.empty()) submission.submitter = default_submitter();
  return submission;
}

void require_files(const Operation& operation, const Submission& submission) {
  std::error_code failed;
  for (const auto& [port, path] : submission.inputs)
    if (submission.after.empty() && !fs::exists(path, failed))
      throw Error(ErrorCode::input,
                  fmt::format("{}: there is no {}; name a file that is there, or the job that makes it "
                              "as one that this job comes after",
                              port, path));
  for (const auto& [port, path] : submission.outputs) require_output(port, path);
  require_different_files(operation, existing_files(submission));
}

std::string default_submitter() {
  passwd entry{}, *found = nullptr;
  std::array<char, 4096> text{};
  std::string name = std::to_string(geteuid());  // where the user has no name
  if (getpwuid_r(geteuid(), &entry, text.data(), text.size(), &found) == 0 && found && *found->pw_name)
    name = found->pw_name;
  for (char& letter : name)
    if (!std::isalnum(static_cast<unsigned char>(letter)) && letter != '.' && letter != '_' && letter != '@')
      letter = '-';
  return name.substr(0, 64);
}

}  // namespace kiban::engine
