#include <atomic>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/worker/worker.hpp"
#include "tests/engine/worker/test_operations.hpp"

// What `kiban executor` and `kiban worker` are, with the operations of the tests:
//   executor OPTIONS
//   worker QUEUE OPTIONS   logs on standard output; SIGTERM drains
namespace {

using namespace kiban::engine;

std::atomic<bool> stopped{false};
static_assert(std::atomic<bool>::is_always_lock_free);

int run_worker(const std::string& program, const std::string& url, const nlohmann::json& given) {
  std::signal(SIGTERM, [](int) { stopped = true; });
  const auto queue = open_queue(url);
  WorkerOptions options;
  options.name = given.value("name", "child");
  options.devices = {"cpu"};
  options.threads = 1;
  options.limits.most_jobs = given.value("most_jobs", 16);
  options.exit_when_idle_s = given.value("exit_when_idle_s", options.exit_when_idle_s);
  options.executor_command = {program, "executor"};
  Worker(*queue, options, stdout).run([] { return stopped.load(); });
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  try {
    if (command == "executor" && argc == 3)
      return run_executor(Registry(test::test_operations()), nlohmann::json::parse(argv[2]), 0, 1);
    if (command == "worker" && argc == 4) return run_worker(argv[0], argv[2], nlohmann::json::parse(argv[3]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::fprintf(stderr, "executor OPTIONS, or worker QUEUE OPTIONS\n");
  return 2;
}
