#include "bindings/python/json_value.hpp"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include "kernels/core/error.hpp"

namespace kiban::python {

nlohmann::json json_of(nb::handle value, const std::string& name) {
  if (nb::isinstance<nb::bool_>(value)) return nb::cast<bool>(value);
  if (nb::isinstance<nb::str>(value)) return nb::cast<std::string>(value);
  if (nb::isinstance<nb::int_>(value)) return nb::cast<std::int64_t>(value);
  if (nb::isinstance<nb::float_>(value)) return nb::cast<double>(value);
  if (nb::isinstance<nb::dict>(value)) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [key, item] : nb::borrow<nb::dict>(value)) {
      const std::string key_name = nb::cast<std::string>(key);
      object[key_name] = json_of(item, key_name);
    }
    return object;
  }
  if (nb::hasattr(value, "tolist")) return json_of(nb::object(value.attr("tolist")()), name);  // NumPy's
  if (PySequence_Check(value.ptr()) || nb::hasattr(value, "__len__")) {
    nlohmann::json list = nlohmann::json::array();
    for (const nb::handle item : nb::borrow<nb::object>(value)) list.push_back(json_of(item, name));
    return list;
  }
  if (nb::hasattr(value, "__index__")) return nb::cast<std::int64_t>(nb::int_(value));
  if (nb::hasattr(value, "__float__")) return nb::cast<double>(nb::float_(value));
  throw Error(ErrorCode::usage, fmt::format("{} is of type {}; give a number, a text or a sequence of numbers", name,
                                            nb::cast<std::string>(value.type().attr("__name__"))));
}

}  // namespace kiban::python
