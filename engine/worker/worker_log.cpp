#include "engine/worker/worker_log.hpp"

#include <fmt/format.h>

#include "engine/queue/clock.hpp"

namespace kiban::engine {

void WorkerLog::write(const char* event, const nlohmann::json& fields) {
  if (!file_) return;
  std::string line =
      fmt::format(R"({{"t":{:.3f},"event":"{}")", static_cast<double>(machine_clock().wall_us()) * 1e-6, event);
  for (const auto& [name, value] : fields.items()) line += fmt::format(R"(,"{}":{})", name, value.dump());
  line += "}\n";
  const std::lock_guard lock(mutex_);
  std::fwrite(line.data(), 1, line.size(), file_);
  std::fflush(file_);
}

void WorkerLog::job(const char* event, const std::string& job, const nlohmann::json& fields) {
  if (!file_) return;
  nlohmann::json all = {{"job", job}};
  all.update(fields);
  write(event, all);
}

}  // namespace kiban::engine
