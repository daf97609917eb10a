#pragma once
#include <nanobind/nanobind.h>

#include "engine/operations/geometry_port.hpp"

namespace kiban::python {

/// kiban.ct.Geometry.
struct Geometry {
  engine::ScanGeometry scan;
};

void define_geometry(nanobind::module_& module);

}  // namespace kiban::python
