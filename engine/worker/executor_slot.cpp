#include "engine/worker/executor_slot.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kiban::engine {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

/// The first of those that are not stat.
auto behind_stat(std::deque<HeldJob*>& jobs) {
  return std::ranges::find_if(jobs, [](const HeldJob* job) { return job->assignment.priority != Priority::stat; });
}

}  // namespace

ExecutorSlot::ExecutorSlot(ExecutorTerms terms, const Clock& clock, WorkerLog& log, Ended ended)
    : terms_(std::move(terms)), clock_(clock), log_(log), ended_(std::move(ended)) {}

std::size_t ExecutorSlot::room() const {
  return failed_starts_ > 0 || draining_ || load() >= terms_.window ? 0 : terms_.window - load();
}

void ExecutorSlot::add(HeldJob& job) {
  job.phase = HeldJob::Phase::waiting;
  waiting_.insert(job.assignment.priority == Priority::stat ? behind_stat(waiting_) : waiting_.end(), &job);
}

/// Its folder stays as it is: the next executor begins with an empty one.
void ExecutorSlot::wait_again(HeldJob& job) {
  job.phase = HeldJob::Phase::waiting;
  waiting_.insert(job.assignment.priority == Priority::stat ? waiting_.begin() : behind_stat(waiting_), &job);
}

void ExecutorSlot::begin() {
  process_.reset();
  started_us_ = heard_us_ = clock_.boot_us();
  ready_ = used_ = reserved_ = false;
  to_begin_ = 0;
  refused_with_.clear();
  try {
    process_ = std::make_unique<ExecutorProcess>(terms_.command, terms_.options);
  } catch (const Error& error) {
    could_not_begin(error);
  }
}

/// At the start of the worker somebody is there to be told. Later a device may be gone for a while: others may have the
/// jobs, and it is tried again and again.
void ExecutorSlot::could_not_begin(const Error& error) {
  process_.reset();
  kill_.reset();
  ++failed_starts_;
  start_again_us_ = clock_.boot_us() + std::min(30 * kSecond, (kSecond / 10) << std::min(failed_starts_, 10));
  log_.write("executor_refused", {{"code", static_cast<int>(error.code())}, {"times", failed_starts_}});
  if (!ever_ready_) refusal_ = error;
  while (!waiting_.empty()) {
    HeldJob& job = *waiting_.front();
    waiting_.pop_front();
    end(job, Outcome::Kind::given_back);
  }
}

void ExecutorSlot::step() {
  drop_stopped();
  if (!process_ && !draining_ && clock_.boot_us() >= start_again_us_) begin();
  if (!process_ || !ready_ || draining_ || kill_) return;
  // What ran alone may have left something behind that kills the next.
  if (reserved_ && handed_.empty()) return begin();
  hand_over();
}

void ExecutorSlot::hand_over() {
  while (!waiting_.empty()) {
    HeldJob& next = *waiting_.front();
    const bool alone = next.assignment.alone;
    if (reserved_) return;
    if (alone && !handed_.empty()) return;
    if (alone && used_) return begin();
    if (!alone && handed_.size() >= terms_.window && next.assignment.priority != Priority::stat) return;
    waiting_.pop_front();
    reserved_ = alone;
    hand(next);
  }
}

void ExecutorSlot::hand(HeldJob& job) {
  job.phase = HeldJob::Phase::handed;
  job.stage.clear();
  job.fraction = 0;
  handed_.push_back(&job);
  used_ = true;
  heard_us_ = clock_.boot_us();
  process_->send({{"assign", to_json(job.assignment)}});
}

void ExecutorSlot::stop(HeldJob& job) {
  if (std::ranges::find(handed_, &job) == handed_.end() || job.asked_to_stop_us) return;
  job.asked_to_stop_us = clock_.boot_us();
  if (process_) process_->send({{"cancel", job.assignment.token}});
}

void ExecutorSlot::drop_stopped() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    HeldJob& job = **at;
    const bool stopped = job.lost || job.cancel_asked;
    at = stopped ? waiting_.erase(at) : at + 1;
    if (stopped) end(job, Outcome::Kind::cancelled);
  }
}

void ExecutorSlot::drain() {
  draining_ = true;
  drop_stopped();
  while (!waiting_.empty()) {
    HeldJob& job = *waiting_.front();
    waiting_.pop_front();
    end(job, Outcome::Kind::given_back);
  }
  if (process_ && ready_) process_->send({{"drain", true}});
}

void ExecutorSlot::end(HeldJob& job, Outcome::Kind kind) {
  Outcome outcome;
  outcome.lease = {job.assignment.job, job.assignment.token};
  outcome.kind = kind;
  job.phase = HeldJob::Phase::ended;
  ended_(job, std::move(outcome));
}

void ExecutorSlot::receive() {
  if (!process_) return;
  std::vector<std::string> lines;
  const bool open = process_->exchange(lines);
  for (const std::string& line : lines) {
    try {
      hear(line);
    } catch (const std::exception&) {  // nobody who is well speaks like this
      log_.write("executor_unintelligible");
      process_->kill();
    }
  }
  if (!open) died();
}

void ExecutorSlot::hear(const std::string& line) {
  heard_us_ = clock_.boot_us();
  const nlohmann::json message = nlohmann::json::parse(line);
  if (message.contains("ready")) {
    ready_ = ever_ready_ = true;
    failed_starts_ = 0;
    log_.write("executor_ready", {{"seconds", static_cast<double>(heard_us_ - started_us_) * 1e-6}});
  } else if (message.contains("refused")) {
    refused_code_ = message["refused"]["code"].get<int>();
    refused_with_ = message["refused"]["sentence"].get<std::string>();
  } else if (!message.contains("drained")) {
    hear(event_from_json(message));
  }
}

void ExecutorSlot::hear(const Event& event) {
  const auto found = std::ranges::find(handed_, event.token, [](const HeldJob* job) { return job->assignment.token; });
  if (found == handed_.end()) return;
  HeldJob& job = **found;
  switch (event.kind) {
    case Event::Kind::opened:
      job.phase = HeldJob::Phase::opened;
      deaths_with_nothing_opened_ = 0;
      return;
    case Event::Kind::began:
      begin_batch(event.batch_size);
      job.phase = HeldJob::Phase::computing;
      job.began_us = device_changed_us_ = heard_us_;
      log_.job("began", event.job, {{"batch", event.batch_size}});
      return;
    case Event::Kind::progress:
      job.stage = event.stage;
      job.fraction = event.fraction;
      if (event.stage != "store" || job.phase != HeldJob::Phase::computing) return;
      job.phase = HeldJob::Phase::leaving;
      device_changed_us_ = heard_us_;
      return;
    case Event::Kind::ended:
      if (broke_the_device(job, event.outcome)) return;
      if (kill_) std::erase(kill_->suspects, &job);
      handed_.erase(found);
      if (job.phase == HeldJob::Phase::computing) device_changed_us_ = heard_us_;
      job.phase = HeldJob::Phase::ended;
      ended_(job, event.outcome);
  }
}

/// A device that has failed under one job, as a CUDA context does after a bad address, fails under all that come after
/// it in this process. So the process goes, and this counts as its death: who was there runs again alone.
bool ExecutorSlot::broke_the_device(HeldJob& job, const Outcome& outcome) {
  if (outcome.kind != Outcome::Kind::may_pass || outcome.error_code != ErrorCode::device) return false;
  if (job.assignment.alone || draining_) return false;
  if (job.phase < HeldJob::Phase::opened) job.phase = HeldJob::Phase::opened;
  if (!kill_) kill(Cause::crash, {}, "the device failed under it: " + outcome.error);
  return true;
}

/// Each of a batch tells that it began. The device has room for one batch: the last one is through.
void ExecutorSlot::begin_batch(int size) {
  if (to_begin_ == 0) {
    for (HeldJob* job : handed_)
      if (job->phase == HeldJob::Phase::computing) job->phase = HeldJob::Phase::leaving;
    to_begin_ = size;
  }
  to_begin_ = std::max(0, to_begin_ - 1);
}

ExecutorSlot::Jobs ExecutorSlot::handed_in(HeldJob::Phase first, HeldJob::Phase last) const {
  Jobs found;
  std::ranges::copy_if(handed_, std::back_inserter(found),
                       [&](const HeldJob* job) { return job->phase >= first && job->phase <= last; });
  return found;
}

ExecutorSlot::Jobs ExecutorSlot::suspects_of(const Kill& kill) {
  if (kill.cause == Cause::timeout) return kill.suspects;
  if (kill.cause == Cause::deadline || kill.cause == Cause::heedless) return {};
  const Jobs opened = handed_in(HeldJob::Phase::opened, HeldJob::Phase::leaving);
  // A job that kills before it is opened would kill for ever.
  if (opened.empty() && ++deaths_with_nothing_opened_ >= 3) return handed_;
  return opened;
}

void ExecutorSlot::died() {
  const std::string how = process_->wait();
  process_.reset();
  if (!ready_) {
    const bool said = !refused_with_.empty();
    return could_not_begin(said ? Error(static_cast<ErrorCode>(refused_code_), refused_with_)
                                : Error(ErrorCode::internal, "an executor ended before it was ready: " + how));
  }
  ready_ = false;
  Kill kill = kill_.value_or(Kill{Cause::crash, {}, "killed its executor: " + how});
  kill_.reset();
  const Jobs suspects = suspects_of(kill);
  log_.write("executor_died", {{"how", how}, {"jobs", handed_.size()}, {"suspects", suspects.size()}});
  // One job that has computed for too long is found out already; of others one must be sure that nobody else did it.
  const bool found_out =
      suspects.size() == 1 && (suspects[0]->assignment.alone ||
                               (kill.cause == Cause::timeout && suspects[0]->phase == HeldJob::Phase::computing));
  Jobs jobs = std::move(handed_);
  handed_.clear();
  std::ranges::reverse(jobs);  // each waits again before the ones that were handed over later
  for (HeldJob* job : jobs) {
    const bool suspected = std::ranges::count(suspects, job) > 0;
    if (job->lost || job->cancel_asked) {
      end(*job, Outcome::Kind::cancelled);
    } else if (suspected && found_out) {
      charge(*job, kill.sentence);
    } else if (draining_) {
      end(*job, Outcome::Kind::given_back);
    } else {
      job->assignment.alone |= suspected;
      wait_again(*job);
    }
  }
}

void ExecutorSlot::charge(HeldJob& job, const std::string& sentence) {
  Outcome outcome;
  outcome.lease = {job.assignment.job, job.assignment.token};
  outcome.kind = Outcome::Kind::may_pass;
  outcome.error_code = ErrorCode::internal;
  outcome.error = sentence;
  if (job.phase == HeldJob::Phase::computing)
    outcome.device_seconds = static_cast<double>(clock_.boot_us() - job.began_us) * 1e-6;
  job.phase = HeldJob::Phase::ended;
  ended_(job, std::move(outcome));
}

}  // namespace kiban::engine
