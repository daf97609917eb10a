#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/description.hpp"
#include "bindings/cli/interrupt.hpp"
#include "bindings/cli/progress_bar.hpp"
#include "engine/operations/report_port.hpp"
#include "engine/runner.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::cli {
namespace {

void print_summary(const engine::Operation& operation, const engine::Report& report) {
  for (const auto& [port, path] : report.outputs) fmt::print("{}: {}\n", port, path.string());
  for (const engine::Finding& finding : report.findings)
    fmt::print("{}: {:.6g}{}{}\n", finding.name, finding.value, finding.unit.empty() ? "" : " ", finding.unit);
  std::vector<std::string> stages;
  for (const engine::StageTime& stage : report.stages)
    stages.push_back(fmt::format("{} {:.2f} s", stage.stage, stage.seconds));
  fmt::print("{} in {:.2f} s ({})", operation.name, report.seconds, fmt::join(stages, ", "));
  const bool is_fast = report.updates_per_second > 1e7;  // voxels and cells; records are counted by the second
  if (report.updates_per_second > 0)
    fmt::print(", {} {} updates/{}",
               is_fast ? fmt::format("{:.3g}", report.updates_per_second * 1e-9)
                       : fmt::format("{:.0f}", report.updates_per_second),
               operation.update, is_fast ? "ns" : "s");
  fmt::print("\non {} ({}, {}, {} threads), peak memory {:.0f} MiB\n", report.device, report.device_model,
             report.instruction_set, report.threads, static_cast<double>(engine::peak_memory_bytes()) / (1 << 20));
}

/// Where reports go that no file was named for.
std::map<std::string, std::shared_ptr<engine::MemoryReport>> reports_in_output(const engine::Operation& operation,
                                                                               engine::Request& request) {
  std::map<std::string, std::shared_ptr<engine::MemoryReport>> documents;
  for (const engine::Port& port : operation.ports)
    if (port.kind == engine::PortKind::report && !request.uses(port.name)) {
      documents[port.name] = std::make_shared<engine::MemoryReport>();
      request.ports[port.name] = engine::Binding::memory(documents[port.name]);
    }
  return documents;
}

}  // namespace

int run_command(const engine::Registry& registry, const Arguments& arguments) {
  constexpr const char* kUsage =
      "Usage: kiban run OPERATION --PORT PATH ... --PARAMETER VALUE ...\n"
      "`kiban ops` lists the operations, `kiban run OPERATION --help` describes one.\n";
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (arguments.empty() || arguments[0].starts_with("-"))
    throw Error(ErrorCode::usage, "`kiban run` needs the name of an operation first; `kiban ops` lists them");

  const engine::Operation& operation = registry.find(arguments[0]);
  const OperationArguments given =
      parse_operation(operation, run_options(), Arguments(arguments.begin() + 1, arguments.end()));
  const engine::Values& options = given.options.values;
  if (given.help) {
    fmt::print("{}", help_text(operation, "run", run_options()));
    return 0;
  }
  engine::Request request = engine::request_from_text(operation, given.operation);
  std::map<std::string, std::shared_ptr<engine::MemoryReport>> documents;
  if (options.flag("json")) documents = reports_in_output(operation, request);
  pin_instruction_set(options.text("simd"));
  Stream stream(parse_device(options.text("device")), static_cast<int>(options.integer("threads")));

  watch_signals();
  ProgressBar bar;
  engine::Progress progress([&](std::string_view stage, double fraction) { bar.show(stage, fraction); },
                            [] { return received_signal() != 0; });
  const engine::Report report = engine::run(operation, request, stream, progress);
  bar.clear();
  if (options.flag("json")) {
    nlohmann::json json = engine::to_json(report);
    json["peak_memory_bytes"] = engine::peak_memory_bytes();
    for (const auto& [port, made] : documents) json[port] = made->document;
    fmt::print("{}\n", one_line(json));
  } else {
    print_summary(operation, report);
  }
  return 0;
}

}  // namespace kiban::cli
