#include "engine/parameters.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/nearest_name.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

Parameter declare(ParameterType type, std::string name, std::string unit, std::string help) {
  Parameter parameter;
  parameter.type = type;
  parameter.name = std::move(name);
  parameter.unit = std::move(unit);
  parameter.help = std::move(help);
  return parameter;
}

std::string with_unit(const Parameter& parameter, const std::string& text) {
  return parameter.unit.empty() ? text : text + " " + parameter.unit;
}

std::string kind_of_value(ParameterType type) {
  switch (type) {
    case ParameterType::integer:
      return "a whole number";
    case ParameterType::real:
      return "a number";
    case ParameterType::flag:
      return "true or false";
    case ParameterType::integers3:
      return "one whole number or three";
    case ParameterType::reals3:
      return "one number or three";
    case ParameterType::text:
    case ParameterType::choice:
      break;
  }
  return "a text";
}

[[noreturn]] void refuse_kind(const Parameter& parameter, std::string_view given) {
  const std::string unit = parameter.unit.empty() ? "" : " (" + parameter.unit + ")";
  throw Error(ErrorCode::usage,
              fmt::format("{} is '{}', but must be {}{}", parameter.name, given, kind_of_value(parameter.type), unit));
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The numbers of "1,2,3" or "1 2 3"; empty if one of them is none.
template <class Number>
std::vector<Number> parse_numbers(std::string_view text) {
  std::vector<Number> numbers;
  while (true) {
    const std::size_t end = text.find_first_of(", ");
    const std::optional<Number> number = parse_number<Number>(text.substr(0, end));
    if (!number) return {};
    numbers.push_back(*number);
    if (end == std::string_view::npos) return numbers;
    text.remove_prefix(end + 1);
  }
}

/// One number stands for three. `given` is the value as the user wrote it.
template <class Number>
Value three(const Parameter& parameter, const std::vector<Number>& numbers, std::string_view given) {
  if (numbers.size() == 1) return std::array<Number, 3>{numbers[0], numbers[0], numbers[0]};
  if (numbers.size() == 3) return std::array<Number, 3>{numbers[0], numbers[1], numbers[2]};
  refuse_kind(parameter, given);
}

void check_number(const Parameter& parameter, double number, const std::string& given) {
  const bool high_enough = parameter.minimum_excluded ? number > parameter.minimum : number >= parameter.minimum;
  // The comparisons are false for NaN, and infinity is never a length, an angle or a count.
  if (std::isfinite(number) && high_enough && number <= parameter.maximum) return;
  const std::string range = allowed(parameter);
  throw Error(ErrorCode::usage, fmt::format("{} is {}, but must be {}", parameter.name, with_unit(parameter, given),
                                            with_unit(parameter, range.empty() ? "finite" : range)));
}

void check(const Parameter& parameter, const Value& value) {
  const std::string given = to_text(value);
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    check_number(parameter, static_cast<double>(*integer), given);
  if (const auto* real = std::get_if<double>(&value)) check_number(parameter, *real, given);
  if (const auto* integers = std::get_if<Integers3>(&value))
    for (const std::int64_t integer : *integers) check_number(parameter, static_cast<double>(integer), given);
  if (const auto* reals = std::get_if<Reals3>(&value))
    for (const double real : *reals) check_number(parameter, real, given);
  if (parameter.type == ParameterType::choice &&
      std::ranges::count(parameter.choices, std::get<std::string>(value)) == 0)
    throw Error(ErrorCode::usage, fmt::format("{} is '{}', but must be {}{}", parameter.name, given, allowed(parameter),
                                              suggestion(given, parameter.choices)));
}

Value parse_text(const Parameter& parameter, std::string_view text) {
  switch (parameter.type) {
    case ParameterType::integer:
      if (const auto integer = parse_number<std::int64_t>(text)) return *integer;
      break;
    case ParameterType::real:
      if (const auto real = parse_number<double>(text)) return *real;
      break;
    case ParameterType::flag:
      if (text == "true") return true;
      if (text == "false") return false;
      break;
    case ParameterType::integers3:
      return three(parameter, parse_numbers<std::int64_t>(text), text);
    case ParameterType::reals3:
      return three(parameter, parse_numbers<double>(text), text);
    case ParameterType::text:
    case ParameterType::choice:
      return std::string(text);
  }
  refuse_kind(parameter, text);
}

template <class Number>
std::vector<Number> numbers_from_json(const Parameter& parameter, const nlohmann::json& json) {
  std::vector<Number> numbers;
  for (const auto& element : json.is_array() ? json : nlohmann::json::array({json})) {
    if (std::is_integral_v<Number> ? !element.is_number_integer() : !element.is_number())
      refuse_kind(parameter, json.dump());
    numbers.push_back(element.get<Number>());
  }
  return numbers;
}

Value parse_json(const Parameter& parameter, const nlohmann::json& json) {
  switch (parameter.type) {
    case ParameterType::integer:
      if (json.is_number_integer()) return json.get<std::int64_t>();
      break;
    case ParameterType::real:
      if (json.is_number()) return json.get<double>();
      break;
    case ParameterType::flag:
      if (json.is_boolean()) return json.get<bool>();
      break;
    case ParameterType::integers3:
      return three(parameter, numbers_from_json<std::int64_t>(parameter, json), json.dump());
    case ParameterType::reals3:
      return three(parameter, numbers_from_json<double>(parameter, json), json.dump());
    case ParameterType::choice:
      // Of choices that are numbers: 26 for "26".
      if (json.is_number_integer()) return json.dump();
      [[fallthrough]];
    case ParameterType::text:
      if (json.is_string()) return json.get<std::string>();
      break;
  }
  refuse_kind(parameter, json.dump());
}

const Parameter& find(const std::vector<Parameter>& declared, const std::string& name) {
  std::vector<std::string> names;
  for (const Parameter& parameter : declared) {
    if (parameter.name == name) return parameter;
    names.push_back(parameter.name);
  }
  throw Error(ErrorCode::usage, fmt::format("there is no parameter {}{}", name, suggestion(name, names)));
}

}  // namespace

Parameter Parameter::integer(std::string name, std::string unit, std::string help) {
  return declare(ParameterType::integer, std::move(name), std::move(unit), std::move(help));
}
Parameter Parameter::real(std::string name, std::string unit, std::string help) {
  return declare(ParameterType::real, std::move(name), std::move(unit), std::move(help));
}
Parameter Parameter::flag(std::string name, std::string help) {
  return declare(ParameterType::flag, std::move(name), "", std::move(help)).by_default(false);
}
Parameter Parameter::text(std::string name, std::string help) {
  return declare(ParameterType::text, std::move(name), "", std::move(help));
}
Parameter Parameter::choice(std::string name, std::vector<std::string> choices, std::string help) {
  Parameter parameter = declare(ParameterType::choice, std::move(name), "", std::move(help));
  parameter.choices = std::move(choices);
  return parameter;
}
Parameter Parameter::integers3(std::string name, std::string unit, std::string help) {
  return declare(ParameterType::integers3, std::move(name), std::move(unit), std::move(help));
}
Parameter Parameter::reals3(std::string name, std::string unit, std::string help) {
  return declare(ParameterType::reals3, std::move(name), std::move(unit), std::move(help));
}

Parameter Parameter::by_default(Value value) const {
  Parameter changed = *this;
  // So that a default is checked as a given value is, and written as a user would write it.
  changed.default_value = value_from_text(*this, to_text(value));
  return changed;
}
Parameter Parameter::or_else(std::string what_happens) const {
  Parameter changed = *this;
  changed.otherwise = std::move(what_happens);
  return changed;
}
Parameter Parameter::must_be_given() const {
  Parameter changed = *this;
  changed.required = true;
  return changed;
}
Parameter Parameter::at_least(double lowest) const {
  Parameter changed = *this;
  changed.minimum = lowest;
  changed.minimum_excluded = false;
  return changed;
}
Parameter Parameter::above(double bound) const {
  Parameter changed = at_least(bound);
  changed.minimum_excluded = true;
  return changed;
}
Parameter Parameter::at_most(double highest) const {
  Parameter changed = *this;
  changed.maximum = highest;
  return changed;
}

std::string allowed(const Parameter& parameter) {
  if (parameter.type == ParameterType::choice) return fmt::format("one of {}", fmt::join(parameter.choices, ", "));
  const bool low = std::isfinite(parameter.minimum), high = std::isfinite(parameter.maximum);
  if (low && high)
    return fmt::format("{}{} {} {}", parameter.minimum_excluded ? "above " : "", parameter.minimum,
                       parameter.minimum_excluded ? "and at most" : "to", parameter.maximum);
  if (low) return fmt::format("{} {}", parameter.minimum_excluded ? "above" : "at least", parameter.minimum);
  if (high) return fmt::format("at most {}", parameter.maximum);
  return "";
}

Value value_from_text(const Parameter& parameter, std::string_view text) {
  Value value = parse_text(parameter, text);
  check(parameter, value);
  return value;
}

Value value_from_json(const Parameter& parameter, const nlohmann::json& json) {
  Value value = parse_json(parameter, json);
  check(parameter, value);
  return value;
}

std::string to_text(const Value& value) {
  return std::visit(
      [](const auto& held) -> std::string {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, Integers3> || std::is_same_v<Held, Reals3>) {
          if (held[0] == held[1] && held[1] == held[2]) return fmt::format("{}", held[0]);
          return fmt::format("{},{},{}", held[0], held[1], held[2]);
        } else {
          return fmt::format("{}", held);
        }
      },
      value);
}

nlohmann::json to_json(const Value& value) {
  return std::visit([](const auto& held) { return nlohmann::json(held); }, value);
}

Values Values::complete(const std::vector<Parameter>& declared, std::map<std::string, Value> values) {
  Values complete;
  for (const auto& [name, value] : values) complete.given_.insert(name);
  for (const Parameter& parameter : declared) {
    if (values.contains(parameter.name)) continue;
    if (parameter.required)
      throw Error(ErrorCode::usage, fmt::format("{} must be given: {}", parameter.name, parameter.help));
    if (parameter.default_value) values[parameter.name] = *parameter.default_value;
  }
  complete.values_ = std::move(values);
  return complete;
}

Values Values::from_text(const std::vector<Parameter>& declared, const std::map<std::string, std::string>& given) {
  std::map<std::string, Value> values;
  for (const auto& [name, text] : given) values[name] = value_from_text(find(declared, name), text);
  return complete(declared, std::move(values));
}

Values Values::from_json(const std::vector<Parameter>& declared, const nlohmann::json& given) {
  if (!given.is_object()) throw Error(ErrorCode::usage, "parameters must be a JSON object of names and values");
  std::map<std::string, Value> values;
  for (const auto& [name, json] : given.items()) values[name] = value_from_json(find(declared, name), json);
  return complete(declared, std::move(values));
}

nlohmann::json Values::json() const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, value] : values_) json[name] = to_json(value);
  return json;
}

nlohmann::json Values::given_json() const {
  nlohmann::json json = nlohmann::json::object();
  for (const std::string& name : given_) json[name] = to_json(values_.at(name));
  return json;
}

template <class T>
const T& Values::get(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) throw Error(ErrorCode::internal, "no value for parameter " + name);
  if (const T* held = std::get_if<T>(&found->second)) return *held;
  throw Error(ErrorCode::internal, "parameter " + name + " was read as another type than it has");
}

template const std::int64_t& Values::get(const std::string&) const;
template const double& Values::get(const std::string&) const;
template const bool& Values::get(const std::string&) const;
template const std::string& Values::get(const std::string&) const;
template const Integers3& Values::get(const std::string&) const;
template const Reals3& Values::get(const std::string&) const;

}  // namespace kiban::engine
