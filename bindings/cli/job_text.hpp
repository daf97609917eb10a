#pragma once
#include <string>
#include <vector>

#include "engine/queue/queue.hpp"

namespace kiban::cli {

/// A table with a heading: a line a job.
std::string table(const std::vector<engine::Job>& jobs);

/// All that the queue knows of one job, a line a fact.
///   results   of its queue
std::string description(const engine::Job& job, const std::filesystem::path& results);

/// A table with a line for each class, and what holds for all of them.
std::string table(const engine::QueueCounts& counts);
nlohmann::json to_json(const engine::QueueCounts& counts);

/// Where the record of a result lies; "" where the job has no result.
std::string manifest_path(const engine::Job& job, const std::filesystem::path& results);

/// How a job that is over ended, in one sentence: "job X failed: ..."
std::string ending(const engine::Job& job);

/// The exit status that tells how it ended: 0, that of the error, or 1 where it was cancelled.
int exit_status(const engine::Job& job);

}  // namespace kiban::cli
