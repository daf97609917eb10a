#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/operation.hpp"
#include "engine/queue/job.hpp"
#include "engine/registry.hpp"

namespace kiban::engine {

/// What is asked of an operation, checked as a run checks it, ready to be submitted: the values that were given (some
/// operations ask which were; the defaults of the others belong to the operation's version), paths absolute (folders
/// without links, so that one file has one name), submitter `default_submitter()`. The paths have not been looked at:
/// see `require_files`.
///   given   texts as a command line has them: names of parameters and ports
/// Errors: usage (see request_from_text).
Submission submission_from_text(const Operation& operation, const std::map<std::string, std::string>& given);

/// The same from an object with the fields of `to_json(Submission)`. All but `operation` may be left out; what a port
/// or a parameter requires must be in `inputs`, `outputs` and `parameters`. Paths that are not absolute begin at the
/// current folder.
/// Errors: usage (a field is unknown or of another type, the operation or its version is not of this build, and those
/// of Values::from_json).
Submission submission_from_request_json(const Registry& registry, const nlohmann::json& request);

/// Looks at the paths now, so that a slip is told to who made it, and not to a queue hours later.
/// Errors: usage (an output is a file of an input, or of another output) · input (an input does not exist, and there is
/// no `after` that may yet make it; the folder of an output is missing or write-protected; an output is a folder).
void require_files(const Operation& operation, const Submission& submission);

/// The user of this process, as a submitter may be called.
std::string default_submitter();

}  // namespace kiban::engine
