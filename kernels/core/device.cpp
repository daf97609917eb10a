#include "kernels/core/device.hpp"

#include <fmt/format.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/core/device_hooks.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/fork.hpp"
#include "kernels/core/simd.hpp"

namespace kiban {
namespace {

int count(DeviceKind kind) {
  if (kind == DeviceKind::cpu) return 1;
  const auto hook = KIBAN_HOOK((Device{kind, 0}), device_count);
  return hook ? hook() : 0;
}

/// Asked once: the driver must not be asked again in a forked child.
int cuda_count() {
  static const int found = (forked(), count(DeviceKind::cuda));
  return found;
}

std::string read_processor_model() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "CPU";
}

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

/// The number behind `key` in a file of "key value" lines; `otherwise` where there is none.
std::int64_t value_of(const std::filesystem::path& path, const std::string& key, std::int64_t otherwise) {
  std::ifstream file(path);
  std::string word;
  std::int64_t value = 0;
  while (file >> word) {
    if (word == key && file >> value) return value;
    file.clear();
    file.ignore(kUnlimited, '\n');
  }
  return otherwise;
}

/// A file that holds one number, or "max".
std::int64_t number_in(const std::filesystem::path& path, std::int64_t otherwise) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : otherwise;
}

/// What the control groups (version 2) from this process's own up to the root leave. File cache that the kernel would
/// give up counts as free.
std::int64_t left_by_control_groups() {
  const std::filesystem::path root = "/sys/fs/cgroup";
  std::string line, group;
  for (std::ifstream file("/proc/self/cgroup"); std::getline(file, line);) {
    if (line.rfind("0::/", 0) == 0) group = line.substr(4);
  }
  std::int64_t left = kUnlimited;
  for (std::filesystem::path folder = root / group;; folder = folder.parent_path()) {
    const std::int64_t limit = number_in(folder / "memory.max", kUnlimited);
    if (limit != kUnlimited) {
      const std::int64_t used = number_in(folder / "memory.current", 0);
      const std::int64_t cache = value_of(folder / "memory.stat", "inactive_file", 0);
      left = std::min(left, std::max<std::int64_t>(0, limit - used + cache));
    }
    if (folder == root || !folder.has_relative_path()) return left;
  }
}

DeviceDescription describe_cpu() {
  static const std::string model = read_processor_model();
  struct sysinfo memory {};
  sysinfo(&memory);
  return {Device{}, model, std::size_t{memory.totalram} * memory.mem_unit,
          static_cast<std::size_t>(available_memory_bytes()), instruction_set()};
}

}  // namespace

std::int64_t available_memory_bytes() {
  const std::int64_t kibibytes = value_of("/proc/meminfo", "MemAvailable:", kUnlimited / 1024);
  return std::min(kibibytes * 1024, left_by_control_groups());
}

std::string name(Device device) {
  switch (device.kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::cuda:
      return "cuda:" + std::to_string(device.index);
    case DeviceKind::sim:
      return "sim";
  }
  return "unknown";
}

std::string cuda_absence() {
  return cuda::device_absence ? cuda::device_absence() : "this Kiban was built without CUDA";
}

void require_device(Device device) {
  if (device.kind == DeviceKind::sim && count(DeviceKind::sim) == 0)
    throw Error(ErrorCode::device, "the simulator of CUDA is part of the tests only");
  if (device.kind != DeviceKind::cuda) return;
  const int found = cuda_count();
  if (found == 0) throw Error(ErrorCode::device, fmt::format("no CUDA device: {}; use --device cpu", cuda_absence()));
  if (device.index < 0 || device.index >= found)
    throw Error(ErrorCode::device,
                fmt::format("{} does not exist; this machine has {} CUDA device(s)", name(device), found));
  if (forked())
    throw Error(
        ErrorCode::device,
        "CUDA does not survive a fork; start workers by spawn (Python: multiprocessing.get_context('spawn')), or "
        "use --device cpu");
}

Device parse_device(std::string_view text) {
  const auto usable = [](Device device) {
    require_device(device);
    return device;
  };
  if (text == "auto") return cuda_count() > 0 ? usable({DeviceKind::cuda, 0}) : Device{};
  if (text == "cpu") return {};
  if (text == "sim") return usable({DeviceKind::sim, 0});
  if (text != "cuda" && !text.starts_with("cuda:"))
    throw Error(ErrorCode::usage, fmt::format("'{}' is no device; use auto, cpu or cuda:N", text));
  Device device{DeviceKind::cuda, 0};
  if (text != "cuda") {
    const std::string_view digits = text.substr(5);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), device.index);
    if (error != std::errc{} || end != digits.data() + digits.size() || device.index < 0)
      throw Error(ErrorCode::usage, fmt::format("'{}' is no device; use cuda:N with N from 0", text));
  }
  return usable(device);
}

std::vector<DeviceDescription> devices() {
  std::vector<DeviceDescription> found{describe_cpu()};
  for (int i = 0; i < (forked() ? 0 : cuda_count()); ++i) {
    try {
      found.push_back(cuda::device_describe(i));
    } catch (const Error&) {
      // A device that cannot even be asked is no device to offer.
    }
  }
  return found;
}

}  // namespace kiban
