#include "engine/operations/projected_object.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/operations/patient_position.hpp"
#include "engine/operations/volume_port.hpp"
#include "kernels/core/error.hpp"
#include "kernels/ct/joseph.hpp"
#include "kernels/ct/phantom.hpp"

namespace kiban::engine {
namespace {

class Phantom : public ProjectedObject {
 public:
  explicit Phantom(const Values& values)
      : ellipsoids_(ct::shepp_logan(values.real("scale-mm"), values.real("density"))) {}

  std::string name() const override { return "the phantom"; }
  double radius_mm() const override {
    double radius = 0;
    for (const ct::Ellipsoid& e : ellipsoids_)
      radius =
          std::max(radius, std::hypot(e.centre_mm[0], e.centre_mm[2]) + std::max(e.semi_axes_mm[0], e.semi_axes_mm[2]));
    return radius;
  }
  double half_height_mm() const override {
    double height = 0;
    for (const ct::Ellipsoid& e : ellipsoids_) height = std::max(height, std::abs(e.centre_mm[1]) + e.semi_axes_mm[1]);
    return height;
  }
  void project(Stream& stream, const ct::Geometry& geometry, std::int64_t first, Span<float, 3> views) override {
    ct::project_ellipsoids(stream, ellipsoids_, geometry, first, views);
  }

 private:
  std::vector<ct::Ellipsoid> ellipsoids_;
};

class VoxelObject : public ProjectedObject {
 public:
  explicit VoxelObject(const Request& request)
      : source_(request, "volume"),
        grid_(rotated(transposed(patient_from_scanner(request.parameters.text("patient-position"))), source_.grid())),
        mu_water_(request.parameters.has("mu-water") ? request.parameters.real("mu-water") : 0) {
    if (!source_.placed())
      throw Error(
          ErrorCode::usage,
          fmt::format("{} does not say where its voxels lie; give a volume with spacing and origin", source_.name()));
    if (!request.parameters.flag("centre-volume")) return;
    grid_.origin = grid_.origin -
                   grid_.world({0.5 * static_cast<double>(grid_.nx() - 1), 0.5 * static_cast<double>(grid_.ny() - 1),
                                0.5 * static_cast<double>(grid_.nz() - 1)});
  }

  std::string name() const override { return source_.name(); }
  double radius_mm() const override {
    return farthest([](const Vec3& p) { return std::hypot(p[0], p[2]); });
  }
  double half_height_mm() const override {
    return farthest([](const Vec3& p) { return std::abs(p[1]); });
  }
  std::size_t device_bytes() const override {
    const std::size_t volume = static_cast<std::size_t>(element_count<3>(grid_.shape)) * sizeof(float);
    return mu_water_ > 0 ? 2 * volume : volume;
  }
  std::size_t host_bytes() const override { return device_bytes(); }

  void prepare(Stream& stream, Progress& progress) override {
    progress.enter("read");
    volume_ = source_.finite_slices(stream, 0, grid_.nz(), "slice");
    if (mu_water_ > 0) {
      attenuation_ = Array<float, 3>(grid_.shape);
      copy<float, 3>(stream, volume_, attenuation_.span());
      stream.synchronize();
      to_attenuation(attenuation_.host());
      volume_ = attenuation_.span();
    }
    progress.enter("compute");
    if (stream.device() == volume_.device()) return;
    on_device_ = Array<float, 3>(grid_.shape, stream.device());
    copy<float, 3>(stream, volume_, on_device_.span());
    stream.synchronize();
    volume_ = on_device_.span();
  }

  void project(Stream& stream, const ct::Geometry& geometry, std::int64_t first, Span<float, 3> views) override {
    ct::joseph_project(stream, volume_, grid_, geometry, first, views);
  }

 private:
  /// HU to mm^-1; what is thinner than nothing (metal artefacts, padding of -2000 HU) absorbs nothing.
  void to_attenuation(const ArrayView<float, 3>& values) const {
    for (std::int64_t i = 0; i < values.size(); ++i)
      values.data[i] = static_cast<float>(std::max(0.0, mu_water_ * (1 + values.data[i] * 1e-3)));
  }

  template <class Distance>
  double farthest(const Distance& distance) const {
    double most = 0;
    for (int corner = 0; corner < 8; ++corner) {
      const auto end = [&](int axis, std::int64_t count) {
        return (corner >> axis & 1) ? static_cast<double>(count) - 0.5 : -0.5;
      };
      most = std::max(most, distance(grid_.world({end(0, grid_.nx()), end(1, grid_.ny()), end(2, grid_.nz())})));
    }
    return most;
  }

  VolumeSource source_;
  Grid grid_;
  double mu_water_;
  Array<float, 3> attenuation_;    ///< what was HU
  Array<float, 3> on_device_;      ///< what was elsewhere
  Span<const float, 3> volume_{};  ///< in mm^-1, on the device: one of these two, or the source's
};

/// What belongs to the other kind of object would be ignored in silence.
void refuse_given(const Values& values, const std::string& object, const std::vector<std::string>& others) {
  for (const std::string& name : others)
    if (values.given(name))
      throw Error(ErrorCode::usage, fmt::format("{} means nothing for a {}; leave it out", name, object));
}

}  // namespace

std::vector<Parameter> projected_object_parameters() {
  return {
      Parameter::choice("phantom", {"shepp-logan"}, "What to project").or_else("the volume is projected"),
      Parameter::real("scale-mm", "mm", "Half edge of the cube that the phantom fills")
          .by_default(116.0)
          .above(0)
          .at_most(1e5),
      Parameter::real("density", "", "Factor on the phantom's densities, of which the skull's is 2 mm^-1")
          .by_default(0.02)
          .above(0)
          .at_most(1e3),
      Parameter::real("mu-water", "mm^-1", "Attenuation of water: the volume is then taken to be in HU")
          .or_else("the volume is in mm^-1")
          .above(0)
          .at_most(10),
      Parameter::flag("centre-volume", "Move the middle of the volume to the isocentre"),
      patient_position_parameter("How the patient lies: the volume is then in the patient's frame (DICOM's LPS)"),
  };
}

std::unique_ptr<ProjectedObject> projected_object(const Request& request) {
  const bool phantom = request.parameters.has("phantom"), volume = request.uses("volume");
  if (phantom == volume)
    throw Error(ErrorCode::usage, phantom ? "phantom and volume contradict each other; give one of them"
                                          : "what is to be projected? give phantom or volume");
  refuse_given(request.parameters, phantom ? "phantom" : "volume",
               phantom ? std::vector<std::string>{"mu-water", "centre-volume", "patient-position"}
                       : std::vector<std::string>{"scale-mm", "density"});
  if (phantom) return std::make_unique<Phantom>(request.parameters);
  return std::make_unique<VoxelObject>(request);
}

}  // namespace kiban::engine
