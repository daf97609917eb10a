#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "engine/runner.hpp"

NB_MODULE(_kiban, m) { m.def("version", &kiban::engine::version, "Of Kiban: \"0.1.0\"."); }
