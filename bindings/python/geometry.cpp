#include "bindings/python/geometry.hpp"

#include <fmt/format.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

#include "io/geometry/rtk_xml.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/ct/astra_vectors.hpp"

namespace kiban::python {
namespace {

namespace nb = nanobind;

using Numbers = nb::ndarray<nb::numpy, double, nb::ndim<2>>;

/// Without a panel: that of one pixel of 1 mm at the detector's origin.
ct::Geometry complete(const Geometry& geometry) {
  if (const auto* circular = std::get_if<CircularGeometry>(&geometry.scan))
    return ct::geometry_from_circular(*circular, ct::Panel::centred(1, 1, 1, 1));
  return std::get<ct::Geometry>(geometry.scan);
}

/// One vector a view, as an array [view,3] of its own.
Numbers vectors_of(const Geometry& geometry, Vec3 ct::View::*member) {
  const ct::Geometry views = complete(geometry);
  auto* const numbers = new double[views.views.size() * 3];
  for (std::size_t k = 0; k < views.views.size(); ++k)
    for (std::size_t a = 0; a < 3; ++a) numbers[3 * k + a] = (views.views[k].*member)[a];
  const nb::capsule owner(numbers, [](void* memory) noexcept { delete[] static_cast<double*>(memory); });
  return Numbers(numbers, {views.views.size(), 3}, owner);
}

/// Rows or columns of the panel; none where the projections are to say.
template <class Member>
std::optional<std::int64_t> extent(const Geometry& geometry, Member member) {
  const auto* views = std::get_if<ct::Geometry>(&geometry.scan);
  return views ? std::optional(views->*member) : std::nullopt;
}

Geometry from_astra(nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu> vectors, std::int64_t rows,
                    std::int64_t columns, bool parallel, nb::object axis) {
  if (vectors.shape(1) != 12)
    throw Error(ErrorCode::input,
                fmt::format("ASTRA's vectors have 12 numbers a view, these have {}", vectors.shape(1)));
  Vec3 direction{0, 0, 1};
  if (!axis.is_none())
    for (std::size_t a = 0; a < 3; ++a) direction[a] = nb::cast<double>(axis[a]);
  return {ct::geometry_from_astra({vectors.data(), vectors.size()}, parallel, rows, columns, direction)};
}

void to_rtk(const Geometry& geometry, const std::string& path) {
  const auto* circular = std::get_if<CircularGeometry>(&geometry.scan);
  if (!circular)
    throw Error(ErrorCode::usage,
                fmt::format("{}: RTK's nine parameters do not describe views that were given as vectors", path));
  io::OutputFile file(path);
  io::write_rtk_xml(file.temporary_path(), *circular);
  file.commit();
}

/// Every view as 13 numbers, for pickling.
constexpr std::size_t kNumbers = 13;
static_assert(sizeof(CircularView) == kNumbers * sizeof(double) && std::is_trivially_copyable_v<CircularView>);

nb::tuple state_of(const Geometry& geometry) {
  if (const auto* circular = std::get_if<CircularGeometry>(&geometry.scan))
    return nb::make_tuple(nb::bytes(circular->data(), circular->size() * sizeof(CircularView)));
  const auto& complete = std::get<ct::Geometry>(geometry.scan);
  std::vector<double> numbers;
  for (const ct::View& view : complete.views) {
    numbers.push_back(view.parallel);
    for (const Vec3& vector : {view.source, view.detector, view.u, view.v})
      numbers.insert(numbers.end(), vector.begin(), vector.end());
  }
  return nb::make_tuple(nb::bytes(numbers.data(), numbers.size() * sizeof(double)), complete.rows, complete.columns,
                        nb::make_tuple(complete.axis[0], complete.axis[1], complete.axis[2]));
}

Geometry geometry_of(const nb::tuple& state) {
  const auto bytes = nb::cast<nb::bytes>(state[0]);
  const std::size_t views = bytes.size() / sizeof(CircularView);
  if (state.size() == 1) {
    CircularGeometry circular(views);
    std::memcpy(circular.data(), bytes.c_str(), views * sizeof(CircularView));
    return {circular};
  }
  std::vector<double> numbers(views * kNumbers);
  std::memcpy(numbers.data(), bytes.c_str(), numbers.size() * sizeof(double));
  ct::Geometry complete;
  complete.rows = nb::cast<std::int64_t>(state[1]);
  complete.columns = nb::cast<std::int64_t>(state[2]);
  for (std::size_t a = 0; a < 3; ++a) complete.axis[a] = nb::cast<double>(state[3][a]);
  for (const double* n = numbers.data(); n != numbers.data() + numbers.size(); n += kNumbers)
    complete.views.push_back(
        {n[0] != 0, {n[1], n[2], n[3]}, {n[4], n[5], n[6]}, {n[7], n[8], n[9]}, {n[10], n[11], n[12]}});
  return {complete};
}

}  // namespace

void define_geometry(nb::module_& module) {
  const auto path = [](nb::handle given) {
    return nb::cast<std::string>(nb::module_::import_("os").attr("fspath")(given));
  };
  nb::class_<Geometry>(module, "Geometry",
                       "How a scan was taken: one view a projection, in mm. Either nine parameters a view as RTK has "
                       "them (IEC 61217, rotation about y), which the projections' pixels complete; or complete views, "
                       "from ASTRA's vectors.")
      .def_static(
          "from_rtk", [path](nb::handle file) { return Geometry{io::read_rtk_xml(path(file))}; }, nb::arg("path"),
          "Reads RTK's geometry XML. Errors: input (missing, broken, a cylindrical detector).")
      .def_static("from_astra", &from_astra, nb::arg("vectors"), nb::kw_only(), nb::arg("rows"), nb::arg("columns"),
                  nb::arg("parallel") = false, nb::arg("axis") = nb::none(),
                  "Views of ASTRA's cone_vec, or with parallel=True of parallel3d_vec.\n\n"
                  "vectors [view,12] float64  source (or ray), centre of the panel, u, v; in mm\n"
                  "rows, columns              pixels of the panel\n"
                  "axis                       of the rotation; z unless given\n\n"
                  "The volume is then in ASTRA's frame. ASTRA keeps projections [row,view,column], Kiban\n"
                  "[view,row,column]: numpy.ascontiguousarray(sinogram.swapaxes(0, 1)).\n"
                  "Errors: input (not 12 finite numbers a view, a vector without length).")
      .def(
          "to_rtk", [path](const Geometry& self, nb::handle file) { to_rtk(self, path(file)); }, nb::arg("path"),
          "Writes RTK's geometry XML. Errors: usage (complete views) · input (cannot be written).")
      .def("__getstate__", &state_of)
      .def("__setstate__", [](Geometry& self, const nb::tuple& state) { new (&self) Geometry(geometry_of(state)); })
      .def("__len__", [](const Geometry& self) { return engine::view_count(self.scan); })
      .def("__eq__",
           [](const Geometry& self, nb::handle other) {
             if (!nb::isinstance<Geometry>(other)) return false;
             const auto& theirs = nb::cast<const Geometry&>(other).scan;
             const auto *a = std::get_if<CircularGeometry>(&self.scan), *b = std::get_if<CircularGeometry>(&theirs);
             if (a || b) return a && b && *a == *b;
             const auto &c = std::get<ct::Geometry>(self.scan), &d = std::get<ct::Geometry>(theirs);
             return c.rows == d.rows && c.columns == d.columns && c.axis == d.axis &&
                    std::ranges::equal(c.views, d.views, [](const ct::View& v, const ct::View& w) {
                      return v.parallel == w.parallel && v.source == w.source && v.detector == w.detector &&
                             v.u == w.u && v.v == w.v;
                    });
           })
      .def_prop_ro(
          "parallel", [](const Geometry& self) { return complete(self).views.front().parallel; }, "Parallel rays.")
      .def_prop_ro(
          "sources", [](const Geometry& self) { return vectors_of(self, &ct::View::source); }, nb::rv_policy::move,
          "[view,3] mm; for parallel rays the unit direction in which they travel.")
      .def_prop_ro(
          "detectors", [](const Geometry& self) { return vectors_of(self, &ct::View::detector); }, nb::rv_policy::move,
          "[view,3] mm, the centre of the panel; of the detector's origin where pixels are not known yet.")
      .def_prop_ro(
          "u", [](const Geometry& self) { return vectors_of(self, &ct::View::u); }, nb::rv_policy::move,
          "[view,3] mm, from a pixel to the next in its row; of 1 mm where pixels are not known yet.")
      .def_prop_ro(
          "v", [](const Geometry& self) { return vectors_of(self, &ct::View::v); }, nb::rv_policy::move,
          "[view,3] mm, from a pixel to the next in its column.")
      .def_prop_ro(
          "rows", [](const Geometry& self) { return extent(self, &ct::Geometry::rows); },
          "Of the panel; None where the projections say it.")
      .def_prop_ro(
          "columns", [](const Geometry& self) { return extent(self, &ct::Geometry::columns); },
          "Of the panel; None where the projections say it.")
      .def_prop_ro(
          "axis",
          [](const Geometry& self) {
            const Vec3 axis = complete(self).axis;
            return nb::make_tuple(axis[0], axis[1], axis[2]);
          },
          "Unit vector along the rotation axis, through the origin.")
      .def("__repr__", [](const Geometry& self) {
        const bool vectors = std::holds_alternative<ct::Geometry>(self.scan);
        return fmt::format("<kiban.ct.Geometry of {} {} views{}>", engine::view_count(self.scan),
                           complete(self).views.front().parallel ? "parallel" : "cone-beam",
                           vectors ? fmt::format(", {} x {} pixels", *extent(self, &ct::Geometry::rows),
                                                 *extent(self, &ct::Geometry::columns))
                                   : "");
      });
}

}  // namespace kiban::python
