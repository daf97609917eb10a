#include "engine/watch_folder/watcher.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/fault_point.hpp"
#include "engine/progress.hpp"
#include "engine/sha256.hpp"
#include "engine/watch_folder/move_study.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuperseded = "superseded by its study as it is now";
constexpr double kSecond = 1e6;  // in microseconds

std::string date_of(std::int64_t wall_us) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(wall_us / 1'000'000)));
}

bool is_done(const Job& job) {
  return job.state == JobState::succeeded && (job.published || job.submission.outputs.empty());
}

void make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed || !fs::is_directory(folder, failed))
    throw Error(ErrorCode::input, fmt::format("{}: cannot be made a folder ({}); change permissions, or name another",
                                              folder.string(), failed.message()));
}

}  // namespace

/// What is known of one study folder.
struct FolderWatcher::Tracked {
  std::int64_t number = 0;    ///< of it in the log
  std::string fingerprint;    ///< when it was last looked at
  std::int64_t since_us = 0;  ///< the boot clock when that was first seen
  bool settled = false;       ///< submitted as it is
  std::string key, job;       ///< of what was submitted last
  bool finished = false;      ///< that job is final, and was told of
  int failures = 0;           ///< in a row
  std::int64_t not_before_us = 0;
};

FolderWatcher::FolderWatcher(fs::path watched, WatchRules rules, TagReader reader, Queue& queue, Log log,
                             const Clock& clock)
    : watched_(std::move(watched)),
      rules_(std::move(rules)),
      reader_(std::move(reader)),
      queue_(queue),
      log_(std::move(log)),
      clock_(clock) {
  const auto refuse = [&](const char* why) {
    if (lock_ >= 0) close(lock_);
    throw Error(ErrorCode::input, fmt::format("{}: {}", watched_.string(), why));
  };
  lock_ = open(watched_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) refuse("is not a folder that can be read; make it, or name another");
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    refuse("is being watched by another process; stop that one first");
  try {
    make_folder(rules_.settings.unmatched);
    if (rules_.settings.done) make_folder(*rules_.settings.done);
    find_earlier_jobs();
  } catch (...) {
    close(lock_);
    throw;
  }
}

FolderWatcher::~FolderWatcher() { close(lock_); }

/// Of this folder's live jobs: a study that has changed while nobody watched is to supersede its own.
void FolderWatcher::find_earlier_jobs() {
  for (const JobState state : {JobState::waiting, JobState::queued, JobState::running}) {
    JobFilter filter;
    filter.state = state;
    filter.submitter = rules_.settings.submitter;
    filter.most = 1'000'000;
    for (const Job& job : queue_.list(filter))
      for (const auto& [port, path] : job.submission.inputs) {
        // The study is the first part of the path below the watched folder.
        const fs::path below = fs::path(path).lexically_relative(watched_);
        if (!below.empty() && *below.begin() != "..") earlier_[*below.begin()] = job.id;
      }
  }
}

void FolderWatcher::tell(const char* event, const Tracked& tracked, nlohmann::json more) const {
  more["study"] = tracked.number;
  log_(event, more);
}

bool FolderWatcher::is_study(const fs::directory_entry& entry) const {
  const fs::path& path = entry.path();
  std::error_code failed;
  return path.filename().string()[0] != '.' && path != rules_.settings.unmatched && path != rules_.settings.done &&
         entry.symlink_status(failed).type() == fs::file_type::directory;
}

std::int64_t FolderWatcher::look(const std::function<bool()>& stop) {
  std::int64_t looking_us = 0;
  std::map<std::string, Tracked> before;
  before.swap(studies_);
  std::error_code failed;
  for (fs::directory_iterator at(watched_, failed), end; !failed && at != end && !stop(); at.increment(failed)) {
    if (!is_study(*at)) continue;
    const std::string name = at->path().filename().string();
    const std::int64_t began = clock_.boot_us();
    const std::optional<Study> study = look_at(at->path(), rules_.settings.marker);
    looking_us += clock_.boot_us() - began;
    if (!study) continue;
    auto known = before.extract(name);
    Tracked& tracked = known ? studies_.insert(std::move(known)).position->second : studies_[name];
    if (tracked.number == 0) tracked.number = next_number_++;
    try {
      settle(name, tracked, *study, stop);
      tracked.failures = 0;
    } catch (const Cancelled&) {
      break;
    } catch (const std::exception& error) {
      const auto* ours = dynamic_cast<const Error*>(&error);
      const double pause_s = std::min(300.0, std::exp2(std::min(tracked.failures++, 10)));
      tracked.not_before_us = clock_.boot_us() + static_cast<std::int64_t>(pause_s * kSecond);
      tell("failed", tracked,
           {{"code", static_cast<int>(ours ? ours->code() : ErrorCode::internal)}, {"again_in_s", pause_s}});
    }
  }
  // Where looking ended early, what was not reached is still known.
  if (failed || stop()) studies_.merge(before);
  for (const auto& [name, tracked] : before)
    if (!studies_.contains(name) && !tracked.finished) tell("gone", tracked, nlohmann::json::object());
  return looking_us;
}

void FolderWatcher::settle(const std::string& name, Tracked& tracked, const Study& study,
                           const std::function<bool()>& stop) {
  const std::int64_t now = clock_.boot_us();
  if (tracked.fingerprint != study.fingerprint) {
    tracked.fingerprint = study.fingerprint;
    tracked.since_us = now;
    tracked.settled = false;
    tracked.not_before_us = 0;
  }
  if (now < tracked.not_before_us) return;
  if (tracked.settled) return follow(tracked, study);
  const bool quiet = static_cast<double>(now - tracked.since_us) >= rules_.settings.quiet_s * kSecond;
  if (!(quiet || study.marked) || (study.files.empty() && study.refusal.empty())) return;

  if (!study.refusal.empty()) return set_aside(tracked, study, "refused", {study.refusal});
  std::string key;
  MatchVerdict verdict;
  try {
    verdict = match(rules_, study, reader_);
    if (verdict.match) key = content_key(study, stop);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::input) throw;
    verdict = {.match = {}, .reasons = {error.what()}};
  }
  // What changed while it was read was not complete.
  const std::optional<Study> again = look_at(study.folder, rules_.settings.marker);
  if (!again || again->fingerprint != study.fingerprint) return;
  if (!verdict.match) return set_aside(tracked, study, "no_rule", verdict.reasons);
  tell("complete", tracked,
       {{"files", study.files.size()},
        {"marked", study.marked},
        {"rule", verdict.match->rule - rules_.rules.data() + 1}});
  if (tracked.job.empty() && earlier_.contains(name)) tracked.job = earlier_.extract(name).mapped();
  submit(tracked, study, *verdict.match, key);
}

void FolderWatcher::set_aside(Tracked& tracked, const Study& study, const std::string& code,
                              const std::vector<std::string>& reasons) {
  move_study(study.folder, rules_.settings.unmatched, fmt::format("{}\n", fmt::join(reasons, "\n")));
  tell("unmatched", tracked, {{"code", code}});
  tracked.finished = true;
}

void FolderWatcher::supersede(Tracked& tracked, const std::string& key) {
  if (tracked.job.empty() || tracked.key == key) return;
  const Job job = queue_.find(tracked.job);
  if (job.submission.key == key) return;
  if (!is_final(job.state)) {
    queue_.cancel(tracked.job, kSuperseded);
    tell("superseded", tracked, {{"job", tracked.job}});
  }
  tracked.job.clear();
}

/// The id of the job of this content, submitted now or at some earlier time.
std::string FolderWatcher::submitted_id(Tracked& tracked, const Submission& submission) {
  try {
    const Receipt receipt = queue_.submit({submission}).at(0);
    // This content was there before, was overtaken by another, and is back.
    if (const Job job = queue_.find(receipt.id);
        receipt.existed && job.state == JobState::cancelled && job.error == kSuperseded)
      queue_.retry(receipt.id);
    tell("submitted", tracked, {{"job", receipt.id}, {"existed", receipt.existed}});
    return receipt.id;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::usage) throw;
    // The same content in another folder, or under rules that have changed since: that job stands.
    JobFilter filter;
    filter.submitter = submission.submitter;
    filter.tags = {{kContentTag, submission.tags.at(kContentTag)}};
    filter.most = 1;
    const std::vector<Job> jobs = queue_.list(filter);
    if (jobs.empty()) throw;  // the queue is full, or another live job has the path
    if (jobs[0].state == JobState::cancelled && jobs[0].error == kSuperseded &&
        submission.key == jobs[0].submission.key) {
      // That one never ran, and its folder has other content by now: this folder's has a key of its own.
      Submission own = submission;
      own.key = own.key.substr(0, 40) + "-" + sha256(nlohmann::json(own.inputs).dump()).substr(0, 23);
      return submitted_id(tracked, own);
    }
    tell("submitted", tracked, {{"job", jobs[0].id}, {"existed", true}});
    return jobs[0].id;
  }
}

void FolderWatcher::submit(Tracked& tracked, const Study& study, const Match& match, const std::string& key) {
  const WatchRule& rule = *match.rule;
  Submission submission;
  submission.operation = rule.operation;
  submission.operation_version = rule.operation_version;
  submission.parameters = rule.parameters;
  submission.inputs = match.inputs;
  submission.priority = rule.priority;
  submission.timeout_s = rule.timeout_s;
  submission.submitter = rules_.settings.submitter;
  submission.key = key;
  submission.tags = rule.job_tags;
  submission.tags[kContentTag] = key;

  std::map<std::string, std::string> values = {
      {"study", study.folder.filename().string()}, {"date", date_of(clock_.wall_us())}, {"key", key.substr(0, 16)}};
  for (const auto& [name, value] : match.tags) values["dicom:" + name] = value;
  try {
    for (const auto& [port, path] : rule.outputs) submission.outputs[port] = path.path(values);
  } catch (const Error& error) {
    return set_aside(tracked, study, "no_output", {fmt::format("rule \"{}\": {}", rule.name, error.what())});
  }
  for (const auto& [port, path] : submission.outputs) make_folder(fs::path(path).parent_path());
  supersede(tracked, key);
  fault_point("watch.submit");
  tracked.job = submitted_id(tracked, submission);
  fault_point("watch.submitted");
  tracked.key = key;
  tracked.settled = true;
  tracked.finished = false;
}

void FolderWatcher::follow(Tracked& tracked, const Study& study) {
  if (tracked.finished && !rules_.settings.done) return;
  const Job job = queue_.find(tracked.job);
  if (is_final(job.state) && !tracked.finished) {
    tell("finished", tracked, {{"job", job.id}, {"state", to_string(job.state)}});
    tracked.finished = true;
  }
  if (!is_done(job)) return;
  if (!rules_.settings.done) return;
  const fs::path moved = move_study(study.folder, *rules_.settings.done, "");
  const std::optional<Study> after = look_at(moved, rules_.settings.marker);
  if (after && after->fingerprint == study.fingerprint) return tell("done", tracked, {{"job", job.id}});
  // Something came in just then: back, to be a study that has changed.
  move_study(moved, watched_, "");
}

void FolderWatcher::run(const std::function<bool()>& stop) {
  constexpr int slice_ms = 50;
  while (!stop()) {
    // At most a tenth of the time is spent on looking.
    const std::int64_t pause_ms = std::max<std::int64_t>(1000, look(stop) / 100);
    for (std::int64_t waited = 0; waited < pause_ms && !stop(); waited += slice_ms) poll(nullptr, 0, slice_ms);
  }
}

}  // namespace kiban::engine
