#pragma once
#include <nanobind/nanobind.h>

#include "engine/registry.hpp"

namespace kiban::python {

/// The operations of this build.
const engine::Registry& registry();

/// Adds `run`, `declarations` and `Report` to the module.
void define_run(nanobind::module_& module);

}  // namespace kiban::python
