#pragma once
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

namespace kiban::engine {

/// The log of a worker: JSON lines of ids, codes, stages and times; never values, paths or names. Any thread may write.
class WorkerLog {
 public:
  explicit WorkerLog(std::FILE* file) : file_(file) {}

  /// {"t": seconds since 1970, "event": ...} and the fields. A log that cannot be written stops nobody.
  void write(const char* event, const nlohmann::json& fields = nlohmann::json::object());
  void job(const char* event, const std::string& job, const nlohmann::json& fields = nlohmann::json::object());

 private:
  std::FILE* file_;  ///< null: no log
  std::mutex mutex_;
};

}  // namespace kiban::engine
