#pragma once
#include <string_view>
#include <vector>

#include "engine/operation.hpp"

namespace kiban::engine {

/// The operations of this build, by name.
class Registry {
 public:
  /// Errors: internal (two operations of one name, or a port and a parameter of one name: a fault of the declaration).
  explicit Registry(std::vector<Operation> operations);

  /// Errors: usage (no such operation; suggests the nearest name).
  const Operation& find(std::string_view name) const;
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  std::vector<Operation> operations_;
};

}  // namespace kiban::engine
