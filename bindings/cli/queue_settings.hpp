#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/parameters.hpp"
#include "engine/queue/queue.hpp"

namespace kiban::cli {

/// The settings of a queue, declared as parameters are: names, units, ranges, and what each is for.
const std::vector<engine::Parameter>& queue_settings();

/// Values of `settings` by the names of queue_settings().
std::map<std::string, engine::Value> to_values(const engine::QueueSettings& settings);

/// `settings` with each of "name=value" changed. Errors: usage (unknown name, bad value, a heartbeat that is not
/// shorter than the lease).
engine::QueueSettings changed(engine::QueueSettings settings, const std::vector<std::string>& changes);

}  // namespace kiban::cli
