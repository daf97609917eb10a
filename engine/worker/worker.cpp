#include "engine/worker/worker.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <exception>
#include <thread>

#include "engine/durable_file.hpp"
#include "engine/worker/worker_state.hpp"

namespace kiban::engine {
namespace {

std::string host_and_process() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return fmt::format("{}:{}", host, getpid());
}

/// Every GPU, or else the CPU.
std::vector<std::string> devices_to_use(const std::vector<std::string>& command) {
  std::vector<std::string> all = probe_devices(command), cuda;
  for (const std::string& device : all)
    if (device.starts_with("cuda:")) cuda.push_back(device);
  return cuda.empty() ? std::vector<std::string>{"cpu"} : cuda;
}

/// The machine's threads and memory are shared by all.
nlohmann::json executor_options(const WorkerOptions& options, const std::string& device, std::size_t executors) {
  const std::size_t cores = options.threads > 0 ? static_cast<std::size_t>(options.threads)
                                                : std::max(1U, std::thread::hardware_concurrency());
  const bool alone = executors == 1;
  BatchLimits limits = options.limits;
  if (!alone && limits.host_bytes == 0)
    limits.host_bytes = static_cast<std::size_t>(available_memory_bytes()) / 10 * 8 / executors;
  return {{"device", device},
          {"threads", alone ? options.threads : static_cast<int>(std::max<std::size_t>(1, cores / executors))},
          {"simd", options.simd},
          {"limits",
           {{"most_jobs", limits.most_jobs},
            {"host_bytes", limits.host_bytes},
            {"device_bytes", limits.device_bytes},
            {"max_delay_s", limits.max_delay_s},
            {"most_seconds", limits.most_seconds}}}};
}

}  // namespace

Worker::Worker(Queue& queue, const WorkerOptions& options, std::FILE* log)
    : state_(std::make_unique<State>(queue, options, log)) {
  if (options.limits.most_jobs < 1) throw Error(ErrorCode::usage, "a batch has at least one job");
  WorkerOptions& known = state_->options;
  if (known.name.empty()) known.name = host_and_process();
  if (known.executor_command.empty()) known.executor_command = own_executor_command();
}

Worker::~Worker() = default;

void Worker::State::make_slots() {
  if (options.devices.empty()) options.devices = devices_to_use(options.executor_command);
  const std::size_t count = options.devices.size();
  ExecutorTerms terms;
  terms.command = options.executor_command;
  terms.window = window();
  terms.most_bytes = options.most_executor_bytes > 0
                         ? options.most_executor_bytes
                         : static_cast<std::size_t>(available_memory_bytes()) / 10 * 9 / count;
  for (const std::string& device : options.devices) {
    terms.options = executor_options(options, device, count);
    slots.push_back(std::make_unique<ExecutorSlot>(
        terms, clock, log, [this](HeldJob& job, Outcome outcome) { on_ended(job, std::move(outcome)); }));
  }
}

/// Nothing is claimed before there is somebody to run it.
void Worker::State::wait_until_ready(const std::function<bool()>& stop) {
  for (bool all_ready = false; !all_ready && !stop();) {
    wait_for_news();
    const std::lock_guard lock(mutex);
    all_ready = true;
    for (const auto& slot : slots) {
      slot->receive();
      slot->step();
      if (slot->refusal()) throw Error(*slot->refusal());
      all_ready &= slot->ready();
    }
  }
}

std::vector<Heartbeat> Worker::State::beats() {
  const std::lock_guard lock(mutex);
  std::vector<Heartbeat> all;
  for (const auto& [token, job] : held)
    if (!job.lost) all.push_back({{job.assignment.job, token}, job.stage, job.fraction});
  return all;
}

void Worker::State::answered(const std::vector<Heartbeat>& beats, const std::vector<HeartbeatAnswer>& answers) {
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < beats.size(); ++i) {
    const auto found = held.find(beats[i].lease.token);
    // Of one that has ended, `finish` is told the truth.
    if (found == held.end() || found->second.phase == HeldJob::Phase::ended) continue;
    HeldJob& job = found->second;
    if (answers[i].deadline_us > 0) job.deadline_us = answers[i].deadline_us;
    if (answers[i].answer == LeaseAnswer::held) continue;
    const bool lost = answers[i].answer == LeaseAnswer::lost;
    log.job(lost ? "lost" : "cancel_asked", job.assignment.job, {{"stage", job.stage}});
    (lost ? job.lost : job.cancel_asked) = true;
    for (const auto& slot : slots) slot->stop(job);
  }
}

void Worker::State::watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      const std::lock_guard lock(mutex);
      for (const auto& slot : slots) slot->watch();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void Worker::State::run(const std::function<bool()>& stop) {
  settings = queue.settings();
  results = queue.results();
  // Attempts flush what they make up to this folder; its own name is flushed here, or all would be lost with it.
  std::error_code failed;
  std::filesystem::create_directories(results, failed);
  if (failed) throw write_failure(results, failed.value());
  flush_folder(results.parent_path());
  make_slots();
  log.write("started", {{"executors", slots.size()}, {"window", window()}});
  const std::jthread watcher([this](const std::stop_token& stopped) { watch(stopped); });
  wait_until_ready(stop);

  allowance.emplace(settings.shares);
  publisher.emplace(queue, log);
  const LeaseKeeper keeper(
      queue, log, [this] { return beats(); },
      [this](const auto& told, const auto& answers) { answered(told, answers); });
  while (!finished()) {
    wait_for_news();
    exchange_with_executors();
    commit();
    settle_unsure();
    remove_discarded();
    if (!draining && (stop() || idle_for_long())) drain();
    if (draining) continue;
    tend();
    claim();
  }
  publisher.reset();
  log.write("stopped");
  if (!ended.empty() && finishing.error()) throw Error(*finishing.error());
}

void Worker::run(const std::function<bool()>& stop) {
  // Executors, and the threads that know them, are gone when this returns, whatever happens: `state_` can run again.
  const auto clear = [this](void*) {
    state_->publisher.reset();
    state_->slots.clear();
    state_->held.clear();
    state_->ended.clear();
    state_->draining = false;
  };
  const std::unique_ptr<void, decltype(clear)> at_the_end(this, clear);
  state_->run(stop);
}

}  // namespace kiban::engine
