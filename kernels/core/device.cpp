#include "kernels/core/device.hpp"

#include <fmt/format.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <charconv>
#include <fstream>

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

DeviceDescription describe_cpu() {
  static const std::string model = read_processor_model();
  struct sysinfo memory {};
  sysinfo(&memory);
  std::size_t available = std::size_t{memory.freeram} * memory.mem_unit;
  std::ifstream meminfo("/proc/meminfo");  // MemAvailable counts what the page cache would give back
  for (std::string key; meminfo >> key;) {
    std::size_t kib = 0;
    if (key == "MemAvailable:" && meminfo >> kib) available = kib * 1024;
    meminfo.ignore(256, '\n');
  }
  return {Device{}, model, std::size_t{memory.totalram} * memory.mem_unit, available, instruction_set()};
}

}  // namespace

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
