#include "bindings/cli/queue_settings.hpp"

#include <fmt/format.h>

#include "bindings/cli/arguments.hpp"
#include "kernels/core/error.hpp"

namespace kiban::cli {
namespace {

using engine::Parameter;
using engine::QueueSettings;
using engine::Value;

std::string share_name(int priority) { return "share-" + to_string(static_cast<engine::Priority>(priority)); }

std::vector<Parameter> declared() {
  std::vector<Parameter> all = {
      Parameter::real("lease-s", "s", "A worker that is not heard of for so long has lost its jobs").above(0),
      Parameter::real("heartbeat-s", "s", "How often a worker tells that it is there").above(0),
      Parameter::integer("most-attempts", "", "Attempts that fail before a job does").at_least(1).at_most(1000),
      Parameter::integer("most-lost-leases", "", "Workers that a job may lose before it fails")
          .at_least(1)
          .at_most(1000),
      Parameter::real("first-backoff-s", "s", "Wait before the second attempt; doubled each time").at_least(0),
      Parameter::real("most-backoff-s", "s", "The longest wait between attempts").at_least(0),
      Parameter::integer("most-unfinished", "", "Jobs beyond which the queue takes no more").at_least(1),
      Parameter::integer("most-running-of-submitter", "", "Jobs of one submitter that run at once; 0: as many as fit")
          .at_least(0)
          .at_most(1e6)};
  for (int i = 0; i < engine::kPriorities; ++i)
    all.push_back(
        Parameter::real(share_name(i), "%", "Share of device time while all classes wait").above(0).at_most(100));
  return all;
}

QueueSettings from_values(const engine::Values& values) {
  QueueSettings settings;
  settings.lease_s = values.real("lease-s");
  settings.heartbeat_s = values.real("heartbeat-s");
  settings.most_attempts = static_cast<int>(values.integer("most-attempts"));
  settings.most_lost_leases = static_cast<int>(values.integer("most-lost-leases"));
  settings.first_backoff_s = values.real("first-backoff-s");
  settings.most_backoff_s = values.real("most-backoff-s");
  settings.most_unfinished = values.integer("most-unfinished");
  settings.most_running_of_submitter = static_cast<int>(values.integer("most-running-of-submitter"));
  for (int i = 0; i < engine::kPriorities; ++i)
    settings.shares[static_cast<std::size_t>(i)] = values.real(share_name(i));
  return settings;
}

}  // namespace

const std::vector<Parameter>& queue_settings() {
  static const std::vector<Parameter> all = declared();
  return all;
}

std::map<std::string, Value> to_values(const QueueSettings& settings) {
  std::map<std::string, Value> values = {
      {"lease-s", settings.lease_s},
      {"heartbeat-s", settings.heartbeat_s},
      {"most-attempts", std::int64_t{settings.most_attempts}},
      {"most-lost-leases", std::int64_t{settings.most_lost_leases}},
      {"first-backoff-s", settings.first_backoff_s},
      {"most-backoff-s", settings.most_backoff_s},
      {"most-unfinished", settings.most_unfinished},
      {"most-running-of-submitter", std::int64_t{settings.most_running_of_submitter}}};
  for (int i = 0; i < engine::kPriorities; ++i) values[share_name(i)] = settings.shares[static_cast<std::size_t>(i)];
  return values;
}

QueueSettings changed(QueueSettings settings, const std::vector<std::string>& changes) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : to_values(settings)) texts[name] = engine::to_text(value);
  for (const auto& [name, value] : keys_and_values("set", changes)) texts[name] = value;
  settings = from_values(engine::Values::from_text(queue_settings(), texts));
  if (settings.heartbeat_s >= settings.lease_s)
    throw Error(ErrorCode::usage,
                fmt::format("heartbeat-s is {} s and lease-s {} s; several heartbeats must fit into a "
                            "lease",
                            settings.heartbeat_s, settings.lease_s));
  return settings;
}

}  // namespace kiban::cli
