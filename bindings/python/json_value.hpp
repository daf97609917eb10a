#pragma once
#include <nanobind/nanobind.h>

#include <nlohmann/json.hpp>
#include <string>

namespace kiban::python {

namespace nb = nanobind;

/// Numbers, texts, sequences of them, NumPy's too, and dicts of all these.
///   name   of the value, for sentences
/// Errors: usage (another type).
nlohmann::json json_of(nb::handle value, const std::string& name);

}  // namespace kiban::python
