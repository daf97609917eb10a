#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/queue/queue.hpp"

/// Claims and completions of jobs without outputs, each flushed, with few and with many jobs queued. The flush of a 4
/// KiB append to a file beside the queue stands next to them, for it is most of the time.
namespace kiban::engine {
namespace {

class Depth {
 public:
  explicit Depth(std::int64_t queued) {
    std::string name = (std::filesystem::temp_directory_path() / "kiban-bench-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder_ = name;
    queue_ = open_queue("sqlite://" + (folder_ / "queue.sqlite").string());
    for (std::int64_t left = queued; left > 0; left -= 10'000) submit(std::min<std::int64_t>(left, 10'000));
    queue_->claim({"reads the store through, once", 0, {}});
  }
  ~Depth() {
    queue_.reset();
    std::filesystem::remove_all(folder_);
  }

  void submit(std::int64_t jobs) {
    Submission submission;
    submission.operation = "bench.noop";
    submission.submitter = "bench";
    submission.inputs = {{"stack", "/data/incoming/study/series/stack.mha"}};
    submission.parameters = {{"size", {512, 512, 512}}, {"spacing", 0.5}, {"filter", "hann"}};
    queue_->submit(std::vector<Submission>(static_cast<std::size_t>(jobs), submission));
  }
  Queue& queue() { return *queue_; }

  double flush_ms() const {
    const int file = open((folder_ / "flush").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    const std::array<char, 4096> page{};
    std::vector<double> times;
    for (int i = 0; i < 101; ++i) {
      const auto begun = std::chrono::steady_clock::now();
      if (write(file, page.data(), page.size()) != static_cast<ssize_t>(page.size()) || fdatasync(file) != 0) return -1;
      times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
    }
    close(file);
    std::ranges::nth_element(times, times.begin() + 50);
    return times[50];
  }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<Queue> queue_;
};

Depth& depth(std::int64_t queued) {
  static std::map<std::int64_t, std::unique_ptr<Depth>> made;
  std::unique_ptr<Depth>& place = made[queued];
  if (!place) place = std::make_unique<Depth>(queued);
  return *place;
}

/// Empty, or what is wrong.
const char* claim_and_finish(Queue& queue, int at_once, std::string& last) {
  const std::vector<Claim> claims = queue.claim({"bench", at_once, {}});
  if (static_cast<int>(claims.size()) != at_once) return "fewer jobs than are queued";
  std::vector<Outcome> outcomes;
  for (const Claim& each : claims) {
    if (each.lease.job <= last) return "not in the order of submission";
    last = each.lease.job;
    Outcome outcome;
    outcome.lease = each.lease;
    outcomes.push_back(outcome);
  }
  const std::vector<bool> counted = queue.finish(outcomes);
  return std::ranges::count(counted, true) == at_once ? "" : "a holder was refused";
}

void claim_and_finish(benchmark::State& state) {
  Depth& store = depth(state.range(0));
  const int at_once = static_cast<int>(state.range(1));
  std::string last;
  for (auto _ : state) {
    if (const char* wrong = claim_and_finish(store.queue(), at_once, last); *wrong) {
      state.SkipWithError(wrong);
      break;
    }
    state.PauseTiming();
    store.submit(at_once);
    state.ResumeTiming();
  }
  if (store.queue().counts().classes[2].queued != state.range(0))
    state.SkipWithError("the depth is not what was asked");
  state.SetItemsProcessed(state.iterations() * at_once);
  state.counters["flush_ms"] = store.flush_ms();
}
BENCHMARK(claim_and_finish)
    ->ArgNames({"queued", "at_once"})
    ->ArgsProduct({{1000, 1'000'000}, {1, 16}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace kiban::engine
