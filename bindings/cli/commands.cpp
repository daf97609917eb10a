#include "bindings/cli/commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "bindings/cli/description.hpp"
#include "engine/runner.hpp"
#include "kernels/core/device.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::cli {
namespace {

nlohmann::json to_json(const DeviceDescription& device) {
  return {{"device", name(device.device)},
          {"model", device.model},
          {"memory_bytes", device.memory_bytes},
          {"free_bytes", device.free_bytes},
          {"detail", device.detail}};
}

}  // namespace

int ops_command(const engine::Registry& registry, const Arguments& arguments) {
  CLI::App app("Lists the operations, or describes one", "kiban ops");
  std::string name;
  bool json = false, as_markdown = false;
  app.add_option("NAME", name, "The operation to describe");
  app.add_flag("--json", json, "Print the declarations as JSON");
  app.add_flag("--markdown", as_markdown, "Print docs/operations.md")->group("");
  if (parse(app, arguments) == Parsed::help_asked) return 0;
  if (as_markdown) {
    fmt::print("{}", markdown(registry));
  } else if (json) {
    nlohmann::json all = nlohmann::json::array();
    for (const engine::Operation& operation : registry.operations()) all.push_back(engine::to_json(operation));
    fmt::print("{}\n", one_line(name.empty() ? all : engine::to_json(registry.find(name))));
  } else if (!name.empty()) {
    fmt::print("{}", help_text(registry.find(name), "run", run_options()));
  } else {
    for (const engine::Operation& operation : registry.operations())
      fmt::print("{:<20}{}\n", operation.name, operation.summary);
  }
  return 0;
}

int devices_command(const Arguments& arguments) {
  CLI::App app("Lists the devices that this process can use", "kiban devices");
  bool json = false;
  app.add_flag("--json", json, "Print one JSON object");
  if (parse(app, arguments) == Parsed::help_asked) return 0;
  const std::vector<DeviceDescription> found = devices();
  if (json) {
    nlohmann::json list = nlohmann::json::array();
    for (const DeviceDescription& device : found) list.push_back(to_json(device));
    fmt::print(
        "{}\n",
        one_line({{"devices", list}, {"instruction_sets", instruction_sets()}, {"cuda_absence", cuda_absence()}}));
    return 0;
  }
  constexpr double kGib = 1 << 30;
  for (const DeviceDescription& device : found)
    fmt::print("{:<8}{}, {:.1f} GiB of memory, {:.1f} GiB free, {}\n", name(device.device), device.model,
               static_cast<double>(device.memory_bytes) / kGib, static_cast<double>(device.free_bytes) / kGib,
               device.detail);
  fmt::print("instruction sets for --simd: auto, {}\n", fmt::join(instruction_sets(), ", "));
  if (const std::string reason = cuda_absence(); !reason.empty()) fmt::print("no CUDA device: {}\n", reason);
  return 0;
}

int version_command(const Arguments& arguments) {
  CLI::App app("Prints the version", "kiban version");
  bool json = false;
  app.add_flag("--json", json, "Print one JSON object");
  if (parse(app, arguments) == Parsed::help_asked) return 0;
  if (json)
    fmt::print("{}\n", one_line({{"version", engine::version()}}));
  else
    fmt::print("kiban {}\n", engine::version());
  return 0;
}

std::string one_line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace kiban::cli
