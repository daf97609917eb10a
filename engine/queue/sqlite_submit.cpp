#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/queue/sqlite_change.hpp"

namespace kiban::engine {
namespace {

/// The job that a submitter's key names already.
std::optional<Receipt> known(Change& change, std::int64_t submitter, const Submission& submission,
                             const std::string& content) {
  if (submission.key.empty()) return std::nullopt;
  Rows rows = change.connection().query("SELECT id, content FROM request WHERE submitter = ? AND key = ?", submitter,
                                        submission.key);
  if (!rows.next()) return std::nullopt;
  if (rows.text(1) != content)
    throw Error(ErrorCode::usage,
                fmt::format("the key '{}' of {} is that of job {}, which asks for something else; use "
                            "another key",
                            submission.key, submission.submitter, rows.text(0)));
  return Receipt{rows.text(0), true};
}

std::vector<std::int64_t> parents_of(Change& change, const Submission& submission) {
  std::set<std::int64_t> parents;
  for (const std::string& id : submission.after) parents.insert(require_job(change, id));
  return {parents.begin(), parents.end()};
}

void require_room(const Change& change) {
  if (const std::int64_t unfinished = change.unfinished(); unfinished >= change.settings().most_unfinished)
    throw Error(ErrorCode::usage, fmt::format("the queue is full: {} jobs are not finished; submit later, or raise "
                                              "most_unfinished",
                                              unfinished));
}

void insert_request(Change& change, const Row& row, const std::string& id, const Submission& submission,
                    const std::string& content) {
  const std::string text = to_json(submission).dump();
  change.connection().change("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row.number, id, row.submitter,
                             submission.key.empty() ? std::nullopt : std::optional(submission.key),
                             submission.operation, content, text, seal_of(id, content, text));
}

}  // namespace

std::int64_t require_job(Change& change, const std::string& id) {
  if (const std::optional<std::int64_t> number = change.number_of(id)) return *number;
  throw Error(ErrorCode::usage, fmt::format("the queue has no job {}; see kiban status", id));
}

void take_outputs(Change& change, std::int64_t number, const Submission& submission) {
  for (const auto& [port, path] : submission.outputs) {
    const std::string normal = std::filesystem::path(path).lexically_normal().string();
    {
      Rows rows = change.connection().query("SELECT job FROM output WHERE path = ?", normal);
      if (rows.next() && rows.integer(0) != number)
        throw Error(ErrorCode::usage,
                    fmt::format("{}: job {} writes to {}, too; name another path, or wait until it is done", port,
                                change.id_of(rows.integer(0)), path));
    }
    change.connection().change("INSERT OR IGNORE INTO output VALUES (?, ?)", normal, number);
  }
}

void free_outputs(Change& change, const Row& row) {
  if (row.outputs) change.connection().change("DELETE FROM output WHERE job = ?", row.number);
}

Receipt submit(Change& change, const Submission& submission) {
  const std::string content = content_digest(submission);
  const std::int64_t submitter = change.submitter(submission.submitter);
  if (const std::optional<Receipt> first = known(change, submitter, submission, content)) return *first;
  require_room(change);
  const std::vector<std::int64_t> parents = parents_of(change, submission);

  Row row;
  row.number = change.next_number();
  row.submitter = submitter;
  row.priority = submission.priority;
  row.outputs = !submission.outputs.empty();
  row.submitted_us = change.wall_us();
  const std::string id = change.next_id();
  insert_request(change, row, id, submission, content);
  for (const std::int64_t parent : parents) {
    change.connection().change("INSERT INTO edge VALUES (?, ?)", parent, row.number);
    if (!change.row(parent).published) ++row.blockers;
  }
  change.let_go(row);
  if (const std::string fault = fault_among_parents(change, row.number); !fault.empty()) {
    row.state = JobState::cancelled;
    row.fault_of = fault;
    row.error = cancelled_by(fault);
    row.finished_us = change.wall_us();
  } else {
    take_outputs(change, row.number, submission);
  }
  change.insert(row);
  raise_ancestors(change, row.number, row.priority);
  return {id, false};
}

}  // namespace kiban::engine
