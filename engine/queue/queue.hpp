#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/queue/clock.hpp"
#include "engine/queue/job.hpp"

namespace kiban::engine {

/// What a queue does by itself; stored in it, the same for all who open it.
struct QueueSettings {
  double lease_s = 60, heartbeat_s = 10;
  int most_attempts = 3;                                 ///< that are charged, before a job fails
  int most_lost_leases = 5;                              ///< before a job fails
  double first_backoff_s = 2, most_backoff_s = 300;      ///< doubled each time, with jitter of +- 25 %
  std::int64_t most_unfinished = 2'000'000;              ///< beyond it `submit` is refused
  int most_running_of_submitter = 0;                     ///< jobs of one submitter that run at once; 0: as many as fit
  std::array<double, kPriorities> shares{70, 20, 7, 3};  ///< of device time, while all classes wait
};

struct Receipt {
  std::string id;
  bool existed = false;  ///< the key was known, with the same content: this is the first job's id
};

struct JobFilter {
  std::optional<JobState> state{};
  std::optional<std::string> submitter{}, operation{};
  std::map<std::string, std::string> tags{};
  int most = 100;  ///< the latest
};

struct ClassCounts {
  std::int64_t waiting = 0, queued = 0, running = 0;
  double oldest_queued_s = 0;  ///< how long the job has been queued that has been longest
  double device_share = 0;     ///< of the device time charged since the queue was made, 0 to 1
};

struct QueueCounts {
  std::array<ClassCounts, kPriorities> classes;
  std::int64_t succeeded = 0, failed = 0, cancelled = 0, unpublished = 0;
  double finished_per_minute = 0;  ///< over the last ten minutes
  bool paused = false;
};

/// What a worker asks for.
struct ClaimTerms {
  std::string worker;  ///< its name, for people
  int most = 1;
  std::optional<Priority> only;  ///< of this class alone
};

struct Claim {
  Job job;
  Lease lease;
  std::int64_t deadline_us = 0;  ///< of the lease, on the boot clock: beyond it the holder must have stopped
};

/// What a holder tells of its job with a heartbeat.
struct Heartbeat {
  Lease lease;
  std::string stage;
  double fraction = 0;
};

enum class LeaseAnswer { held, cancel_asked, lost };
struct HeartbeatAnswer {
  LeaseAnswer answer = LeaseAnswer::lost;
  std::int64_t deadline_us = 0;
};

/// How an attempt ended.
struct Outcome {
  enum class Kind {
    succeeded,
    failed,      ///< and will fail again: bad input
    may_pass,    ///< charged an attempt, tried again after a back-off while attempts are left
    postponed,   ///< not the job's fault (a full disk): no attempt is charged, tried again after a back-off
    given_back,  ///< never begun, or the worker drains: no attempt is charged, queued again at its old place
    cancelled,   ///< as was asked
  };
  Lease lease;
  Kind kind = Kind::succeeded;
  std::string result;  ///< of a success: its folder under the results, "" where the job has no outputs
  std::optional<ErrorCode> error_code;
  std::string error;
  double device_seconds = 0;  ///< that the attempt took, whatever came of it
};

/// Of a job that succeeded: whether its outputs have their names now.
struct PublishOutcome {
  std::string job;
  std::string failure;  ///< why not; empty: they have
};

/// The store is not what was written: nothing passes with time, unlike a full disk or a lock.
class DamagedQueue : public Error {
 public:
  explicit DamagedQueue(const std::string& sentence) : Error(ErrorCode::input, sentence) {}
};

/// Jobs that survive everything but the loss of the disk. What a call has returned is on the disk; several processes
/// may have the queue open, and all calls of one object may come from several threads.
///
/// The commit of a result is the row: a worker writes into a folder of the attempt's own, flushes it, and `finish`
/// names it under the lease's token; a token that is no longer the job's changes nothing. Then whoever comes first
/// gives the result the names that were asked for, and says so with `published`, which also lets the jobs go on that
/// wait for this one.
///
/// Errors of all: input (the store is full, read-only, locked or gone, or, as DamagedQueue, corrupt; says what to do;
/// nothing has changed).
class Queue {
 public:
  virtual ~Queue() = default;

  // For who wants something done.

  /// All in one transaction. Errors: usage (a submission is not valid; its key is known with other content; it waits
  /// for a job that does not exist; another live job writes to the same path; the queue is full): then none is taken.
  virtual std::vector<Receipt> submit(const std::vector<Submission>& submissions) = 0;
  /// Errors: usage (no such job).
  virtual Job find(const std::string& id) const = 0;
  /// The latest first.
  virtual std::vector<Job> list(const JobFilter& filter) const = 0;
  virtual QueueCounts counts() const = 0;
  /// A running job stops at its worker's next heartbeat, any other at once; descendants that wait are cancelled, too.
  /// A job that is final stays as it is. Errors: usage (no such job).
  virtual void cancel(const std::string& id, const std::string& why) = 0;
  /// A failed or cancelled job is queued again with attempts set back, and the descendants that it had taken along
  /// wait again. Errors: usage (no such job; it is not failed or cancelled; it was cancelled by an ancestor, which is
  /// named; another live job has its output path).
  virtual void retry(const std::string& id) = 0;
  virtual void pause(bool paused) = 0;

  // For who does it.

  /// In this order: the class that has had least of its share; in it the earliest head of all submitters under their
  /// cap. A claimed job is running. None while the queue is paused.
  virtual std::vector<Claim> claim(const ClaimTerms& terms) = 0;
  /// Prolongs the leases that are still held. Answers in the order of the leases.
  virtual std::vector<HeartbeatAnswer> heartbeat(const std::vector<Heartbeat>& beats) = 0;
  /// Fenced: true where the token was still the job's, else nothing was changed. In the order of the outcomes.
  virtual std::vector<bool> finish(const std::vector<Outcome>& outcomes) = 0;
  /// Puts back what has lost its lease, lets go on whose back-off has passed. Returns how many seconds from now
  /// something falls due, or infinity.
  virtual double tend() = 0;
  /// Succeeded, but their outputs do not have their names yet.
  virtual std::vector<Job> unpublished(int most) const = 0;
  /// Where `failure` is empty the job is published: its output paths are free, and who waits for it may go on.
  /// Otherwise the reason why not, and `unpublished` offers it again after a back-off. All in one transaction.
  /// Errors: usage (no such job).
  virtual void published(const std::vector<PublishOutcome>& publications) = 0;
  void published(const std::string& id, const std::string& failure) { published({PublishOutcome{id, failure}}); }
  /// Changes whenever somebody else changed the queue: cheap enough to be asked a hundred times a second.
  virtual std::int64_t change_count() const = 0;

  // For who looks after it.

  virtual QueueSettings settings() const = 0;
  virtual void change_settings(const QueueSettings& settings) = 0;
  /// Where results lie.
  virtual std::filesystem::path results() const = 0;
  /// A consistent copy, while others go on. Errors: input (the file exists, cannot be written).
  virtual void backup(const std::filesystem::path& file) const = 0;
  struct Pruned {
    std::int64_t jobs = 0, folders = 0;
    std::uintmax_t bytes = 0;
  };
  /// Removes final jobs that finished longer ago than `older_than_s` and that no live job waits for, with their
  /// results, and folders of attempts that no row names and nobody writes to; appends a record of each to
  /// `<results>/../pruned.jsonl`.
  virtual Pruned prune(double older_than_s) = 0;
};

/// Opens, or makes, the queue of a URL: `sqlite:///absolute/path`; empty: KIBAN_QUEUE, or else
/// ~/.local/share/kiban/queue.sqlite. Results lie beside the file in `results/`.
/// Errors: usage (not such a URL) · input (on a network file system, where locks and flushes cannot be relied on;
/// corrupt; of a later version; not permitted).
std::unique_ptr<Queue> open_queue(const std::string& url, const Clock& clock = machine_clock());

/// Puts the backup in the queue's place; the file that was there stays beside it as `<file>.broken-<time>`.
struct Restored {
  std::filesystem::path set_aside;         ///< "" where there was none
  std::vector<std::string> later_results;  ///< manifests of results that the backup's queue does not know as succeeded
};
/// Errors: input (the backup is corrupt, or not a queue) · usage (somebody has the queue open).
Restored restore_queue(const std::string& url, const std::filesystem::path& backup);

}  // namespace kiban::engine
