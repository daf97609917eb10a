#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <memory>
#include <string>

#include "kernels/core/array.hpp"
#include "kernels/core/volume.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::python {

namespace nb = nanobind;

/// Memory of an array of NumPy, torch, CuPy, JAX, ... as [.,.,.] in C order, seen without a copy.
struct ImageView {
  VoxelSpan values;
  nb::object owner;          ///< keeps the memory alive
  std::int64_t volumes = 1;  ///< of four axes the first; `values` has its slices one after the other
};

/// The memory of an array, read through its buffer, DLPack or __cuda_array_interface__.
///   name       of the argument, for sentences
///   writable   whether it is to be filled
///   axes       three, or four of which the first two are seen as one
/// Booleans are seen as uint8, 0 and 1.
/// Errors: usage (not an array) · input (no VoxelType has its numbers, not so many axes, not in C order, read-only
/// though it is to be filled: each with the expression that mends it) · device (memory of a device that this process
/// cannot use).
ImageView view_of(nb::handle array, const std::string& name, bool writable = false, std::size_t axes = 3);

/// A result in device memory, for DLPack and __cuda_array_interface__.
struct DeviceArray {
  VoxelArray values;
};

/// To Python without a copy: NumPy's array for host memory, else a DeviceArray.
nb::object to_python(VoxelArray values);

/// Spacing, origin and direction as three tuples; and back, with the shape.
/// Errors: input (not finite, a spacing that is not positive, axes not at right angles).
nb::tuple place_tuple(const Grid& grid);
Grid grid_of(const Shape<3>& shape, nb::handle spacing, nb::handle origin, nb::handle direction);

/// Adds DeviceArray and `to_device` to the module.
void define_arrays(nb::module_& module);

}  // namespace kiban::python
