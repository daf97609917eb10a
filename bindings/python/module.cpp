#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings/python/arrays.hpp"
#include "bindings/python/geometry.hpp"
#include "bindings/python/queue.hpp"
#include "bindings/python/run.hpp"
#include "engine/runner.hpp"
#include "io/image/image_file.hpp"
#include "io/image/preview.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::python {
namespace {

/// kiban.Error, which is Python's own class.
void raise_error(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    const nb::object type = nb::module_::import_("kiban._error").attr("Error");
    PyErr_SetObject(type.ptr(), type(error.what(), static_cast<int>(error.code())).ptr());
  }
}

nb::list list_devices() {
  nb::list list;
  for (const DeviceDescription& device : devices()) {
    nb::dict entry;
    entry["name"] = name(device.device);
    entry["model"] = device.model;
    entry["memory_bytes"] = device.memory_bytes;
    entry["free_bytes"] = device.free_bytes;
    entry["detail"] = device.detail;
    list.append(entry);
  }
  return list;
}

nb::tuple read_image(const std::string& path, const std::string& numbers) {
  VoxelVolume volume;
  {
    const nb::gil_scoped_release unlocked;
    io::ImageReader reader(path);
    volume = io::read_voxels(reader, numbers == "labels" ? io::label_type(reader)
                                     : numbers == "kept" ? reader.voxel_type()
                                                         : VoxelType::float32);
  }
  const nb::tuple place = place_tuple(volume.grid);
  return nb::make_tuple(to_python(std::move(volume.values)), place[0], place[1], place[2]);
}

void write_image(const std::string& path, nb::handle array, nb::handle spacing, nb::handle origin,
                 nb::handle direction) {
  const ImageView view = view_of(array, "array");
  const Grid grid = grid_of(view.values.shape(), spacing, origin, direction);
  const nb::gil_scoped_release unlocked;
  io::write_image(path, grid, view.values);
}

void write_preview(const std::string& path, nb::handle array, nb::handle spacing, nb::handle origin,
                   nb::handle direction, std::optional<float> black, std::optional<float> white) {
  const ImageView view = view_of(array, "array");
  const Grid grid = grid_of(view.values.shape(), spacing, origin, direction);
  const nb::gil_scoped_release unlocked;
  io::OutputFile file(path);
  io::write_preview(file.temporary_path(), grid, view.values.as<float>(), {black, white});
  file.commit();
}

}  // namespace
}  // namespace kiban::python

NB_MODULE(_kiban, module) {
  namespace python = kiban::python;
  namespace nb = nanobind;
  nb::register_exception_translator(python::raise_error);
  module.def("version", &kiban::engine::version, "Of Kiban: \"0.1.0\".");
  module.def("devices", &python::list_devices,
             "Every device on which Kiban can run here, the CPU first: name, model, memory_bytes, free_bytes, detail.");
  module.def("read_image", &python::read_image, nb::arg("path"), nb::arg("numbers"),
             "(array, spacing, origin, direction); as `float32`, `labels`, or `kept` as they are.");
  module.def("write_image", &python::write_image, nb::arg("path"), nb::arg("array"), nb::arg("spacing"),
             nb::arg("origin"), nb::arg("direction"));
  module.def("write_preview", &python::write_preview, nb::arg("path"), nb::arg("array"), nb::arg("spacing"),
             nb::arg("origin"), nb::arg("direction"), nb::arg("black").none(), nb::arg("white").none());
  python::define_arrays(module);
  python::define_geometry(module);
  python::define_run(module);
  python::define_queue(module);
}
