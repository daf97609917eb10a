#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <memory>
#include <string>

#include "kernels/core/array.hpp"
#include "kernels/core/volume.hpp"

namespace kiban::python {

namespace nb = nanobind;

/// Memory of an array of NumPy, torch, CuPy, JAX, ... as float32 [.,.,.] in C order, seen without a copy.
struct ImageView {
  Span<float, 3> values;
  nb::object owner;  ///< keeps the memory alive
};

/// The memory of an array, read through its buffer, DLPack or __cuda_array_interface__.
///   name       of the argument, for sentences
///   writable   whether it is to be filled
/// Errors: usage (not an array) · input (not float32, not three axes, not in C order, read-only though it is to be
/// filled: each with the expression that mends it) · device (memory of a device that this process cannot use).
ImageView view_of(nb::handle array, const std::string& name, bool writable = false);

/// A result in device memory, for DLPack and __cuda_array_interface__.
struct DeviceArray {
  Array<float, 3> values;
};

/// To Python without a copy: NumPy's array for host memory, else a DeviceArray.
nb::object to_python(Array<float, 3> values);

/// Spacing, origin and direction as three tuples; and back, with the shape.
/// Errors: input (not finite, a spacing that is not positive, axes not at right angles).
nb::tuple place_tuple(const Grid& grid);
Grid grid_of(const Shape<3>& shape, nb::handle spacing, nb::handle origin, nb::handle direction);

/// Adds DeviceArray and `to_device` to the module.
void define_arrays(nb::module_& module);

}  // namespace kiban::python
