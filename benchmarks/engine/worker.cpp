#include "engine/worker/worker.hpp"

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "tests/engine/worker/test_operations.hpp"

// What the queue and the worker cost, on the disk that holds the temporary files (TMPDIR). The program is its own
// executor.
namespace kiban::engine {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double cpu_seconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime})
      sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  }
  return sum;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return NAN;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

/// A queue in a folder of its own.
class Site {
 public:
  Site() {
    std::string name = (std::filesystem::temp_directory_path() / "kiban-bench-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    queue_ = open_queue(url());
  }
  ~Site() {
    queue_.reset();
    std::filesystem::remove_all(folder_);
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  std::string url() const { return "sqlite://" + (folder_ / "queue.sqlite").string(); }
  Queue& queue() { return *queue_; }
  std::filesystem::path target(int number) const { return folder_ / (std::to_string(number) + ".mha"); }

  void submit(int jobs, const std::string& operation, nlohmann::json parameters,
              Priority priority = Priority::routine) {
    std::vector<Submission> all;
    for (int i = 0; i < jobs; ++i) {
      Submission one;
      one.operation = operation;
      parameters["number"] = i;
      one.parameters = parameters;
      one.submitter = "bench";
      one.priority = priority;
      if (parameters.value("bytes", 0) > 0) one.outputs["result"] = target(i).string();
      all.push_back(std::move(one));
    }
    queue_->submit(all);
  }

  WorkerOptions options(int most_jobs) const {
    WorkerOptions options;
    options.devices = {"cpu"};
    options.threads = 1;
    options.limits.most_jobs = most_jobs;
    options.exit_when_idle_s = 0;
    return options;
  }
  /// As another process would: with a connection of its own, and with its log.
  void work(
      const WorkerOptions& options, const std::function<bool()>& stop = [] { return false; }) {
    const auto queue = open_queue(url());
    std::FILE* log = std::fopen((folder_ / "log").c_str(), "w");
    Worker(*queue, options, log).run(stop);
    std::fclose(log);
  }

  /// From the first claim to the last commit, or, where there are results, until the last has its name.
  double span_seconds() const {
    std::int64_t first = INT64_MAX, last = 0;
    for (const Job& job : queue_->list(everything())) {
      first = std::min(first, job.started_us);
      last = std::max(last, job.finished_us);
    }
    for (const auto& [job, when_s] : logged("published"))
      last = std::max(last, static_cast<std::int64_t>(when_s * 1e6));
    return static_cast<double>(last - first) * 1e-6;
  }
  double device_seconds() const {
    double sum = 0;
    for (const Job& job : queue_->list(everything())) sum += job.device_seconds;
    return sum;
  }
  /// Milliseconds from the submission of each job of a class to its beginning on the device.
  std::vector<double> waits_ms(Priority priority) const {
    std::map<std::string, std::int64_t> submitted;
    for (const Job& job : queue_->list(everything()))
      if (job.priority == priority) submitted[job.id] = job.submitted_us;
    std::vector<double> waits;
    for (const auto& [job, when_s] : logged("began")) {
      const auto found = submitted.find(job);
      if (found != submitted.end()) waits.push_back(when_s * 1e3 - static_cast<double>(found->second) * 1e-3);
    }
    return waits;
  }

  /// What one flush of this disk takes, in milliseconds: the measure of all else.
  double flush_ms() const {
    const std::filesystem::path path = folder_ / "flush";
    const int file = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    const std::string page(4096, 'x');
    std::vector<double> times;
    for (int i = 0; i < 50; ++i) {
      const auto begin = Clock::now();
      if (pwrite(file, page.data(), page.size(), 4096 * i) < 0 || fdatasync(file) != 0) return NAN;
      times.push_back(seconds_since(begin) * 1e3);
    }
    close(file);
    return quantile(times, 0.5);
  }

 private:
  /// Jobs of which the log tells this, and when, in seconds since 1970.
  std::vector<std::pair<std::string, double>> logged(const std::string& event) const {
    std::vector<std::pair<std::string, double>> found;
    std::ifstream log(folder_ / "log");
    for (std::string line; std::getline(log, line);) {
      if (line.find('"' + event + '"') == std::string::npos) continue;
      const nlohmann::json told = nlohmann::json::parse(line);
      found.emplace_back(told["job"], told["t"]);
    }
    return found;
  }
  static JobFilter everything() {
    JobFilter filter;
    filter.most = 1'000'000;
    return filter;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Queue> queue_;
};

bool all_succeeded(Site& site, benchmark::State& state, std::int64_t jobs) {
  const QueueCounts counts = site.queue().counts();
  if (counts.succeeded == jobs && counts.unpublished == 0) return true;
  state.SkipWithError("not every job succeeded");
  return false;
}

bool results_are_right(const Site& site, int jobs, std::size_t bytes) {
  for (int i = 0; bytes > 0 && i < jobs; ++i) {
    std::ifstream file(site.target(i), std::ios::binary);
    if (std::string({std::istreambuf_iterator<char>(file), {}}) != test::content_of(i, bytes)) return false;
  }
  return true;
}

void cheap(benchmark::State& state) {
  const auto bytes = static_cast<int>(state.range(0)), most = static_cast<int>(state.range(1));
  const int jobs = bytes > 0 ? (most > 1 ? 1000 : 300) : (most > 1 ? 20000 : 1000);
  for (auto _ : state) {
    Site site;
    site.submit(jobs, "test.single", {{"bytes", bytes}});
    const double before = cpu_seconds();
    site.work(site.options(most));
    const double cpu = cpu_seconds() - before;
    const double seconds = site.span_seconds();
    state.SetIterationTime(seconds);
    state.counters["jobs_per_s"] = jobs / seconds;
    state.counters["cpu_ms_per_job"] = cpu * 1e3 / jobs;
    state.counters["flush_ms"] = site.flush_ms();
    if (!all_succeeded(site, state, jobs)) return;
    if (!results_are_right(site, jobs, static_cast<std::size_t>(bytes))) return state.SkipWithError("wrong answer");
  }
}
BENCHMARK(cheap)
    ->ArgNames({"bytes", "batch"})
    ->ArgsProduct({{0, 1'000'000}, {1, 16}})
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

/// A launch costs 5 ms, whatever it launches.
void batching(benchmark::State& state) {
  constexpr int kJobs = 480;
  for (auto _ : state) {
    Site site;
    site.submit(kJobs, "test.batch", {{"launch_ms", 5}});
    site.work(site.options(static_cast<int>(state.range(0))));
    const double seconds = site.span_seconds();
    state.SetIterationTime(seconds);
    state.counters["jobs_per_s"] = kJobs / seconds;
    if (!all_succeeded(site, state, kJobs)) return;
  }
}
BENCHMARK(batching)->ArgName("batch")->Arg(1)->Arg(16)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

/// A timed fake device computes twice as long as is loaded and stored.
void overlap(benchmark::State& state) {
  constexpr int kJobs = 200;
  for (auto _ : state) {
    Site site;
    site.submit(kJobs, "test.single", {{"load_ms", 10}, {"compute_ms", 40}, {"store_ms", 10}});
    site.work(site.options(static_cast<int>(state.range(0))));
    const double seconds = site.span_seconds();
    state.SetIterationTime(seconds);
    state.counters["busy_percent"] = 100 * site.device_seconds() / seconds;
    if (!all_succeeded(site, state, kJobs)) return;
  }
}
BENCHMARK(overlap)->ArgName("batch")->Arg(1)->Arg(16)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

/// STAT jobs come while 10,000 routine jobs keep the device busy, a batch of 16 lasting 32 ms; or nothing does.
void stat_waits(benchmark::State& state) {
  const int routine = static_cast<int>(state.range(0));
  constexpr int kStat = 200;
  for (auto _ : state) {
    Site site;
    if (routine > 0) site.submit(routine, "test.batch", {{"compute_ms", 2}});
    WorkerOptions options = site.options(16);
    options.exit_when_idle_s = 1e9;
    std::atomic<bool> stop{false};
    std::jthread worker([&] { site.work(options, [&] { return stop.load(); }); });
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const auto queue = open_queue(site.url());
    for (int i = 0; i < kStat; ++i) {
      Submission one;
      one.operation = "test.single";
      one.submitter = "emergency";
      one.priority = Priority::stat;
      queue->submit({one});
      std::this_thread::sleep_for(std::chrono::milliseconds(70));
    }
    stop = true;
    worker.join();
    const std::vector<double> waits = site.waits_ms(Priority::stat);
    if (waits.size() != kStat) return state.SkipWithError("not every stat job began");
    if (routine > 0 && site.queue().counts().classes[2].queued == 0) return state.SkipWithError("it was not busy");
    state.SetIterationTime(quantile(waits, 0.99) * 1e-3);
    state.counters["p50_ms"] = quantile(waits, 0.5);
    state.counters["p99_ms"] = quantile(waits, 0.99);
    state.counters["flush_ms"] = site.flush_ms();
  }
}
BENCHMARK(stat_waits)
    ->ArgName("routine")
    ->Arg(0)
    ->Arg(10'000)
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

/// All classes wait, stat jobs in a flood: who gets what of the device.
void shares(benchmark::State& state) {
  constexpr int kFinish = 2000;
  for (auto _ : state) {
    Site site;
    for (int priority = 0; priority < kPriorities; ++priority)
      site.submit(kFinish, "test.batch", {{"compute_ms", 3}}, static_cast<Priority>(priority));
    const auto begin = Clock::now();
    site.work(site.options(16), [&] { return site.queue().counts().succeeded >= kFinish; });
    state.SetIterationTime(seconds_since(begin));
    const QueueCounts counts = site.queue().counts();
    double most_off = 0;
    const std::array<double, kPriorities> due{70, 20, 7, 3};
    for (std::size_t i = 0; i < due.size(); ++i) {
      const double share = 100 * counts.classes[i].device_share;
      state.counters[to_string(static_cast<Priority>(i))] = share;
      most_off = std::max(most_off, std::abs(share - due[i]));
    }
    state.counters["most_off"] = most_off;
    if (most_off > 5) {
      const std::string told =
          fmt::format("stat {:.1f}, urgent {:.1f}, routine {:.1f}, research {:.1f} % of the device",
                      100 * counts.classes[0].device_share, 100 * counts.classes[1].device_share,
                      100 * counts.classes[2].device_share, 100 * counts.classes[3].device_share);
      return state.SkipWithError(told.c_str());
    }
  }
}
BENCHMARK(shares)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kiban::engine

int main(int argc, char** argv) {
  using namespace kiban::engine;
  if (argc == 3 && std::string(argv[1]) == "executor")
    return run_executor(Registry(test::test_operations()), nlohmann::json::parse(argv[2]), 0, 1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
