#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/queue/queue.hpp"
#include "engine/queue/sqlite_connection.hpp"

namespace kiban::engine {

/// What became of a job: its row in `job`.
struct Row {
  std::int64_t number = 0, submitter = 0;
  Priority priority = Priority::routine;
  JobState state = JobState::queued;
  int attempts = 0, lost_leases = 0;
  int backoffs = 0;           ///< in a row
  std::int64_t blockers = 0;  ///< jobs that it waits for and that are not published
  bool outputs = false;
  std::optional<std::int64_t> due_boot, due_us;  ///< when its back-off has passed
  std::string token;
  std::optional<std::int64_t> lease_boot, lease_until;
  std::string worker, stage;
  double fraction = 0;
  bool cancel_asked = false;
  std::string cancel_why;
  std::int64_t submitted_us = 0, queued_us = 0, started_us = 0, finished_us = 0;
  double device_seconds = 0;
  double charged = 0;  ///< to its class, for the running attempt
  Priority charged_class = Priority::routine;
  std::optional<int> error_code;
  std::string error;
  std::optional<std::string> fault_of;
  std::string result;
  bool published = false;
  std::string publish_error;
};

/// The columns of `job`, in the order of `read_row`.
extern const std::string kRowColumns;
Row read_row(const Rows& rows, int first_column = 0);

/// A job with its request, checked against the seal that it was stored with. Errors: input (damaged).
/// The statement's columns are those of `kRowColumns` and `kRequestColumns`.
extern const std::string kRequestColumns;
Job read_job(Connection& connection, const Rows& rows);
std::string seal_of(const std::string& id, const std::string& content, const std::string& submission);

/// Number of a running kernel in the table `boot`; 0: unknown there.
std::int64_t boot_number(Connection& connection, const Clock& clock);

/// Device seconds that a claim costs whatever comes of it, so that jobs that compute nothing are shared out, too.
constexpr double kClaimSeconds = 0.001;

/// One transaction that changes the queue: what it may ask, and the counts that it keeps true.
class Change {
 public:
  Change(Connection& connection, const Clock& clock);

  Connection& connection() { return connection_; }
  const QueueSettings& settings() const { return settings_; }
  bool paused() const { return counts_.paused; }
  std::int64_t boot();
  std::int64_t boot_us() const { return boot_us_; }
  std::int64_t wall_us() const { return wall_us_; }

  /// Ids and numbers in the order of submission.
  std::int64_t next_number();
  std::string next_id();
  std::int64_t unfinished() const;
  std::int64_t submitter(const std::string& name);

  std::optional<std::int64_t> number_of(const std::string& id);
  std::string id_of(std::int64_t number);
  Row row(std::int64_t number);
  void insert(const Row& row);
  /// Writes the row back, and counts the change. Where a token is named the row must still be running under it, else
  /// nothing is changed and the answer is false.
  bool save(const Row& before, const Row& after, const std::optional<std::string>& holder = std::nullopt);
  void remove(const Row& row);

  /// Queued, or waiting where something still blocks it.
  void let_go(Row& row);
  /// Waits for a back-off, doubled each time.
  void back_off(Row& row);

  /// Classes in the order of their turn: whose next job would begin at the earliest virtual time.
  std::vector<Priority> turns() const;
  /// The earliest queued job of a class whose submitter is under the cap.
  std::optional<std::int64_t> head(Priority priority);
  ///   in_turn   the class was the first of `turns` that had a job to give
  void charge(Row& row, double seconds, bool in_turn);
  /// Replaces what was charged at the claim by what it was.
  void settle(Row& row, double seconds);

  void set_paused(bool paused) { counts_.paused = paused; }
  void count_finished();
  /// Writes the counts.
  void flush();

 private:
  struct Class {
    std::int64_t waiting = 0, queued = 0, running = 0;
    double virtual_finish = 0, device_seconds = 0;
    bool operator==(const Class&) const = default;
  };
  struct Counts {
    bool paused = false;
    std::int64_t last_number = 0;
    std::string last_id;
    double virtual_time = 0;
    std::array<std::int64_t, 3> finals{};  ///< succeeded, failed, cancelled
    std::int64_t unpublished = 0;
    std::array<Class, kPriorities> classes;
    bool operator==(const Counts&) const = default;
  };
  void count(const Row& row, int sign);
  void count_lane(const Row& row, int sign);
  double start(Priority priority) const;
  Class& of(Priority priority) { return counts_.classes[static_cast<std::size_t>(priority)]; }

  Connection& connection_;
  const Clock& clock_;
  std::int64_t boot_us_, wall_us_;
  QueueSettings settings_;
  Counts counts_, counts_before_;
  std::optional<std::int64_t> boot_;
};

// What is done in a transaction; each throws what the method of `Queue` throws.

Receipt submit(Change& change, const Submission& submission);
std::vector<Claim> claim(Change& change, const ClaimTerms& terms);
std::vector<HeartbeatAnswer> heartbeat(Change& change, const std::vector<Heartbeat>& beats);
std::vector<bool> finish(Change& change, const std::vector<Outcome>& outcomes);
/// Puts back what has lost its lease, lets go on whose back-off has passed.
void tend(Change& change);
void published(Change& change, const std::string& id, const std::string& failure);
void cancel(Change& change, const std::string& id, const std::string& why);
void retry(Change& change, const std::string& id);

/// Errors: usage (no such job).
std::int64_t require_job(Change& change, const std::string& id);
/// A job that will not succeed takes along who waits for it.
void cancel_descendants(Change& change, std::int64_t number);
/// Its sentence.
std::string cancelled_by(const std::string& fault);
/// Nobody waits any longer for a job that is published.
void release_children(Change& change, std::int64_t number);
/// An ancestor is at least as urgent as who waits for it.
void raise_ancestors(Change& change, std::int64_t number, Priority priority);
void take_outputs(Change& change, std::int64_t number, const Submission& submission);
void free_outputs(Change& change, const Row& row);
/// The ancestor whose failure keeps a job from running, "" where none does.
std::string fault_among_parents(Change& change, std::int64_t number);

}  // namespace kiban::engine
