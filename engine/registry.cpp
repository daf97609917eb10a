#include "engine/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/nearest_name.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

void require_unique(std::set<std::string>& seen, const std::string& name, const std::string& where) {
  if (!seen.insert(name).second)
    throw Error(ErrorCode::internal, fmt::format("{} is declared twice in {}", name, where));
}

}  // namespace

Registry::Registry(std::vector<Operation> operations) : operations_(std::move(operations)) {
  std::set<std::string> names;
  for (const Operation& operation : operations_) {
    require_unique(names, operation.name, "the registry");
    std::set<std::string> own;
    for (const Port& port : operation.ports) require_unique(own, port.name, operation.name);
    for (const Parameter& parameter : operation.parameters) require_unique(own, parameter.name, operation.name);
  }
}

const Operation& Registry::find(std::string_view name) const {
  const auto found = std::ranges::find(operations_, name, &Operation::name);
  if (found != operations_.end()) return *found;
  std::vector<std::string> names;
  for (const Operation& operation : operations_) names.push_back(operation.name);
  const std::string hint = suggestion(name, names);
  throw Error(ErrorCode::usage,
              fmt::format("there is no operation {}{}", name, hint.empty() ? "; `kiban ops` lists them" : hint));
}

}  // namespace kiban::engine
