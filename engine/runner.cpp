#include "engine/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "kernels/core/device.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::engine {
namespace {

/// Where a file lies, or will: links are followed, also to what is not there yet.
std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::path target = std::filesystem::absolute(path, failed);
  for (int links = 0; links < 40 && std::filesystem::is_symlink(target, failed); ++links)
    target = target.parent_path() / std::filesystem::read_symlink(target, failed);
  const std::filesystem::path full = std::filesystem::weakly_canonical(target, failed);
  return failed ? path : full;
}

std::string human_bytes(std::size_t bytes) {
  const double gib = static_cast<double>(bytes) / (1 << 30);
  return gib >= 0.1 ? fmt::format("{:.1f} GiB", gib) : fmt::format("{:.1f} MiB", gib * 1024);
}

DeviceDescription describe(Device device) {
  for (DeviceDescription& description : devices())
    if (description.device == device) return description;
  // The simulator of the tests is not offered to users; it works in the host's memory.
  DeviceDescription host = devices().front();
  host.device = device;
  host.model = name(device);
  return host;
}

/// Asked once a device: the answer takes longer than a small run.
std::string model_of(Device device) {
  static std::mutex mutex;
  static std::map<Device, std::string> models;
  const std::lock_guard lock(mutex);
  const auto [place, is_new] = models.try_emplace(device);
  if (is_new) place->second = describe(device).model;
  return place->second;
}

void require_host_memory(std::size_t bytes) {
  const auto free = static_cast<std::size_t>(available_memory_bytes());
  if (bytes > free)
    throw Error(ErrorCode::input, fmt::format("this needs {} of memory and {} are free; ask for fewer or larger voxels",
                                              human_bytes(bytes), human_bytes(free)));
}

void require_memory(const Plan& plan, Device device) {
  constexpr std::size_t kSmall = 64 << 20;  // any machine has it, and to ask takes longer than a small run
  const bool on_host = device.kind != DeviceKind::cuda;
  const std::size_t host_bytes = plan.host_bytes + (on_host ? plan.device_bytes : 0);
  if (host_bytes > kSmall) require_host_memory(host_bytes);
  if (on_host || plan.device_bytes <= kSmall) return;
  if (const std::size_t free = describe(device).free_bytes; plan.device_bytes > free)
    throw Error(ErrorCode::device,
                fmt::format("this needs {} of memory on {} and {} are free; ask for fewer or larger voxels, or use "
                            "--device cpu",
                            human_bytes(plan.device_bytes), name(device), human_bytes(free)));
}

/// While it lives, a request to stop ends the parallel work of the stream, which may be long between two steps of a
/// run.
class StopBetweenPieces {
 public:
  StopBetweenPieces(Stream& stream, const Progress& progress) : stream_(stream) {
    stream_.check_between_pieces([&progress] { progress.check(); });
  }
  ~StopBetweenPieces() { stream_.check_between_pieces({}); }
  StopBetweenPieces(const StopBetweenPieces&) = delete;
  StopBetweenPieces& operator=(const StopBetweenPieces&) = delete;

 private:
  Stream& stream_;
};

}  // namespace

void require_different_files(const Operation& operation, const Request& request) {
  std::map<std::filesystem::path, const Port*> taken;
  for (const Port& port : operation.ports) {
    if (!request.uses(port.name) || request.in_memory(port.name)) continue;
    const bool reads = port.direction == PortDirection::in;
    const std::filesystem::path& path = request.path(port.name);
    for (const std::filesystem::path& file : reads ? files_behind(port.kind, path) : std::vector{path}) {
      const auto [place, is_new] = taken.try_emplace(resolved(file), &port);
      if (!is_new && !(reads && place->second->direction == PortDirection::in))
        throw Error(ErrorCode::usage, fmt::format("{} and {} are the same file, {}; name another one",
                                                  place->second->name, port.name, file.string()));
    }
  }
}

Report run(const Operation& operation, const Request& request, Stream& stream, Progress& progress) {
  progress.enter("load");
  require_different_files(operation, request);
  const std::unique_ptr<Work> work = operation.load(request);

  progress.enter("plan");
  Report report;
  report.plan = work->plan(stream.device());
  require_memory(report.plan, stream.device());

  const StopBetweenPieces stop(stream, progress);
  work->run(stream, progress);
  stream.synchronize();
  work->store(progress);
  progress.finish();

  report.operation = operation.name;
  report.operation_version = operation.version;
  report.parameters = request.parameters;
  for (const Port& port : operation.ports)
    if (port.direction == PortDirection::out && request.uses(port.name) && !request.in_memory(port.name))
      report.outputs[port.name] = request.path(port.name);
  report.findings = work->findings();
  report.stages = progress.stages();
  for (const StageTime& stage : report.stages) report.seconds += stage.seconds;
  const double compute = progress.seconds("compute");
  if (compute > 0) report.updates_per_second = static_cast<double>(report.plan.updates) / compute;
  report.device = name(stream.device());
  report.device_model = model_of(stream.device());
  report.instruction_set = instruction_set();
  report.threads = stream.threads();
  return report;
}

std::size_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    std::size_t kib = 0;
    if (key == "VmHWM:" && status >> kib) return kib * 1024;
    status.ignore(4096, '\n');
  }
  return 0;
}

nlohmann::json to_json(const Report& report) {
  nlohmann::json stages = nlohmann::json::object(), findings = nlohmann::json::object(),
                 outputs = nlohmann::json::object();
  for (const StageTime& stage : report.stages) stages[stage.stage] = stage.seconds;
  for (const Finding& finding : report.findings)
    findings[finding.name] = {{"value", finding.value}, {"unit", finding.unit}};
  for (const auto& [port, path] : report.outputs) outputs[port] = path.string();
  return {{"operation", report.operation},
          {"operation_version", report.operation_version},
          {"version", version()},
          {"parameters", report.parameters.json()},
          {"outputs", outputs},
          {"findings", findings},
          {"seconds", report.seconds},
          {"stages_seconds", stages},
          {"updates", report.plan.updates},
          {"updates_per_second", report.updates_per_second},
          {"batch_key", report.plan.batch_key},
          {"planned_host_bytes", report.plan.host_bytes},
          {"planned_device_bytes", report.plan.device_bytes},
          {"peak_memory_bytes", peak_memory_bytes()},
          {"device", report.device},
          {"device_model", report.device_model},
          {"instruction_set", report.instruction_set},
          {"threads", report.threads}};
}

std::string version() { return KIBAN_VERSION; }

}  // namespace kiban::engine
