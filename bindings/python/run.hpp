#pragma once
#include <nanobind/nanobind.h>

namespace kiban::python {

/// Adds `run`, `declarations` and `Report` to the module.
void define_run(nanobind::module_& module);

}  // namespace kiban::python
