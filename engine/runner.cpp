#include "engine/runner.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/files.hpp"
#include "kernels/core/device.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::engine {
namespace {

/// Where a file lies, or will: links are followed, also to what is not there yet.
std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code failed;
  const std::filesystem::path target = link_target(std::filesystem::absolute(path, failed), failed);
  const std::filesystem::path full = std::filesystem::weakly_canonical(target, failed);
  return failed ? path : full;
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

}  // namespace

void require_different_files(const Operation& operation, const Request& request) {
  std::map<std::filesystem::path, const Port*> taken;
  for (const Port& port : operation.ports) {
    if (!request.uses(port.name) || request.in_memory(port.name)) continue;
    const bool reads = port.direction == PortDirection::in;
    const std::filesystem::path& path = request.path(port.name);
    std::vector<std::filesystem::path> files = reads ? files_behind(port.kind, path) : files_beside(port.kind, path);
    if (!reads) files.push_back(path);
    for (const std::filesystem::path& file : files) {
      const auto [place, is_new] = taken.try_emplace(resolved(file), &port);
      if (!is_new && !(reads && place->second->direction == PortDirection::in))
        throw Error(ErrorCode::usage, fmt::format("{} and {} are the same file, {}; name another one",
                                                  place->second->name, port.name, file.string()));
    }
  }
}

std::string human_bytes(std::size_t bytes) {
  const double gib = static_cast<double>(bytes) / (1 << 30);
  return gib >= 0.1 ? fmt::format("{:.1f} GiB", gib) : fmt::format("{:.1f} MiB", gib * 1024);
}

MemoryNeed memory_need(const Plan& plan, Device device) {
  if (device.kind == DeviceKind::cuda) return {plan.host_bytes, plan.device_bytes};
  return {plan.host_bytes + plan.device_bytes, 0};
}

MemoryNeed free_memory(Device device) {
  return {static_cast<std::size_t>(available_memory_bytes()), describe(device).free_bytes};
}

void require_memory(const MemoryNeed& need, Device device) {
  constexpr std::size_t kSmall = 64 << 20;  // any machine has it, and to ask takes longer than a small run
  if (need.host_bytes > kSmall) {
    if (const auto free = static_cast<std::size_t>(available_memory_bytes()); need.host_bytes > free)
      throw Error(ErrorCode::input,
                  fmt::format("this needs {} of memory and {} are free; ask for fewer or larger voxels",
                              human_bytes(need.host_bytes), human_bytes(free)),
                  ENOMEM);
  }
  if (need.device_bytes <= kSmall) return;
  if (const std::size_t free = describe(device).free_bytes; need.device_bytes > free)
    throw Error(ErrorCode::device,
                fmt::format("this needs {} of memory on {} and {} are free; ask for fewer or larger voxels, or use "
                            "--device cpu",
                            human_bytes(need.device_bytes), name(device), human_bytes(free)),
                ENOMEM);
}

StopBetweenPieces::StopBetweenPieces(Stream& stream, std::function<void()> check) : stream_(stream) {
  stream_.check_between_pieces(std::move(check));
}

StopBetweenPieces::~StopBetweenPieces() { stream_.check_between_pieces({}); }

Report run(const Operation& operation, const Request& request, Stream& stream, Progress& progress) {
  progress.enter("load");
  require_different_files(operation, request);
  const std::unique_ptr<Work> work = operation.load(request);

  progress.enter("plan");
  const Plan plan = work->plan(stream.device());
  require_memory(memory_need(plan, stream.device()), stream.device());

  const StopBetweenPieces stop(stream, [&progress] { progress.check(); });
  work->run(stream, progress);
  stream.synchronize();
  work->store(progress);
  progress.finish();
  return report_of(operation, request, *work, plan, progress, stream);
}

Report report_of(const Operation& operation, const Request& request, const Work& work, const Plan& plan,
                 const Progress& progress, const Stream& stream) {
  Report report;
  report.operation = operation.name;
  report.operation_version = operation.version;
  report.parameters = request.parameters;
  for (const Port& port : operation.ports)
    if (port.direction == PortDirection::out && request.uses(port.name) && !request.in_memory(port.name))
      report.outputs[port.name] = request.path(port.name);
  report.findings = work.findings();
  report.plan = plan;
  report.stages = progress.stages();
  for (const StageTime& stage : report.stages) report.seconds += stage.seconds;
  const double compute = progress.seconds("compute");
  if (compute > 0) report.updates_per_second = static_cast<double>(plan.updates) / compute;
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
          {"device", report.device},
          {"device_model", report.device_model},
          {"instruction_set", report.instruction_set},
          {"threads", report.threads}};
}

std::string version() { return KIBAN_VERSION; }

}  // namespace kiban::engine
