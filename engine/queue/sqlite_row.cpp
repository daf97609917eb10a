#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/queue/sha256.hpp"
#include "engine/queue/sqlite_change.hpp"

namespace kiban::engine {
namespace {

/// Reads columns one after the other.
class Reader {
 public:
  Reader(const Rows& rows, int first) : rows_(rows), column_(first) {}
  operator std::int64_t() { return rows_.integer(column_++); }
  operator int() { return static_cast<int>(rows_.integer(column_++)); }
  operator bool() { return rows_.integer(column_++) != 0; }
  operator double() { return rows_.real(column_++); }
  operator std::string() { return rows_.text(column_++); }
  operator Priority() { return static_cast<Priority>(rows_.integer(column_++)); }
  operator JobState() { return static_cast<JobState>(rows_.integer(column_++)); }
  template <class T>
  void operator>>(T& value) {
    value = static_cast<T>(*this);
  }
  template <class T>
  void operator>>(std::optional<T>& value) {
    if (rows_.is_null(column_)) {
      value.reset();
      ++column_;
    } else {
      value = static_cast<T>(*this);
    }
  }

 private:
  const Rows& rows_;
  int column_;
};

}  // namespace

const std::string kRowColumns =
    "job.number, job.submitter, job.priority, job.state, job.attempts, job.lost_leases, job.backoffs, job.blockers, "
    "job.outputs, job.due_boot, job.due_us, job.lease_token, job.lease_boot, job.lease_until, job.worker, job.stage, "
    "job.fraction, job.cancel_asked, job.cancel_why, job.submitted_us, job.queued_us, job.started_us, job.finished_us, "
    "job.device_seconds, job.charged, job.charged_class, job.error_code, job.error, job.fault_of, job.result, "
    "job.published, job.publish_error";
constexpr int kRowColumnCount = 32;
const std::string kRequestColumns = "request.id, request.content, request.submission, request.seal";

Row read_row(const Rows& rows, int first_column) {
  Reader read(rows, first_column);
  Row row;
  read >> row.number, read >> row.submitter, read >> row.priority, read >> row.state, read >> row.attempts;
  read >> row.lost_leases, read >> row.backoffs, read >> row.blockers, read >> row.outputs;
  read >> row.due_boot, read >> row.due_us, read >> row.token, read >> row.lease_boot, read >> row.lease_until;
  read >> row.worker, read >> row.stage, read >> row.fraction, read >> row.cancel_asked, read >> row.cancel_why;
  read >> row.submitted_us, read >> row.queued_us, read >> row.started_us, read >> row.finished_us;
  read >> row.device_seconds, read >> row.charged, read >> row.charged_class, read >> row.error_code;
  read >> row.error, read >> row.fault_of, read >> row.result, read >> row.published, read >> row.publish_error;
  return row;
}

std::string seal_of(const std::string& id, const std::string& content, const std::string& submission) {
  return sha256(id + '\n' + content + '\n' + submission);
}

Job read_job(Connection& connection, const Rows& rows) {
  const Row row = read_row(rows);
  Job job;
  job.id = rows.text(kRowColumnCount);
  const std::string content = rows.text(kRowColumnCount + 1), submission = rows.text(kRowColumnCount + 2);
  if (rows.text(kRowColumnCount + 3) != seal_of(job.id, content, submission)) {
    connection.condemn(fmt::format("the request of job {} is not what was submitted", row.number));
    connection.require_sound();
  }
  job.submission = submission_from_json(nlohmann::json::parse(submission));
  job.priority = row.priority;
  job.state = row.state;
  job.attempts = row.attempts;
  job.lost_leases = row.lost_leases;
  job.token = row.token;
  job.worker = row.worker;
  job.stage = row.stage;
  job.fraction = row.fraction;
  job.cancel_asked = row.cancel_asked;
  job.submitted_us = row.submitted_us;
  job.started_us = row.started_us;
  job.finished_us = row.finished_us;
  job.device_seconds = row.device_seconds;
  if (row.error_code) job.error_code = static_cast<ErrorCode>(*row.error_code);
  job.error = row.error;
  job.fault_of = row.fault_of.value_or("");
  job.result = row.result;
  job.published = row.published;
  job.publish_error = row.publish_error;
  return job;
}

std::int64_t boot_number(Connection& connection, const Clock& clock) {
  Rows rows = connection.query("SELECT number FROM boot WHERE id = ?", clock.boot_id());
  return rows.next() ? rows.integer(0) : 0;
}

}  // namespace kiban::engine
