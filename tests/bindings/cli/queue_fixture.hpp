#pragma once
#include <chrono>
#include <csignal>
#include <thread>

#include "io/image/image_file.hpp"
#include "tests/bindings/cli/kiban_command.hpp"

namespace kiban::test {

/// A program that does not outlive the test, whatever became of that.
class Guest : public Process {
 public:
  using Process::Process;
  ~Guest() {
    if (!running()) return;
    signal(SIGKILL);
    wait();
  }
};

/// A queue of the test's own, and something small to do: skeleton.affine on a volume of 60 values.
class QueueTest : public testing::Test {
 protected:
  Folder folder;
  std::string url = "sqlite://" + folder / "q" + "/queue.sqlite", input = folder / "in.mha";

  void SetUp() override {
    std::filesystem::create_directory(folder / "q");
    Volume volume{Array<float, 3>({3, 4, 5}), Grid::centred({3, 4, 5}, {1, 1, 1})};
    float next = 0;
    for (std::int64_t z = 0; z < 3; ++z)
      for (std::int64_t y = 0; y < 4; ++y)
        for (std::int64_t x = 0; x < 5; ++x) volume.values.host()(z, y, x) = next++;
    io::write_image(input, volume.grid, volume.values.span());
  }

  std::vector<std::string> on_queue(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--queue", url});
    return arguments;
  }
  Finished on_queue_run(const std::vector<std::string>& arguments) const { return kiban(on_queue(arguments)); }
  void expect_refusal(const std::vector<std::string>& arguments, int status, const std::string& part) const {
    expect_failure(on_queue(arguments), status, part);
  }
  /// What a command prints as JSON; it must succeed.
  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.push_back("--json");
    const Finished finished = on_queue_run(arguments);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return nlohmann::json::parse(finished.out, nullptr, false);
  }

  std::vector<std::string> affine(const std::string& output, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"submit",   "skeleton.affine", "--input", input,
                                          "--output", folder / output,   "--scale", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  /// The id of what was submitted.
  std::string submit(const std::vector<std::string>& arguments) const {
    return json(arguments).value("id", std::string("none"));
  }
  nlohmann::json job(const std::string& id) const { return json({"status", id}); }
  std::string state(const std::string& id) const { return job(id).value("state", std::string("none")); }

  /// Jobs of a state, over all classes.
  std::int64_t count(const std::string& name) const {
    std::int64_t sum = 0;
    const nlohmann::json all = json({"queue"});
    for (const auto& [priority, counts] : all["classes"].items()) sum += counts[name].get<std::int64_t>();
    return sum;
  }
  std::int64_t jobs() const { return static_cast<std::int64_t>(json({"status"})["jobs"].size()); }

  std::vector<std::string> worker(const std::vector<std::string>& more = {"--exit-when-idle", "0.1"}) const {
    std::vector<std::string> arguments = {"worker", "--device", "cpu", "--threads", "2", "--queue", url};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return kiban_command(arguments);
  }
  /// Works off what is in the queue.
  void work() const {
    const Finished finished = run(worker());
    EXPECT_EQ(finished.status, 0) << finished.err;
  }
  /// Waits, but not for ever.
  template <class Condition>
  static bool eventually(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }
};

}  // namespace kiban::test
