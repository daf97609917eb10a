#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "engine/queue/queue.hpp"
#include "engine/worker/worker.hpp"
#include "tests/engine/worker/test_operations.hpp"
#include "tests/support/process.hpp"

namespace kiban::engine::test {

/// Waits until it is so; that it takes a minute is a failure, whatever the machine.
[[nodiscard]] inline bool eventually(const std::function<bool()>& so) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!so()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// A queue in a folder of its own, jobs of the test operations in it, and workers for it.
class Site {
 public:
  explicit Site(double lease_s = 30) {
    queue_ = open_queue(url());
    QueueSettings settings = queue_->settings();
    settings.lease_s = lease_s;
    settings.heartbeat_s = std::min(0.2, lease_s / 5);
    settings.first_backoff_s = settings.most_backoff_s = 0.05;
    settings.most_attempts = 2;
    queue_->change_settings(settings);
    std::filesystem::create_directory(file("out"));
  }

  std::string url() const { return "sqlite://" + file("queue.sqlite"); }
  std::string file(const std::string& name) const { return folder_ / name; }
  Queue& queue() { return *queue_; }

  static Submission submission(const std::string& operation, const nlohmann::json& parameters) {
    Submission made;
    made.operation = operation;
    made.parameters = parameters;
    made.submitter = "dr-who";
    made.timeout_s = 120;
    return made;
  }
  std::string submit(const Submission& submission) { return queue_->submit({submission}).front().id; }
  std::string submit(const std::string& operation, const nlohmann::json& parameters) {
    return submit(submission(operation, parameters));
  }
  /// With a result of 1000 bytes at `out/<number>.mha`.
  std::string submit_with_result(const std::string& operation, nlohmann::json parameters) {
    parameters["bytes"] = 1000;
    Submission made = submission(operation, parameters);
    made.outputs["result"] = target(parameters["number"].get<int>());
    return submit(made);
  }
  std::string target(int number) const { return file("out/" + std::to_string(number) + ".mha"); }

  Job find(const std::string& id) const { return queue_->find(id); }
  bool has_state(const std::string& id, JobState state) const { return find(id).state == state; }

  WorkerOptions options(int most_jobs = 16) const {
    WorkerOptions options;
    options.name = "here";
    options.devices = {"cpu"};
    options.threads = 1;
    options.limits.most_jobs = most_jobs;
    options.exit_when_idle_s = 0;
    options.executor_command = {KIBAN_TEST_EXECUTOR, "executor"};
    return options;
  }
  /// Until nothing is left to do.
  void work(const WorkerOptions& options) {
    work(options, *queue_, [] { return false; });
  }
  void work(const WorkerOptions& options, Queue& queue, const std::function<bool()>& stop) {
    std::FILE* log = std::fopen(file("log").c_str(), "a");
    Worker(queue, options, log).run(stop);
    std::fclose(log);
  }
  /// A worker in a process of its own.
  std::unique_ptr<kiban::test::Process> worker(const nlohmann::json& options = {{"exit_when_idle_s", 0}}) const {
    return std::make_unique<kiban::test::Process>(
        std::vector<std::string>{KIBAN_TEST_EXECUTOR, "worker", url(), options.dump()});
  }

  std::vector<nlohmann::json> log() const {
    std::vector<nlohmann::json> events;
    for (const std::string& line : lines_of(file("log"))) events.push_back(nlohmann::json::parse(line));
    return events;
  }
  std::ptrdiff_t logged(const std::string& event, const std::string& job = "") const {
    return std::ranges::count_if(log(), [&](const nlohmann::json& line) {
      return line["event"] == event && (job.empty() || line.value("job", "") == job);
    });
  }

  void expect_published(const std::string& id, int number) const {
    const Job job = find(id);
    EXPECT_EQ(job.state, JobState::succeeded) << job.error;
    EXPECT_TRUE(job.published) << job.publish_error;
    EXPECT_EQ(job.result, id + "/" + job.token);
    EXPECT_TRUE(kiban::test::read_text(target(number)) == content_of(number, 1000)) << "wrong answer of " << number;
  }
  /// Folders of attempts that a job has left.
  std::vector<std::string> attempts_of(const std::string& id) const {
    std::vector<std::string> found;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator(queue_->results() / id, missing))
      found.push_back(entry.path().filename().string());
    return found;
  }

 private:
  kiban::test::Folder folder_;
  std::unique_ptr<Queue> queue_;
};

inline void open_gate(const std::string& path) { std::ofstream(path) << "open"; }

/// The process that ran first, as a mark says.
inline pid_t process_in(const std::string& mark) {
  const std::vector<std::string> lines = lines_of(mark);
  return lines.empty() ? 0 : std::stoi(lines.front().substr(lines.front().find(' ')));
}

/// Ended; whether somebody has waited for it or not.
inline bool is_gone(pid_t process) {
  return kiban::test::read_text("/proc/" + std::to_string(process) + "/cmdline").empty();
}

}  // namespace kiban::engine::test
