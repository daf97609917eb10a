#include "bindings/python/arrays.hpp"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <cmath>
#include <optional>

#include "kernels/core/error.hpp"
#include "kernels/core/stream.hpp"

namespace kiban::python {
namespace {

/// DLPack's kDLExtDev: a device that no other library knows.
constexpr int kExternalDevice = 12;

std::optional<Device> device_of(int type, int index) {
  switch (type) {
    case nb::device::cpu::value:
    case nb::device::cuda_host::value:
      return Device{};
    case nb::device::cuda::value:
    case nb::device::cuda_managed::value:
      return Device{DeviceKind::cuda, index};
    default:
      return std::nullopt;
  }
}

/// Shape, strides in elements (none: C order) and what else the three protocols tell.
struct Described {
  void* data = nullptr;
  std::vector<std::int64_t> shape, strides;
  std::optional<VoxelType> type;
  bool read_only = false;
  Device device;
};

constexpr VoxelType kVoxelTypes[] = {VoxelType::uint8,  VoxelType::int8,  VoxelType::uint16, VoxelType::int16,
                                     VoxelType::uint32, VoxelType::int32, VoxelType::float32};

nb::dlpack::dtype dtype_of(VoxelType type) {
  return with_voxel_type(type, []<class T>() { return nb::dtype<T>(); });
}

std::optional<VoxelType> voxel_type_of(const nb::dlpack::dtype& dtype) {
  if (dtype == nb::dtype<bool>()) return VoxelType::uint8;
  for (const VoxelType type : kVoxelTypes)
    if (dtype_of(type) == dtype) return type;
  return std::nullopt;
}

/// NumPy's: little-endian, kind and bytes.
std::string typestr_of(VoxelType type) {
  const std::string text = name(type);
  return fmt::format("{}{}{}", bytes_of(type) == 1 ? '|' : '<', text.front(), bytes_of(type));
}

std::optional<VoxelType> voxel_type_of(const std::string& typestr) {
  if (typestr == "|b1") return VoxelType::uint8;
  for (const VoxelType type : kVoxelTypes)
    if (typestr_of(type) == typestr) return type;
  return std::nullopt;
}

bool in_c_order(const Described& array) {
  std::int64_t expected = 1;
  for (std::size_t axis = array.shape.size(); axis-- > 0;) {
    if (!array.strides.empty() && array.shape[axis] > 1 && array.strides[axis] != expected) return false;
    expected *= array.shape[axis];
  }
  return true;
}

ImageView checked(const Described& array, const std::string& name, bool writable, std::size_t axes) {
  if (axes == 4 && array.shape.size() != 4)
    throw Error(ErrorCode::input, fmt::format("{} has {} axes and must have four, [class, slice, row, column]", name,
                                              array.shape.size()));
  if (axes == 3 && array.shape.size() != 3)
    throw Error(ErrorCode::input, fmt::format("{} has {} axes and must have three, [slice, row, column]; give e.g. "
                                              "array[None] for a single slice",
                                              name, array.shape.size()));
  if (!array.type)
    throw Error(ErrorCode::input, fmt::format("{} is not float32; give array.astype(numpy.float32), or of labels "
                                              "array.astype(numpy.uint32)",
                                              name));
  if (!in_c_order(array))
    throw Error(ErrorCode::input, fmt::format("{} is not in C order; give numpy.ascontiguousarray(array)", name));
  if (reinterpret_cast<std::uintptr_t>(array.data) % static_cast<std::uintptr_t>(bytes_of(*array.type)) != 0)
    throw Error(ErrorCode::input, fmt::format("{} is not aligned in memory; give array.copy()", name));
  if (writable && array.read_only)
    throw Error(ErrorCode::input, fmt::format("{} is to be filled and is read-only; give an array of your own", name));
  parse_device(kiban::name(array.device));  // the memory of a device that is not here cannot be used
  const std::int64_t volumes = axes == 4 ? array.shape[0] : 1;
  const Shape<3> shape{volumes * array.shape[axes - 3], array.shape[axes - 2], array.shape[axes - 1]};
  return {VoxelSpan(array.data, *array.type, shape, array.device), {}, volumes};
}

Described described(const nb::ndarray<nb::ro>& array, const std::string& name) {
  Described found;
  const std::optional<Device> device = device_of(array.device_type(), array.device_id());
  if (!device)
    throw Error(
        ErrorCode::device,
        fmt::format("{} lies in memory that is neither the host's nor a CUDA device's; copy it to the host", name));
  found.device = *device;
  found.data = const_cast<void*>(array.data());
  found.type = voxel_type_of(array.dtype());
  for (std::size_t axis = 0; axis < array.ndim(); ++axis) {
    found.shape.push_back(static_cast<std::int64_t>(array.shape(axis)));
    found.strides.push_back(array.stride(axis));
  }
  return found;
}

/// Source: Numba's documentation, "CUDA Array Interface (Version 3)".
Described described(const nb::dict& interface, const std::string& name) {
  Described found;
  for (const nb::handle extent : nb::borrow<nb::object>(interface["shape"]))
    found.shape.push_back(nb::cast<std::int64_t>(extent));
  const nb::object data = interface["data"];
  found.data = reinterpret_cast<void*>(nb::cast<std::uintptr_t>(data[0]));
  found.read_only = nb::cast<bool>(data[1]);
  found.type = voxel_type_of(nb::cast<std::string>(interface["typestr"]));
  const std::int64_t item_bytes = found.type ? bytes_of(*found.type) : 1;
  if (interface.contains("strides") && !nb::borrow(interface["strides"]).is_none())
    for (const nb::handle bytes : nb::borrow<nb::object>(interface["strides"])) {
      const auto stride = nb::cast<std::int64_t>(bytes);
      found.strides.push_back(stride % item_bytes ? 0 : stride / item_bytes);
    }
  // The interface does not name the device. One process with one device is the case that needs no more.
  std::vector<DeviceDescription> all = devices();
  if (all.size() > 2)
    throw Error(ErrorCode::device,
                fmt::format("{} does not say on which of {} CUDA devices it lies; give an array that "
                            "has __dlpack__",
                            name, all.size() - 1));
  found.device = {DeviceKind::cuda, 0};
  return found;
}

bool is_read_only(nb::handle array) {
  const nb::object flags = nb::getattr(array, "flags", nb::none());
  return !flags.is_none() && nb::hasattr(flags, "writeable") && !nb::cast<bool>(flags.attr("writeable"));
}

}  // namespace

ImageView view_of(nb::handle array, const std::string& name, bool writable, std::size_t axes) {
  if (nb::isinstance<DeviceArray>(array) && axes == 3)
    return {nb::cast<DeviceArray&>(array).values.span(), nb::borrow<nb::object>(array)};
  nb::ndarray<nb::ro> seen;
  if (nb::try_cast<nb::ndarray<nb::ro>>(array, seen, false)) {
    Described found = described(seen, name);
    found.read_only = writable && is_read_only(array);
    ImageView view = checked(found, name, writable, axes);
    view.owner = nb::cast(std::move(seen));
    return view;
  }
  PyErr_Clear();
  if (nb::hasattr(array, "__cuda_array_interface__")) {
    ImageView view =
        checked(described(nb::cast<nb::dict>(array.attr("__cuda_array_interface__")), name), name, writable, axes);
    view.owner = nb::borrow<nb::object>(array);
    return view;
  }
  throw Error(ErrorCode::usage, fmt::format("{} is of type {} or holds values of a type that Kiban cannot read; give a "
                                            "float32 array",
                                            name, nb::cast<std::string>(nb::str(array.type().attr("__name__")))));
}

nb::object to_python(VoxelArray values) {
  if (values.device() != Device{}) return nb::cast(DeviceArray{std::move(values)});
  const Shape<3>& shape = values.shape();
  const std::size_t extents[3] = {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]),
                                  static_cast<std::size_t>(shape[2])};
  auto* const kept = new VoxelArray(std::move(values));
  const nb::capsule owner(kept, [](void* memory) noexcept { delete static_cast<VoxelArray*>(memory); });
  return nb::cast(
      nb::ndarray<nb::numpy, nb::ndim<3>>(kept->span().data(), 3, extents, owner, nullptr, dtype_of(kept->type())));
}

nb::tuple place_tuple(const Grid& grid) {
  const Mat3& d = grid.direction;
  return nb::make_tuple(
      nb::make_tuple(grid.spacing[0], grid.spacing[1], grid.spacing[2]),
      nb::make_tuple(grid.origin[0], grid.origin[1], grid.origin[2]),
      nb::make_tuple(d[0][0], d[0][1], d[0][2], d[1][0], d[1][1], d[1][2], d[2][0], d[2][1], d[2][2]));
}

Grid grid_of(const Shape<3>& shape, nb::handle spacing, nb::handle origin, nb::handle direction) {
  Grid grid;
  grid.shape = shape;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    grid.spacing[axis] = nb::cast<double>(spacing[axis]);
    grid.origin[axis] = nb::cast<double>(origin[axis]);
    for (std::size_t column = 0; column < 3; ++column)
      grid.direction[axis][column] = nb::cast<double>(direction[3 * axis + column]);
    if (!(grid.spacing[axis] > 0) || !std::isfinite(grid.spacing[axis]) || !std::isfinite(grid.origin[axis]))
      throw Error(ErrorCode::input, "a volume's spacing must be positive and its origin finite, in mm");
  }
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j <= i; ++j)
      if (!(std::abs(dot(column(grid.direction, i), column(grid.direction, j)) - (i == j)) < 1e-3))
        throw Error(ErrorCode::input, "a volume's direction must have unit columns at right angles");
  return grid;
}

void define_arrays(nb::module_& module) {
  nb::class_<DeviceArray>(module, "DeviceArray",
                          "An array [slice, row, column] in the memory of a device, for DLPack and "
                          "__cuda_array_interface__.")
      .def_prop_ro("shape",
                   [](const DeviceArray& array) {
                     const Shape<3>& shape = array.values.shape();
                     return nb::make_tuple(shape[0], shape[1], shape[2]);
                   })
      .def_prop_ro("ndim", [](const DeviceArray&) { return 3; })
      .def_prop_ro("dtype",
                   [](const DeviceArray& array) {
                     return nb::module_::import_("numpy").attr("dtype")(name(array.values.type()));
                   })
      .def_prop_ro("device", [](const DeviceArray& array) { return name(array.values.device()); })
      .def(
          "numpy",
          [](const DeviceArray& array) {
            Stream stream(array.values.device());
            VoxelArray host(array.values.type(), array.values.shape());
            copy(stream, array.values.span(), host.span());
            stream.synchronize();
            return to_python(std::move(host));
          },
          "A copy in host memory.")
      .def("__dlpack_device__",
           [](const DeviceArray& array) {
             const bool cuda = array.values.device().kind == DeviceKind::cuda;
             return nb::make_tuple(cuda ? nb::device::cuda::value : kExternalDevice, array.values.device().index);
           })
      .def("__dlpack__",
           [](nb::handle self, const nb::kwargs& how) {
             auto& array = nb::cast<DeviceArray&>(self);
             const Shape<3>& shape = array.values.shape();
             const Device device = array.values.device();
             if (device.kind != DeviceKind::cuda)
               throw Error(ErrorCode::device, "memory of " + name(device) + " is nobody else's to read; use numpy()");
             const std::size_t extents[3] = {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]),
                                             static_cast<std::size_t>(shape[2])};
             const nb::ndarray<nb::ndim<3>> seen(array.values.span().data(), 3, extents, self, nullptr,
                                                 dtype_of(array.values.type()), nb::device::cuda::value, device.index);
             return nb::object(nb::cast(seen).attr("__dlpack__")(**how));
           })
      .def_prop_ro("__cuda_array_interface__", [](const DeviceArray& array) {
        const Device device = array.values.device();
        if (device.kind != DeviceKind::cuda) throw nb::attribute_error("__cuda_array_interface__");
        const Shape<3>& shape = array.values.shape();
        nb::dict interface;
        interface["shape"] = nb::make_tuple(shape[0], shape[1], shape[2]);
        interface["typestr"] = typestr_of(array.values.type());
        interface["data"] = nb::make_tuple(reinterpret_cast<std::uintptr_t>(array.values.span().data()), false);
        interface["version"] = 3;
        return interface;
      });
  module.def(
      "to_device",
      [](nb::handle array, const std::string& device) {
        const ImageView from = view_of(array, "array");
        Stream stream(parse_device(device));
        DeviceArray moved{VoxelArray(from.values.type(), from.values.shape(), stream.device())};
        copy(stream, from.values, moved.values.span());
        stream.synchronize();
        return moved;
      },
      nb::arg("array"), nb::arg("device"), "A copy of an array in the memory of a device. Errors: device.");
}

}  // namespace kiban::python
