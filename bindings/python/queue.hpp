#pragma once
#include <nanobind/nanobind.h>

namespace kiban::python {

/// Adds the connection behind kiban.Queue to the module.
void define_queue(nanobind::module_& module);

}  // namespace kiban::python
