#include "engine/operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/nearest_name.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

std::string type_name(ParameterType type) {
  switch (type) {
    case ParameterType::integer:
      return "integer";
    case ParameterType::real:
      return "real";
    case ParameterType::flag:
      return "flag";
    case ParameterType::text:
      return "text";
    case ParameterType::choice:
      return "choice";
    case ParameterType::integers3:
      return "integers3";
    case ParameterType::reals3:
      return "reals3";
  }
  throw Error(ErrorCode::internal, "a parameter has no known type");
}

nlohmann::json parameter_json(const Parameter& parameter) {
  nlohmann::json json = {{"name", parameter.name},
                         {"type", type_name(parameter.type)},
                         {"help", parameter.help},
                         {"required", parameter.required}};
  if (!parameter.unit.empty()) json["unit"] = parameter.unit;
  if (parameter.default_value) json["default"] = to_json(*parameter.default_value);
  if (!parameter.otherwise.empty()) json["otherwise"] = parameter.otherwise;
  if (std::isfinite(parameter.minimum))
    json[parameter.minimum_excluded ? "exclusiveMinimum" : "minimum"] = parameter.minimum;
  if (std::isfinite(parameter.maximum)) json["maximum"] = parameter.maximum;
  if (!parameter.choices.empty()) json["choices"] = parameter.choices;
  return json;
}

nlohmann::json port_json(const Port& port) {
  return {{"name", port.name},
          {"direction", port.direction == PortDirection::in ? "in" : "out"},
          {"kind", to_string(port.kind)},
          {"required", port.required},
          {"help", port.help}};
}

std::vector<std::string> names_of(const Operation& operation) {
  std::vector<std::string> names;
  for (const Port& port : operation.ports) names.push_back(port.name);
  for (const Parameter& parameter : operation.parameters) names.push_back(parameter.name);
  return names;
}

}  // namespace

const std::filesystem::path& Request::path(const std::string& port) const {
  const auto found = ports.find(port);
  if (found == ports.end() || found->second.in_memory())
    throw Error(ErrorCode::internal, "port " + port + " is not bound to a file");
  return found->second.file();
}

std::string Request::described(const std::string& port) const {
  return in_memory(port) ? "the array " + port : path(port).string();
}

Request request_from_text(const Operation& operation, const std::map<std::string, std::string>& given) {
  Request request;
  std::map<std::string, std::string> parameters;
  for (const auto& [name, text] : given) {
    if (std::ranges::count(operation.ports, name, &Port::name)) {
      if (text.empty()) throw Error(ErrorCode::usage, fmt::format("{} needs the path of a file", name));
      request.ports[name] = std::filesystem::path(text);
    } else if (std::ranges::count(operation.parameters, name, &Parameter::name)) {
      parameters[name] = text;
    } else {
      throw Error(ErrorCode::usage, fmt::format("{} has no port or parameter {}{}", operation.name, name,
                                                suggestion(name, names_of(operation))));
    }
  }
  require_ports(operation, request);
  request.parameters = Values::from_text(operation.parameters, parameters);
  return request;
}

void require_ports(const Operation& operation, const Request& request) {
  for (const Port& port : operation.ports)
    if (port.required && !request.uses(port.name))
      throw Error(ErrorCode::usage, fmt::format("{} must be given: {}", port.name, port.help));
}

std::string to_string(PortKind kind) {
  switch (kind) {
    case PortKind::volume:
      return "volume";
    case PortKind::projections:
      return "projections";
    case PortKind::image:
      return "image";
    case PortKind::labels:
      return "labels";
    case PortKind::logits:
      return "logits";
    case PortKind::report:
      return "report";
    case PortKind::geometry:
      return "geometry";
    case PortKind::scan:
      return "scan";
    case PortKind::preview:
      return "preview";
    case PortKind::pairs:
      return "pairs";
    case PortKind::likelihoods:
      return "likelihoods";
    case PortKind::reads:
      return "reads";
    case PortKind::reference:
      return "reference";
    case PortKind::variants:
      return "variants";
    case PortKind::regions:
      return "regions";
  }
  throw Error(ErrorCode::internal, "a port has no known kind");
}

nlohmann::json to_json(const Operation& operation) {
  nlohmann::json json = {{"name", operation.name},          {"version", operation.version},
                         {"summary", operation.summary},    {"notes", operation.notes},
                         {"update", operation.update},      {"parameters", nlohmann::json::array()},
                         {"ports", nlohmann::json::array()}};
  for (const Parameter& parameter : operation.parameters) json["parameters"].push_back(parameter_json(parameter));
  for (const Port& port : operation.ports) json["ports"].push_back(port_json(port));
  return json;
}

}  // namespace kiban::engine
