#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiban::engine {

/// Numbers along x, y, z. In a request one number stands for three equal ones.
using Integers3 = std::array<std::int64_t, 3>;
using Reals3 = std::array<double, 3>;

/// The value of a parameter. The alternatives are in the order of `ParameterType`, text and choice sharing one.
using Value = std::variant<std::int64_t, double, bool, std::string, Integers3, Reals3>;

enum class ParameterType { integer, real, flag, text, choice, integers3, reals3 };

/// A parameter of an operation, declared once. The command's options, the JSON schema, Python's signatures, the
/// messages and docs/operations.md all read this.
struct Parameter {
  std::string name;  ///< words joined by '-'; Python writes '_'
  ParameterType type = ParameterType::real;
  std::string unit;  ///< empty for a pure number
  std::string help;  ///< one line
  bool required = false;
  std::optional<Value> default_value;
  std::string otherwise;  ///< what happens without it, where there is no default value
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool minimum_excluded = false;
  std::vector<std::string> choices;

  static Parameter integer(std::string name, std::string unit, std::string help);
  static Parameter real(std::string name, std::string unit, std::string help);
  static Parameter flag(std::string name, std::string help);  ///< false unless given
  static Parameter text(std::string name, std::string help);
  static Parameter choice(std::string name, std::vector<std::string> choices, std::string help);
  static Parameter integers3(std::string name, std::string unit, std::string help);
  static Parameter reals3(std::string name, std::string unit, std::string help);

  Parameter by_default(Value value) const;
  /// For a parameter that may stay without a value: says what then happens.
  Parameter or_else(std::string what_happens) const;
  Parameter must_be_given() const;
  Parameter at_least(double lowest) const;
  Parameter above(double bound) const;
  Parameter at_most(double highest) const;
};

/// "1 to 100", "above 0", "one of a, b", or "" where every value is allowed; without the unit.
std::string allowed(const Parameter& parameter);

/// Reads and checks one value; three numbers may be separated by commas or spaces.
/// Errors: usage, naming the parameter, the value, what is allowed and the unit.
Value value_from_text(const Parameter& parameter, std::string_view text);
Value value_from_json(const Parameter& parameter, const nlohmann::json& json);

/// The shortest text that reads back as the same value.
std::string to_text(const Value& value);
nlohmann::json to_json(const Value& value);

/// The checked values of one request: those given, and the defaults of the others.
class Values {
 public:
  Values() = default;
  /// Errors: usage (unknown name, bad value, a required one missing).
  static Values from_text(const std::vector<Parameter>& declared, const std::map<std::string, std::string>& given);
  static Values from_json(const std::vector<Parameter>& declared, const nlohmann::json& given);

  /// True for a given value and for a default one.
  bool has(const std::string& name) const { return values_.contains(name); }
  /// True for a value that the request gave.
  bool given(const std::string& name) const { return given_.contains(name); }
  /// Errors: internal (no such value, or of another type: a fault of the operation).
  std::int64_t integer(const std::string& name) const { return get<std::int64_t>(name); }
  double real(const std::string& name) const { return get<double>(name); }
  bool flag(const std::string& name) const { return get<bool>(name); }
  const std::string& text(const std::string& name) const { return get<std::string>(name); }
  const Integers3& integers3(const std::string& name) const { return get<Integers3>(name); }
  const Reals3& reals3(const std::string& name) const { return get<Reals3>(name); }

  nlohmann::json json() const;
  /// Only what the request gave: read again, it gives the same values, and `given` the same answers.
  nlohmann::json given_json() const;

 private:
  template <class T>
  const T& get(const std::string& name) const;
  static Values complete(const std::vector<Parameter>& declared, std::map<std::string, Value> values);

  std::map<std::string, Value> values_;
  std::set<std::string> given_;
};

}  // namespace kiban::engine
