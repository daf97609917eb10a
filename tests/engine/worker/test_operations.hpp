#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/operation.hpp"

/// Operations for tests and benchmarks of the worker: what they compute is known, what they cost can be chosen, and
/// they break as they are told.
namespace kiban::engine::test {

/// What the result of a number holds; another number, another content.
inline std::string content_of(std::int64_t number, std::size_t bytes) {
  std::string content(bytes, '\0');
  std::uint64_t state = static_cast<std::uint64_t>(number + 1) * 0x9E3779B97F4A7C15U;
  for (std::size_t i = 0; i < bytes; i += sizeof state) {
    state += 0xBF58476D1CE4E5B9U;
    std::memcpy(content.data() + i, &state, std::min(sizeof state, bytes - i));
  }
  return content;
}

inline void append_line(const std::string& path, const std::string& text) {
  const std::string line = text + "\n";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (write(file, line.data(), line.size()) < 0) std::abort();
  close(file);
}

inline void sleep_ms(double milliseconds) {
  if (milliseconds > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds));
}

class TestWork : public Work {
 public:
  TestWork(const Request& request, bool shares) : request_(request), shares_(shares) {
    if (fault() == "bad_input") throw Error(ErrorCode::input, "the test's input is bad; give it a good one");
    const std::string mark = text("load_mark");
    if (!mark.empty()) append_line(mark, std::to_string(number()));
  }

  Plan plan(Device) const override {
    Plan plan;
    plan.updates = 1;
    plan.host_bytes = bytes();
    plan.prefetch_bytes = real("load_ms") > 0 ? 1 : 0;
    plan.batch_key = shares_ ? "shared" : "";
    return plan;
  }

  void prefetch(Progress&) override {
    sleep_ms(real("load_ms"));
    loaded_ = true;
  }

  void run(Stream&, Progress& progress) override {
    progress.enter("compute");
    sleep_ms(real("launch_ms"));
    compute(progress);
  }

  void compute(Progress& progress) {
    if (!loaded_) prefetch(progress);
    if (const std::string mark = text("mark"); !mark.empty())
      append_line(mark, std::to_string(number()) + " " + std::to_string(getpid()));
    break_as_told();
    if (const std::string gate = text("gate"); !gate.empty()) {
      for (struct stat found{}; stat(gate.c_str(), &found) != 0; sleep_ms(1)) progress.check();
    }
    sleep_ms(real("compute_ms"));
    content_ = content_of(number(), bytes());
    progress.report(0.9);
  }

  void store(Progress& progress) override {
    progress.enter("write");
    sleep_ms(real("store_ms"));
    if (!request_.uses("result")) return;
    const std::string path = request_.path("result").string();
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const bool written =
        file >= 0 && write(file, content_.data(), content_.size()) == static_cast<ssize_t>(content_.size());
    if (file >= 0) close(file);
    if (!written) throw Error(ErrorCode::input, "the test's result cannot be written; free some space");
    progress.report(1);
  }

  double launch_ms() const { return real("launch_ms"); }

 private:
  std::int64_t number() const { return request_.parameters.integer("number"); }
  std::size_t bytes() const { return static_cast<std::size_t>(request_.parameters.integer("bytes")); }
  double real(const std::string& name) const { return request_.parameters.real(name); }
  std::string text(const std::string& name) const { return request_.parameters.text(name); }
  std::string fault() const { return text("fault"); }

  void break_as_told() const {
    if (fault() == "segfault") {
      std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would exit instead
      std::raise(SIGSEGV);
    }
    // As a CUDA context does: what fails once fails for all who come after in this process.
    static std::atomic<bool> broken{false};
    if (fault() == "device") broken = true;
    if (broken) throw Error(ErrorCode::device, "the test's device is gone; try again");
    for (std::size_t leaked = 0; fault() == "leak" && leaked < (std::size_t{4} << 30); leaked += 32 << 20) {
      char* lost = static_cast<char*>(std::malloc(32 << 20));
      for (std::size_t i = 0; i < (32 << 20); i += 4096) const_cast<volatile char*>(lost)[i] = 1;
      sleep_ms(10);
    }
    while (fault() == "hang" || fault() == "leak") sleep_ms(10);
  }

  Request request_;
  bool shares_;
  bool loaded_ = false;
  std::string content_;
};

/// `test.single` shares with nobody; `test.batch` runs a batch for the price of one launch.
inline Operation test_operation(const std::string& name, bool shares) {
  Operation made;
  made.name = name;
  made.summary = "Work whose result and cost are known";
  made.update = "job";
  made.parameters = {
      Parameter::integer("number", "", "What the result holds").by_default(std::int64_t{0}),
      Parameter::integer("bytes", "", "Size of the result").at_least(0).by_default(std::int64_t{0}),
      Parameter::real("load_ms", "ms", "Time to load").at_least(0).by_default(0.0),
      Parameter::real("launch_ms", "ms", "Time of a launch").at_least(0).by_default(0.0),
      Parameter::real("compute_ms", "ms", "Time on the device").at_least(0).by_default(0.0),
      Parameter::real("store_ms", "ms", "Time to store").at_least(0).by_default(0.0),
      Parameter::choice("fault", {"none", "segfault", "hang", "leak", "bad_input", "device"}, "What breaks")
          .by_default(std::string("none")),
      Parameter::text("gate", "File that computing waits for").by_default(std::string()),
      Parameter::text("mark", "File that is told of each run").by_default(std::string()),
      Parameter::text("load_mark", "File that is told of each load").by_default(std::string())};
  made.ports = {{"result", PortDirection::out, PortKind::volume, false, "The content"}};
  made.load = [shares](const Request& request) { return std::make_unique<TestWork>(request, shares); };
  if (shares)
    made.run_together = [](std::span<Work* const> works, Stream&, std::span<Progress* const> progress,
                           std::span<std::exception_ptr> failures) {
      double launch_ms = 0;
      for (std::size_t i = 0; i < works.size(); ++i) {
        progress[i]->enter("compute");
        launch_ms = std::max(launch_ms, static_cast<TestWork*>(works[i])->launch_ms());
      }
      sleep_ms(launch_ms);
      for (std::size_t i = 0; i < works.size(); ++i) {
        try {
          static_cast<TestWork*>(works[i])->compute(*progress[i]);
        } catch (...) {
          failures[i] = std::current_exception();
        }
      }
    };
  return made;
}

inline std::vector<Operation> test_operations() {
  return {test_operation("test.single", false), test_operation("test.batch", true)};
}

}  // namespace kiban::engine::test
