#include "engine/operations/reconstruction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/operations/patient_position.hpp"
#include "engine/operations/reconstruction_work.hpp"
#include "engine/operations/volume_port.hpp"
#include "kernels/core/error.hpp"
#include "kernels/ct/filtered_backprojection.hpp"

namespace kiban::engine {
namespace {

constexpr std::int64_t kMostVoxels = 16384;  ///< along an axis

/// The grid that shows as much as the panel does: a voxel is a pixel as it appears at the isocentre.
/// Its rows lie along the world's axis that is nearest to the rotation's.
Grid panel_grid(const ct::Geometry& geometry) {
  const ct::View& view = geometry.views.front();
  double scale = 1;
  if (!view.parallel) {
    const Vec3 normal = cross(view.u, view.v);
    scale = std::abs(dot(view.source, normal) / dot(view.source - view.detector, normal));
  }
  const double across = scale * norm(view.u), along = scale * norm(view.v);
  Shape<3> shape{geometry.columns, geometry.columns, geometry.columns};
  Vec3 spacing{across, across, across};
  std::size_t upright = 0;
  for (std::size_t a = 1; a < 3; ++a)
    if (std::abs(geometry.axis[a]) > std::abs(geometry.axis[upright])) upright = a;
  shape[2 - upright] = geometry.rows;
  spacing[upright] = along;
  return Grid::centred(shape, spacing);
}

/// Voxels of `spacing` that cover `extent`.
std::int64_t voxels_over(double extent, double spacing) {
  const double count = std::ceil(extent / spacing - 1e-9);
  if (count > static_cast<double>(kMostVoxels))
    throw Error(ErrorCode::usage,
                fmt::format("spacing-mm is {} mm, which needs {:.0f} voxels over {:.1f} mm; give size, or "
                            "a spacing that needs at most {}",
                            spacing, count, extent, kMostVoxels));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(count));
}

/// In the scanner's frame. What is not given follows from the panel, so that all of its field of view is covered.
Grid requested_grid(const Values& values, const Grid& standard) {
  Shape<3> shape = standard.shape;
  Vec3 spacing = standard.spacing;
  for (std::size_t a = 0; a < 3; ++a) {
    const double extent = standard.spacing[a] * static_cast<double>(standard.shape[2 - a]);
    if (values.has("spacing-mm")) spacing[a] = values.reals3("spacing-mm")[a];
    if (values.has("size"))
      shape[2 - a] = values.integers3("size")[a];
    else if (values.has("spacing-mm"))
      shape[2 - a] = voxels_over(extent, spacing[a]);
    if (!values.has("spacing-mm")) spacing[a] = extent / static_cast<double>(shape[2 - a]);
  }
  Grid grid = Grid::centred(shape, spacing);
  if (values.has("origin-mm")) grid.origin = values.reals3("origin-mm");
  return grid;
}

Grid grid_like(const Request& request, const Mat3& to_patient) {
  for (const char* name : {"size", "spacing-mm", "origin-mm"})
    if (request.parameters.given(name))
      throw Error(ErrorCode::usage, fmt::format("{} and like contradict each other; give one of them", name));
  const VolumeSource like(request, "like");
  if (!like.placed())
    throw Error(ErrorCode::usage, fmt::format("{} does not say where its voxels lie; give a volume with spacing and "
                                              "origin",
                                              like.name()));
  return rotated(transposed(to_patient), like.grid());
}

ct::Window window_named(const std::string& name) {
  if (name == "ram-lak") return ct::Window::ram_lak;
  if (name == "shepp-logan") return ct::Window::shepp_logan;
  if (name == "cosine") return ct::Window::cosine;
  if (name == "hamming") return ct::Window::hamming;
  if (name == "hann") return ct::Window::hann;
  throw Error(ErrorCode::internal, "no window is called " + name);
}

ct::FilteredBackprojectionOptions options_from(const Values& values) {
  ct::FilteredBackprojectionOptions options;
  options.window = window_named(values.text("window"));
  options.cutoff = values.real("cutoff");
  options.mask_field_of_view = !values.flag("no-mask");
  options.mu_water_per_mm = values.has("mu-water") ? values.real("mu-water") : 0;
  options.interpolation =
      values.text("interpolation") == "texture" ? ct::Interpolation::texture : ct::Interpolation::exact;
  return options;
}

/// Errors: usage (black is not below white).
io::GreyRange grey_range_from(const Values& values) {
  io::GreyRange range;
  if (values.has("preview-black")) range.black = static_cast<float>(values.real("preview-black"));
  if (values.has("preview-white")) range.white = static_cast<float>(values.real("preview-white"));
  if (range.black && range.white && *range.black >= *range.white)
    throw Error(ErrorCode::usage, "preview-black is not below preview-white; give the smaller value to preview-black");
  return range;
}

/// From the scanner's frame. Errors: usage (a geometry in another frame than IEC 61217's).
Mat3 to_patient_from(const Request& request, const ct::Geometry& geometry) {
  const std::string& position = request.parameters.text("patient-position");
  if (position != "none" && geometry.axis != Vec3{0, 1, 0})
    throw Error(ErrorCode::usage,
                "patient-position leads from IEC 61217's frame, rotation about y, which this geometry is not in; leave "
                "it out");
  return patient_from_scanner(position);
}

ReconstructionSettings settings_from(const Request& request, const ct::Geometry& geometry) {
  const Mat3 to_patient = to_patient_from(request, geometry);
  return {
      request.uses("like") ? grid_like(request, to_patient) : requested_grid(request.parameters, panel_grid(geometry)),
      to_patient, options_from(request.parameters), grey_range_from(request.parameters)};
}

}  // namespace

void declare_reconstruction(Operation& operation) {
  operation.update = "voxel x view";
  operation.run_together = reconstruct_together;
  operation.add(std::vector<Port>{
      {"like", PortDirection::in, PortKind::volume, false,
       "A volume whose grid the result takes, instead of size, spacing and origin"},
      {"volume", PortDirection::out, PortKind::volume, true,
       "The reconstruction: attenuation in mm^-1, or HU with mu-water"},
      {"preview", PortDirection::out, PortKind::preview, false, "A PNG of three orthogonal slices through the middle"},
  });
  operation.add(std::vector<Parameter>{
      Parameter::integers3("size", "", "Voxels along x, y, z")
          .or_else("what covers the panel's field of view")
          .at_least(1)
          .at_most(static_cast<double>(kMostVoxels)),
      Parameter::reals3("spacing-mm", "mm", "Distance between voxels along x, y, z")
          .or_else("what covers the panel's field of view")
          .above(0)
          .at_most(1e6),
      Parameter::reals3("origin-mm", "mm", "Centre of the first voxel in the scanner's frame")
          .or_else("the volume is centred on the isocentre"),
      Parameter::choice("window", {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"},
                        "Window on the ramp filter; ram-lak is the plain ramp")
          .by_default("ram-lak"),
      Parameter::real("cutoff", "", "Where the window ends, as a fraction of the Nyquist frequency")
          .by_default(1.0)
          .above(0)
          .at_most(1),
      Parameter::flag("no-mask", "Keep voxels that some view misses, instead of setting them to 0 mm^-1"),
      Parameter::real("mu-water", "mm^-1", "Attenuation of water at the scan's energy; with it the result is in HU")
          .or_else("the result stays in mm^-1")
          .above(0)
          .at_most(10),
      patient_position_parameter("How the patient lay: the result is then in the patient's frame (DICOM's LPS)"),
      Parameter::real("preview-black", "", "Value shown black in the preview, in the volume's unit")
          .or_else("the 0.5 % quantile of the slices"),
      Parameter::real("preview-white", "", "Value shown white in the preview, in the volume's unit")
          .or_else("the 99.5 % quantile of the slices"),
      Parameter::choice("interpolation", {"exact", "texture"},
                        "How a GPU reads between pixels: in float, or by its faster texture units, 3e-4 off")
          .by_default("exact"),
  });
}

std::unique_ptr<Work> reconstruct(std::unique_ptr<LineIntegrals> line_integrals, const Request& request) {
  const ReconstructionSettings settings = settings_from(request, line_integrals->planned_geometry());
  return std::make_unique<ReconstructionWork>(std::move(line_integrals), request, settings);
}

}  // namespace kiban::engine
