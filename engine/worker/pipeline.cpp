#include "engine/worker/pipeline.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/worker/pipeline_state.hpp"

namespace kiban::engine {
namespace {

using Kind = Outcome::Kind;

/// Space and permission come back when somebody sees to it, and are no fault of the job.
Kind kind_of_errno(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EROFS:
    case EACCES:
    case EPERM:
      return Kind::postponed;
    default:
      return Kind::may_pass;
  }
}

Kind kind_of(const Error& error) {
  if (error.error_number() != 0) return kind_of_errno(error.error_number());
  const bool of_the_request = error.code() == ErrorCode::usage || error.code() == ErrorCode::input;
  return of_the_request ? Kind::failed : Kind::may_pass;
}

Outcome ended(Kind kind, ErrorCode code, const std::string& sentence) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.error_code = code;
  outcome.error = sentence;
  return outcome;
}

Outcome ended(Kind kind) {
  Outcome outcome;
  outcome.kind = kind;
  return outcome;
}

BatchLimits with_memory(BatchLimits limits, Device device) {
  constexpr double kShare = 0.8;
  if (limits.host_bytes != 0 && (limits.device_bytes != 0 || device.kind != DeviceKind::cuda)) return limits;
  const MemoryNeed free = free_memory(device);
  const auto share = [](std::size_t bytes) { return static_cast<std::size_t>(kShare * static_cast<double>(bytes)); };
  if (limits.host_bytes == 0) limits.host_bytes = share(free.host_bytes);
  if (limits.device_bytes == 0) limits.device_bytes = share(free.device_bytes);
  return limits;
}

PipelineOptions completed(PipelineOptions options) {
  options.limits.most_jobs = std::max(1, options.limits.most_jobs);
  options.limits = with_memory(options.limits, options.device);
  return options;
}

}  // namespace

Outcome outcome_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Cancelled&) {
    return ended(Kind::cancelled);
  } catch (const Error& error) {
    return ended(kind_of(error), error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return ended(Kind::may_pass, ErrorCode::input,
                 "memory ran out; ask for fewer or larger voxels, or free some memory");
  } catch (const std::system_error& error) {
    return ended(kind_of_errno(error.code().value()), ErrorCode::input, error.what());
  } catch (const std::exception& error) {
    return ended(Kind::may_pass, ErrorCode::internal, std::string("internal error: ") + error.what());
  } catch (...) {
    return ended(Kind::may_pass, ErrorCode::internal, "internal error: something was thrown that is no exception");
  }
}

std::int64_t steady_now_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

Pipeline::State::State(const Registry& known, const PipelineOptions& wanted, Listener told)
    : registry(known),
      options(completed(wanted)),
      listener(std::move(told)),
      stream(options.device, options.threads),
      batcher(options.limits) {
  threads.emplace_back([this] { load_loop(); });
  threads.emplace_back([this] { compute_loop(); });
  threads.emplace_back([this] { store_loop(); });
}

void Pipeline::State::tell(const PipelineJob& job, Event::Kind kind, const std::function<void(Event&)>& complete) {
  Event event;
  event.kind = kind;
  event.job = job.assignment.job;
  event.token = job.assignment.token;
  if (complete) complete(event);
  const std::lock_guard lock(telling);
  listener(event);
}

void Pipeline::State::give_up(const JobPtr& job, Outcome outcome) {
  job->place = PipelineJob::Place::ending;
  job->outcome = std::move(outcome);
  given_up.push_back(job);
  load_wanted.notify_one();
  store_wanted.notify_one();
}

bool Pipeline::State::end_given_up(Lock& lock) {
  if (given_up.empty()) return false;
  const JobPtr job = given_up.front();
  given_up.pop_front();
  lock.unlock();
  end(*job);
  lock.lock();
  return true;
}

void Pipeline::State::end(PipelineJob& job) {
  job.work.reset();
  if (job.has_folder && job.outcome.kind != Outcome::Kind::succeeded) {
    std::error_code ignored;  // what is left, `prune` finds
    std::filesystem::remove_all(job.assignment.folder, ignored);
  }
  {
    const Lock lock(mutex);
    release_memory(job);
  }
  job.outcome.lease = {job.assignment.job, job.assignment.token};
  job.outcome.device_seconds = job.device_seconds;
  tell(job, Event::Kind::ended, [&job](Event& event) { event.outcome = job.outcome; });
  const Lock lock(mutex);
  jobs.erase(job.assignment.token);
  if (jobs.empty()) all_ended.notify_all();
}

bool Pipeline::State::fits(const PipelineJob& job) const {
  const BatchLimits& limits = options.limits;
  // Each has files open; a batch that computes, one that is stored, and two to choose from are enough.
  const int most_holders = std::max(64, 4 * limits.most_jobs);
  const bool has_place = holders < most_holders || job.assignment.priority == Priority::stat;
  const bool has_device_memory =
      limits.device_bytes == 0 || taken.device_bytes + job.need.device_bytes <= limits.device_bytes;
  return has_place && has_device_memory && taken.host_bytes + job.need.host_bytes <= limits.host_bytes;
}

void Pipeline::State::take_memory(PipelineJob& job) {
  job.taken = job.need;
  job.may_prefetch = job.plan.prefetch_bytes > 0 &&
                     taken.host_bytes + job.need.host_bytes + job.plan.prefetch_bytes <= options.limits.host_bytes;
  if (job.may_prefetch) job.taken.host_bytes += job.plan.prefetch_bytes;
  job.holds_memory = true;
  taken.host_bytes += job.taken.host_bytes;
  taken.device_bytes += job.taken.device_bytes;
  ++holders;
}

void Pipeline::State::release_memory(PipelineJob& job) {
  if (!job.holds_memory) return;
  job.holds_memory = false;
  taken.host_bytes -= job.taken.host_bytes;
  taken.device_bytes -= job.taken.device_bytes;
  --holders;
  load_wanted.notify_one();
}

void Pipeline::State::step_back(const JobPtr& job) {
  if (job->stop) return give_up(job, ended(Kind::cancelled));
  if (draining) return give_up(job, ended(Kind::given_back));
  release_memory(*job);
  job->place = PipelineJob::Place::waiting;
  waiting.emplace(job->urgency(), job);
  load_wanted.notify_one();
}

Pipeline::Pipeline(const Registry& registry, const PipelineOptions& options, Listener listener)
    : state_(std::make_unique<State>(registry, options, std::move(listener))) {}

Pipeline::~Pipeline() {
  drain();
  {
    const State::Lock lock(state_->mutex);
    state_->stopping = true;
    state_->load_wanted.notify_all();
    state_->compute_wanted.notify_all();
    state_->store_wanted.notify_all();
  }
  for (std::thread& thread : state_->threads) thread.join();
}

void Pipeline::add(Assignment assignment) {
  const auto job = std::make_shared<PipelineJob>();
  job->assignment = std::move(assignment);
  const State::Lock lock(state_->mutex);
  job->number = state_->arrivals++;
  if (!state_->jobs.try_emplace(job->assignment.token, job).second)
    throw Error(ErrorCode::internal, "attempt " + job->assignment.token + " was handed to the pipeline twice");
  state_->step_back(job);
}

void Pipeline::cancel(const std::string& token) {
  const State::Lock lock(state_->mutex);
  const auto found = state_->jobs.find(token);
  if (found == state_->jobs.end()) return;
  const State::JobPtr job = found->second;
  job->stop = true;
  if (state_->waiting.erase(job->urgency()) > 0 || state_->batcher.remove(token) ||
      state_->computed.erase(job->urgency()) > 0)
    state_->give_up(job, ended(Kind::cancelled));
}

void Pipeline::drain() {
  State::Lock lock(state_->mutex);
  state_->draining = true;
  for (const auto& [token, job] : state_->jobs) {
    if (state_->waiting.erase(job->urgency()) > 0 || state_->batcher.remove(token))
      state_->give_up(job, ended(Kind::given_back));
  }
  state_->all_ended.wait(lock, [this] { return state_->jobs.empty(); });
}

int Pipeline::unfinished() const {
  const State::Lock lock(state_->mutex);
  return static_cast<int>(state_->jobs.size());
}

double Pipeline::busy_seconds() const {
  const State::Lock lock(state_->mutex);
  return state_->busy_seconds;
}

}  // namespace kiban::engine
