#include "engine/worker/assignment.hpp"

#include <array>
#include <utility>

namespace kiban::engine {
namespace {

using OutcomeKind = Outcome::Kind;

constexpr std::array<std::pair<OutcomeKind, const char*>, 6> kOutcomes{{{OutcomeKind::succeeded, "succeeded"},
                                                                        {OutcomeKind::failed, "failed"},
                                                                        {OutcomeKind::may_pass, "may_pass"},
                                                                        {OutcomeKind::postponed, "postponed"},
                                                                        {OutcomeKind::given_back, "given_back"},
                                                                        {OutcomeKind::cancelled, "cancelled"}}};
constexpr std::array<std::pair<Event::Kind, const char*>, 4> kEvents{{{Event::Kind::opened, "opened"},
                                                                      {Event::Kind::began, "began"},
                                                                      {Event::Kind::progress, "progress"},
                                                                      {Event::Kind::ended, "ended"}}};

template <class Names, class Kind>
const char* name_in(const Names& names, Kind kind) {
  for (const auto& [known, name] : names)
    if (known == kind) return name;
  throw Error(ErrorCode::internal, "an event or outcome is of no known kind");
}

template <class Names>
auto kind_in(const Names& names, const std::string& name) {
  for (const auto& [kind, known] : names)
    if (known == name) return kind;
  throw Error(ErrorCode::internal, "a message between worker and executor has an unknown kind");
}

nlohmann::json to_json(const Outcome& outcome) {
  nlohmann::json json = {{"kind", name_in(kOutcomes, outcome.kind)}};
  if (!outcome.result.empty()) json["result"] = outcome.result;
  if (outcome.error_code) json["error_code"] = static_cast<int>(*outcome.error_code);
  if (!outcome.error.empty()) json["error"] = outcome.error;
  if (outcome.device_seconds > 0) json["device_seconds"] = outcome.device_seconds;
  return json;
}

Outcome outcome_from_json(const nlohmann::json& json, Lease lease) {
  Outcome outcome;
  outcome.lease = std::move(lease);
  outcome.kind = kind_in(kOutcomes, json.at("kind").get<std::string>());
  outcome.result = json.value("result", "");
  if (json.contains("error_code")) outcome.error_code = static_cast<ErrorCode>(json["error_code"].get<int>());
  outcome.error = json.value("error", "");
  outcome.device_seconds = json.value("device_seconds", 0.0);
  return outcome;
}

/// The two ends of a pipe are of one build: what cannot be read was cut off or is not a message.
template <class Read>
auto message(const Read& read) {
  try {
    return read();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::internal, "a message between worker and executor lacks a field or has one of another type");
  }
}

}  // namespace

nlohmann::json to_json(const Assignment& assignment) {
  return {{"job", assignment.job},
          {"token", assignment.token},
          {"submission", to_json(assignment.submission)},
          {"priority", to_string(assignment.priority)},
          {"folder", assignment.folder.string()},
          {"alone", assignment.alone}};
}

nlohmann::json to_json(const Event& event) {
  nlohmann::json json = {{"event", name_in(kEvents, event.kind)}, {"job", event.job}, {"token", event.token}};
  if (!event.stage.empty()) json["stage"] = event.stage;
  if (event.fraction > 0) json["fraction"] = event.fraction;
  if (event.batch_size > 0) json["batch_size"] = event.batch_size;
  if (event.kind == Event::Kind::ended) json["outcome"] = to_json(event.outcome);
  return json;
}

Assignment assignment_from_json(const nlohmann::json& json) {
  return message([&] {
    Assignment assignment;
    assignment.job = json.at("job").get<std::string>();
    assignment.token = json.at("token").get<std::string>();
    assignment.submission = submission_from_json(json.at("submission"));
    assignment.priority = priority_named(json.at("priority").get<std::string>());
    assignment.folder = json.at("folder").get<std::string>();
    assignment.alone = json.at("alone").get<bool>();
    return assignment;
  });
}

Event event_from_json(const nlohmann::json& json) {
  return message([&] {
    Event event;
    event.kind = kind_in(kEvents, json.at("event").get<std::string>());
    event.job = json.at("job").get<std::string>();
    event.token = json.at("token").get<std::string>();
    event.stage = json.value("stage", "");
    event.fraction = json.value("fraction", 0.0);
    event.batch_size = json.value("batch_size", 0);
    if (event.kind == Event::Kind::ended)
      event.outcome = outcome_from_json(json.at("outcome"), {event.job, event.token});
    return event;
  });
}

}  // namespace kiban::engine
