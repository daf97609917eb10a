#include "engine/queue/job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <set>

#include "engine/queue/sha256.hpp"

namespace kiban::engine {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, kPriorities> kPriorityNames{"stat", "urgent", "routine", "research"};
constexpr std::array<std::string_view, 6> kStateNames{"waiting",   "queued", "running",
                                                      "succeeded", "failed", "cancelled"};
constexpr std::array<std::string_view, 5> kCodeNames{"", "internal", "usage", "input", "device"};

template <class Names>
std::size_t place_of(const Names& names, std::string_view name, std::string_view what) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end())
    throw Error(ErrorCode::usage, fmt::format("'{}' is no {}; there are {}", name, what, fmt::join(names, ", ")));
  return static_cast<std::size_t>(found - names.begin());
}

bool consists_of(std::string_view text, std::string_view marks, bool capitals) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (capitals && c >= 'A' && c <= 'Z') ||
           marks.find(c) != std::string_view::npos;
  });
}

template <class T>
T field(const json& from, const char* name, const char* type) {
  if (!from.contains(name)) throw Error(ErrorCode::usage, fmt::format("a submission without '{}'; add it", name));
  try {
    return from.at(name).get<T>();
  } catch (const json::exception&) {
    throw Error(ErrorCode::usage, fmt::format("'{}' of a submission is not {}; correct it", name, type));
  }
}

bool is_whole(const json& from, const char* name) { return !from.contains(name) || from.at(name).is_number_integer(); }

void require_absolute(const std::string& port, const std::string& path) {
  if (path.empty() || path.front() != '/' || path.find('\0') != std::string::npos)
    throw Error(ErrorCode::usage, fmt::format("{}: '{}' is not an absolute path; write it from /", port, path));
}

/// Two ports that write to one path would leave the result of one.
void require_different_outputs(const Submission& submission) {
  std::set<std::filesystem::path> seen;
  for (const auto& [port, path] : submission.outputs)
    if (!seen.insert(std::filesystem::path(path).lexically_normal()).second)
      throw Error(ErrorCode::usage, fmt::format("{}: another output is written to {}, too; name another", port, path));
}

json request_of(const Submission& submission) {
  return {{"operation", submission.operation},
          {"operation_version", submission.operation_version},
          {"parameters", submission.parameters},
          {"inputs", submission.inputs},
          {"outputs", submission.outputs}};
}

void require_utf8(const Submission& submission) {
  try {
    [[maybe_unused]] const std::string text = to_json(submission).dump();
  } catch (const json::exception&) {
    throw Error(ErrorCode::usage, "a text or path of the submission is not UTF-8; rename it");
  }
}

}  // namespace

std::string to_string(Priority priority) { return std::string(kPriorityNames.at(static_cast<std::size_t>(priority))); }
std::string to_string(JobState state) { return std::string(kStateNames.at(static_cast<std::size_t>(state))); }

Priority priority_named(std::string_view name) {
  return static_cast<Priority>(place_of(kPriorityNames, name, "class of priority"));
}

JobState state_named(std::string_view name) {
  return static_cast<JobState>(place_of(kStateNames, name, "state of a job"));
}

bool is_final(JobState state) { return state >= JobState::succeeded; }

std::string content_digest(const Submission& submission) {
  json request = request_of(submission);
  request["after"] = std::set<std::string>(submission.after.begin(), submission.after.end());
  return sha256(request.dump());
}

json to_json(const Submission& submission) {
  json written = request_of(submission);
  written["priority"] = to_string(submission.priority);
  written["submitter"] = submission.submitter;
  written["key"] = submission.key;
  written["after"] = submission.after;
  written["timeout_s"] = submission.timeout_s;
  written["tags"] = submission.tags;
  return written;
}

Submission submission_from_json(const json& from) {
  using Texts = std::map<std::string, std::string>;
  constexpr const char* texts = "an object of texts";
  if (!from.is_object()) throw Error(ErrorCode::usage, "a submission that is not a JSON object; write { ... }");
  if (!is_whole(from, "operation_version"))
    throw Error(ErrorCode::usage, "'operation_version' of a submission is not a whole number; correct it");
  Submission read;
  read.operation = field<std::string>(from, "operation", "a text");
  read.operation_version = field<int>(from, "operation_version", "a whole number");
  read.parameters = field<json>(from, "parameters", "an object");
  if (!read.parameters.is_object())
    throw Error(ErrorCode::usage, "'parameters' of a submission is not an object; correct it");
  read.inputs = field<Texts>(from, "inputs", texts);
  read.outputs = field<Texts>(from, "outputs", texts);
  read.priority = priority_named(field<std::string>(from, "priority", "a text"));
  read.submitter = field<std::string>(from, "submitter", "a text");
  read.key = field<std::string>(from, "key", "a text");
  read.after = field<std::vector<std::string>>(from, "after", "an array of ids");
  read.timeout_s = field<double>(from, "timeout_s", "a number");
  read.tags = field<Texts>(from, "tags", texts);
  return read;
}

json to_json(const Job& job) {
  return {{"id", job.id},
          {"submission", to_json(job.submission)},
          {"priority", to_string(job.priority)},
          {"state", to_string(job.state)},
          {"attempts", job.attempts},
          {"lost_leases", job.lost_leases},
          {"token", job.token},
          {"worker", job.worker},
          {"stage", job.stage},
          {"fraction", job.fraction},
          {"cancel_asked", job.cancel_asked},
          {"submitted_us", job.submitted_us},
          {"started_us", job.started_us},
          {"finished_us", job.finished_us},
          {"device_seconds", job.device_seconds},
          {"error_code", job.error_code ? json(kCodeNames.at(static_cast<std::size_t>(*job.error_code))) : json()},
          {"error", job.error},
          {"fault_of", job.fault_of},
          {"result", job.result},
          {"published", job.published},
          {"publish_error", job.publish_error}};
}

void require_valid(const Submission& submission) {
  if (!consists_of(submission.operation, "._-", true))
    throw Error(ErrorCode::usage,
                fmt::format("'{}' is not the name of an operation; see kiban ops", submission.operation));
  if (!submission.parameters.is_object())
    throw Error(ErrorCode::usage, "the parameters of a submission are not an object; give them by name");
  if (!consists_of(submission.submitter, "._@-", true))
    throw Error(ErrorCode::usage,
                fmt::format("'{}' names no submitter; use 1 to 64 of A-Z a-z 0-9 . _ @ -", submission.submitter));
  if (submission.key.size() > 256)
    throw Error(ErrorCode::usage, "the key of a submission is longer than 256 bytes; use a shorter one");
  if (!(submission.timeout_s > 0) || !std::isfinite(submission.timeout_s))
    throw Error(ErrorCode::usage, fmt::format("a timeout of {} s; it must be above 0", submission.timeout_s));
  for (const auto& [name, value] : submission.tags)
    if (!consists_of(name, "._-", false) || !consists_of(value, "._-", false))
      throw Error(ErrorCode::usage,
                  fmt::format("the tag {}={}: names and values are 1 to 64 of a-z 0-9 . _ -", name, value));
  for (const auto& [port, path] : submission.inputs) require_absolute(port, path);
  for (const auto& [port, path] : submission.outputs) require_absolute(port, path);
  require_different_outputs(submission);
  require_utf8(submission);
}

}  // namespace kiban::engine
