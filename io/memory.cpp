#include "io/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();

// The number behind `key` in a file of "key value" lines; `otherwise` where there is none.
std::int64_t value_of(const std::filesystem::path& path, const std::string& key, std::int64_t otherwise) {
  std::ifstream file(path);
  std::string word;
  std::int64_t value = 0;
  while (file >> word) {
    if (word == key && file >> value) return value;
    file.clear();
    file.ignore(unlimited, '\n');
  }
  return otherwise;
}

// A file that holds one number, or "max".
std::int64_t number_in(const std::filesystem::path& path, std::int64_t otherwise) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : otherwise;
}

// What the control groups (version 2) from this process's own up to the root leave. File cache that the kernel would
// give up counts as free.
std::int64_t left_by_control_groups() {
  const std::filesystem::path root = "/sys/fs/cgroup";
  std::string line, group;
  for (std::ifstream file("/proc/self/cgroup"); std::getline(file, line);) {
    if (line.rfind("0::/", 0) == 0) group = line.substr(4);
  }
  std::int64_t left = unlimited;
  for (std::filesystem::path folder = root / group;; folder = folder.parent_path()) {
    const std::int64_t limit = number_in(folder / "memory.max", unlimited);
    if (limit != unlimited) {
      const std::int64_t used = number_in(folder / "memory.current", 0);
      const std::int64_t cache = value_of(folder / "memory.stat", "inactive_file", 0);
      left = std::min(left, std::max<std::int64_t>(0, limit - used + cache));
    }
    if (folder == root || !folder.has_relative_path()) return left;
  }
}

}  // namespace

std::int64_t available_memory_bytes() {
  const std::int64_t kibibytes = value_of("/proc/meminfo", "MemAvailable:", unlimited / 1024);
  return std::min(kibibytes * 1024, left_by_control_groups());
}

void require_memory(std::int64_t bytes, const std::string& what) {
  const std::int64_t available = available_memory_bytes();
  if (bytes > available)
    throw Error(ErrorCode::input,
                fmt::format("{} need {:.1f} GiB of memory and {:.1f} GiB are free; crop the data, or use "
                            "a machine with more memory",
                            what, static_cast<double>(bytes) / (1 << 30), static_cast<double>(available) / (1 << 30)));
}

}  // namespace kiban::io
