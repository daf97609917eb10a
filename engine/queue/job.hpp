#pragma once
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/error.hpp"

namespace kiban::engine {

/// How soon a job must run; the most urgent class first. docs/queue.md says what share of the devices each has.
enum class Priority { stat, urgent, routine, research };
constexpr int kPriorities = 4;

/// waiting (for `after`, or for a back-off to pass) -> queued -> running -> succeeded | failed | cancelled
enum class JobState { waiting, queued, running, succeeded, failed, cancelled };

std::string to_string(Priority priority);
std::string to_string(JobState state);
/// Errors: usage (no such class, no such state).
Priority priority_named(std::string_view name);
JobState state_named(std::string_view name);

/// Nothing more will happen to it, unless somebody asks for `retry`.
bool is_final(JobState state);

/// What a submitter asks for.
struct Submission {
  std::string operation;  ///< "ct.fdk"
  int operation_version = 1;
  nlohmann::json parameters = nlohmann::json::object();  ///< checked values by name, as `Values::json` writes them
  std::map<std::string, std::string> inputs, outputs;    ///< absolute paths by port
  Priority priority = Priority::routine;
  std::string submitter;                    ///< who asks: [A-Za-z0-9._@-]{1,64}
  std::string key;                          ///< the submitter's own name for it, unique among theirs; empty: none
  std::vector<std::string> after;           ///< ids of jobs that must succeed first
  double timeout_s = 3600;                  ///< of one attempt, on the device
  std::map<std::string, std::string> tags;  ///< keys and values [a-z0-9._-]{1,64}
};

/// SHA-256 over what makes two submissions the same request: operation, version, parameters, inputs, outputs, after.
/// 64 hexadecimal digits.
std::string content_digest(const Submission& submission);

/// Proof that a worker holds a job: 128 random bits, written by the claim, named by whatever the holder says of the
/// job.
struct Lease {
  std::string job;
  std::string token;  ///< 32 hexadecimal digits
};

/// A job as the queue knows it.
struct Job {
  std::string id;  ///< 26 characters, in the order of submission (ULID)
  Submission submission;
  Priority priority = Priority::routine;  ///< its own, or that of its most urgent descendant
  JobState state = JobState::queued;
  int attempts = 0;     ///< that were charged to it: it failed, or killed its executor alone
  int lost_leases = 0;  ///< its worker went away
  std::string token;    ///< of the running attempt, or of the one whose result counts
  std::string worker;   ///< who runs it, or ran it last
  std::string stage;    ///< of the running attempt: "load", "compute", ...
  double fraction = 0;  ///< of the running attempt, 0 to 1
  bool cancel_asked = false;
  std::int64_t submitted_us = 0, started_us = 0, finished_us = 0;  ///< wall clock, since 1970; 0: not yet
  double device_seconds = 0;                                       ///< of the attempt that succeeded
  std::optional<ErrorCode> error_code;                             ///< of the last failure
  std::string error;                                               ///< its sentence; of a cancelled job: why
  std::string fault_of;                                            ///< the ancestor whose failure cancelled it
  std::string result;         ///< folder of the result under the queue's results, "" where it has none
  bool published = false;     ///< the paths that were asked for have the result
  std::string publish_error;  ///< why not yet
};

nlohmann::json to_json(const Submission& submission);
/// Errors: usage (a field is missing or of another type; names it).
Submission submission_from_json(const nlohmann::json& json);
nlohmann::json to_json(const Job& job);

/// Checks what holds whatever the operation: names, tags, a finite timeout above 0, absolute paths. Errors: usage.
void require_valid(const Submission& submission);

}  // namespace kiban::engine
