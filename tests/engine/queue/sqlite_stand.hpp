#pragma once
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "tests/engine/queue/queue_suite.hpp"

namespace kiban::engine::test {

/// A queue in a folder of its own; in memory where there is such a place, for what is tested is not the disk.
class SqliteStand final : public Stand {
 public:
  SqliteStand() {
    std::string name =
        (access("/dev/shm", W_OK) == 0 ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
        "kiban-test-XXXXXX";
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~SqliteStand() override { std::filesystem::remove_all(folder_); }
  SqliteStand(const SqliteStand&) = delete;
  SqliteStand& operator=(const SqliteStand&) = delete;

  std::unique_ptr<Queue> open(const Clock& clock) override { return open_queue(url(), clock); }
  std::unique_ptr<Queue> open() const { return open_queue(url()); }
  std::filesystem::path file() const { return folder_ / "queue.sqlite"; }
  std::string url() const { return "sqlite://" + file().string(); }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace kiban::engine::test
