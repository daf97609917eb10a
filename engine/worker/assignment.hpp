#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "engine/queue/job.hpp"
#include "engine/queue/queue.hpp"

namespace kiban::engine {

/// One attempt at a job, as the worker hands it to an executor.
struct Assignment {
  std::string job, token;
  Submission submission;
  Priority priority = Priority::routine;
  std::filesystem::path folder;  ///< of this attempt alone; need not exist. Unused by a job without outputs
  bool alone = false;            ///< shares a launch with nobody: its batch killed an executor
};

/// What an executor tells of an attempt. The last word on each is `ended`.
struct Event {
  enum class Kind {
    opened,    ///< its inputs are being looked at: from here on it may have killed the executor
    began,     ///< it computes, in a batch
    progress,  ///< where it is; in the stage "store" it has left the device
    ended,     ///< `outcome` says how; after a success its folder is whole and flushed
  };
  Kind kind = Kind::progress;
  std::string job, token;
  std::string stage;
  double fraction = 0;
  Outcome outcome;     ///< of `ended`; its lease is {job, token}
  int batch_size = 0;  ///< of `began`: jobs in the launch
};

nlohmann::json to_json(const Assignment& assignment);
nlohmann::json to_json(const Event& event);
Assignment assignment_from_json(const nlohmann::json& json);
Event event_from_json(const nlohmann::json& json);

}  // namespace kiban::engine
