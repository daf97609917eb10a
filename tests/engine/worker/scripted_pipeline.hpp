#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/worker/pipeline.hpp"
#include "io/output_file.hpp"
#include "kernels/core/parallel.hpp"
#include "tests/support/process.hpp"

/// A pipeline whose operations do what a test tells them.
namespace kiban::engine::test {

/// How long a test waits for what must come, before it fails.
constexpr auto kPatience = std::chrono::seconds(120);

/// Holds whoever passes until it is opened.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    if (!changed_.wait_for(lock, kPatience, [this] { return open_; })) ADD_FAILURE() << "a gate stayed closed";
  }
  /// False where fewer came.
  bool reached(int count = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return arrived_ >= count; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  bool open_ = false;
};

/// All that a pipeline has told.
class Record {
 public:
  void add(const Event& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  }
  std::vector<Event> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::vector<Event> of(Event::Kind kind, const std::string& token = "") const {
    std::vector<Event> found;
    for (const Event& event : events())
      if (event.kind == kind && (token.empty() || event.token == token)) found.push_back(event);
    return found;
  }
  /// Waits for the last word on an attempt.
  Outcome outcome(const std::string& token) {
    std::unique_lock lock(mutex_);
    Outcome outcome;
    const auto has_ended = [&] {
      for (const Event& event : events_)
        if (event.kind == Event::Kind::ended && event.token == token) {
          outcome = event.outcome;
          return true;
        }
      return false;
    };
    if (!changed_.wait_for(lock, kPatience, has_ended)) ADD_FAILURE() << token << " has not ended";
    return outcome;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
};

struct Bench {
  /// Called at "load", "prefetch", "run" and "store" of the job of this name; may wait, and throw.
  using Hook = std::function<void(const std::string& stage, const std::string& name, Progress* progress)>;

  kiban::test::Folder folder;
  Hook hook;
  Record record;
  std::atomic<std::size_t> held = 0, most_held = 0;  ///< bytes that pieces of work hold now, and held at most
  std::atomic<int> prefetched = 0, launches = 0;
  Registry registry{{operation("test.single", false), operation("test.batch", true)}};
  std::unique_ptr<Pipeline> pipeline;

  void start(PipelineOptions options = {}) {
    if (options.limits.host_bytes == 0) options.limits.host_bytes = std::size_t{1} << 30;
    pipeline = std::make_unique<Pipeline>(registry, options, [this](const Event& event) { record.add(event); });
  }

  /// A job of this name, with an output file where `with_output` says so.
  Assignment assignment(const std::string& name, const std::string& operation = "test.single", bool with_output = false,
                        nlohmann::json parameters = nlohmann::json::object()) const {
    Assignment made;
    made.job = "job-" + name;
    made.token = name;
    made.submission.operation = operation;
    made.submission.parameters = std::move(parameters);
    made.submission.parameters["name"] = name;
    if (with_output) made.submission.outputs["out"] = folder / ("asked-" + name + ".bin");
    made.folder = folder.path() / "results" / made.job / made.token;
    return made;
  }
  std::string result_file(const std::string& name) const {
    return (folder.path() / "results" / ("job-" + name) / name / "out.bin").string();
  }

  /// Every attempt has exactly one last word, and it is the last.
  void expect_one_last_word_each() const {
    std::map<std::string, int> last_words;
    for (const Event& event : record.events()) {
      EXPECT_EQ(last_words[event.token], 0) << "told after its end: " << event.token;
      last_words[event.token] += event.kind == Event::Kind::ended ? 1 : 0;
    }
    for (const auto& [token, count] : last_words) EXPECT_EQ(count, 1) << token;
  }

 private:
  class ScriptedWork;
  Operation operation(const std::string& name, bool together);
  void at(const char* stage, const std::string& name, Progress* progress) const {
    if (hook) hook(stage, name, progress);
  }
};

class Bench::ScriptedWork : public Work {
 public:
  ScriptedWork(Bench& bench, const Request& request)
      : bench_(bench), request_(request), name_(request.parameters.text("name")) {
    bench_.at("load", name_, nullptr);
  }
  ~ScriptedWork() override { bench_.held -= held_; }

  Plan plan(Device) const override {
    Plan plan;
    plan.updates = request_.parameters.integer("updates");
    plan.host_bytes = size("host-bytes");
    plan.device_bytes = size("device-bytes");
    plan.prefetch_bytes = size("prefetch-bytes");
    plan.batch_key = request_.parameters.text("key");
    return plan;
  }
  void prefetch(Progress& progress) override {
    hold(size("prefetch-bytes"));
    ++bench_.prefetched;
    bench_.at("prefetch", name_, &progress);
  }
  void run(Stream& stream, Progress& progress) override {
    ++bench_.launches;
    compute(stream, progress);
  }
  /// Values that depend on the name and their place alone, on all threads of the stream.
  void compute(Stream& stream, Progress& progress) {
    progress.enter("compute");
    hold(size("host-bytes") + size("device-bytes"));
    bench_.at("run", name_, &progress);
    values_.resize(4096);
    parallel_for(stream, 4096, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        values_[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(i) * 2654435761U + name_.back();
    });
  }
  void store(Progress& progress) override {
    progress.enter("write");
    bench_.at("store", name_, &progress);
    if (!request_.uses("out")) return;
    io::OutputFile file(request_.path("out"));
    const int number = ::open(file.temporary_path().c_str(), O_WRONLY | O_CLOEXEC);
    const auto bytes = static_cast<ssize_t>(values_.size() * sizeof values_[0]);
    const ssize_t written = write(number, values_.data(), static_cast<std::size_t>(bytes));
    const int failure = written < 0 ? errno : written < bytes ? EFBIG : 0;
    close(number);
    if (failure != 0) throw io::write_error(request_.path("out"), failure);
    file.commit();
  }

 private:
  std::size_t size(const char* name) const { return static_cast<std::size_t>(request_.parameters.integer(name)); }
  void hold(std::size_t bytes) {
    held_ += bytes;
    const std::size_t now = bench_.held += bytes;
    std::size_t most = bench_.most_held;
    while (now > most && !bench_.most_held.compare_exchange_weak(most, now)) {
    }
  }

  Bench& bench_;
  Request request_;
  std::string name_;
  std::size_t held_ = 0;
  std::vector<std::uint32_t> values_;
};

inline Operation Bench::operation(const std::string& name, bool together) {
  Operation made;
  made.name = name;
  made.ports = {{"in", PortDirection::in, PortKind::volume, false, "In"},
                {"out", PortDirection::out, PortKind::volume, false, "Out"}};
  made.parameters = {Parameter::text("name", "Name").by_default(std::string()),
                     Parameter::text("key", "Key").by_default(std::string())};
  for (const char* number : {"updates", "host-bytes", "device-bytes", "prefetch-bytes"})
    made.parameters.push_back(Parameter::integer(number, "", "Number").by_default(std::int64_t{0}));
  made.load = [this](const Request& request) { return std::make_unique<ScriptedWork>(*this, request); };
  if (!together) return made;
  made.run_together = [this](std::span<Work* const> works, Stream& stream, std::span<Progress* const> progress,
                             std::span<std::exception_ptr> failures) {
    ++launches;
    at("together", "", nullptr);
    for (std::size_t i = 0; i < works.size(); ++i) {
      try {
        static_cast<ScriptedWork*>(works[i])->compute(stream, *progress[i]);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  return made;
}

}  // namespace kiban::engine::test
