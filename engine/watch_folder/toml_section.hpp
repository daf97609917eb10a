#pragma once
#include <fmt/format.h>
#include <toml++/toml.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/nearest_name.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {

/// A table of a TOML file whose every complaint names the file and the line.
class TomlSection {
 public:
  TomlSection(const std::filesystem::path& file, const toml::table& table) : file_(file), table_(table) {}

  const toml::table& table() const { return table_; }

  [[noreturn]] void refuse(const toml::source_region& where, const std::string& sentence) const {
    throw Error(ErrorCode::usage, fmt::format("{}, line {}: {}", file_.string(), where.begin.line, sentence));
  }
  [[noreturn]] void refuse(const std::string& sentence) const { refuse(table_.source(), sentence); }

  /// Runs something that does not know of the file; its complaint gets the line. Errors: usage.
  template <class Function>
  auto at(const toml::source_region& where, Function function, const std::string& before = "") const {
    try {
      return function();
    } catch (const Error& error) {
      refuse(where, before + error.what());
    }
  }

  void require_known(const std::vector<std::string>& keys) const {
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (std::find(keys.begin(), keys.end(), name) != keys.end()) continue;
      const std::string hint = suggestion(name, keys);
      refuse(key.source(), fmt::format("there is no key {}{}", name, hint.empty() ? "; take it out" : hint));
    }
  }

  const toml::node* find(const std::string& key) const { return table_.get(key); }

  template <class Type>
  std::optional<Type> get(const std::string& key, const char* kind) const {
    const toml::node* node = find(key);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<Type>();
    if (!value) refuse(node->source(), fmt::format("{} must be {}", key, kind));
    return value;
  }
  std::optional<std::string> text(const std::string& key) const { return get<std::string>(key, "a text in quotes"); }
  std::optional<double> number(const std::string& key) const {
    const toml::node* node = find(key);
    if (!node) return std::nullopt;
    if (!node->is_number()) refuse(node->source(), key + " must be a number");
    return node->value<double>();
  }

  /// An empty table where the key is absent.
  TomlSection section(const std::string& key) const {
    static const toml::table nothing;
    const toml::node* node = find(key);
    if (node && !node->is_table()) refuse(node->source(), fmt::format("{} must be a table", key));
    return {file_, node ? *node->as_table() : nothing};
  }

  /// A text, or a list of them.
  std::vector<std::string> texts(const std::string& key) const {
    const toml::node* node = find(key);
    std::vector<std::string> found;
    const auto take = [&](const toml::node& each) {
      const auto value = each.value_exact<std::string>();
      if (!value) refuse(node->source(), fmt::format("{} must be a text in quotes, or a list of them", key));
      found.push_back(*value);
    };
    if (node && node->is_array())
      for (const toml::node& each : *node->as_array()) take(each);
    else if (node)
      take(*node);
    if (node && found.empty()) refuse(node->source(), fmt::format("{} lists nothing", key));
    return found;
  }

 private:
  const std::filesystem::path& file_;
  const toml::table& table_;
};

}  // namespace kiban::engine
