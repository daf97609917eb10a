#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "engine/operations/components_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/grow.hpp"

namespace kiban::engine {
namespace {

/// Points in mm: "x,y,z; x,y,z". Errors: usage.
std::vector<Vec3> points_from(const std::string& text) {
  std::vector<Vec3> points;
  std::istringstream all(text);
  for (std::string one; std::getline(all, one, ';');) {
    one.erase(0, one.find_first_not_of(' '));
    const Value value = value_from_text(Parameter::reals3("seeds-mm", "mm", ""), one);
    const Reals3& point = std::get<Reals3>(value);
    points.push_back({point[0], point[1], point[2]});
  }
  if (points.empty()) throw Error(ErrorCode::usage, "seeds-mm has no point; give x,y,z, or several: x,y,z; x,y,z");
  return points;
}

class GrowWork : public VoxelWork {
 public:
  explicit GrowWork(const Request& request) : VoxelWork(request, VoxelUse::values, "labels", VoxelType::uint8) {
    for (const Vec3& point : points_from(parameters().text("seeds-mm"))) seeds_.push_back(index_of(point));
    by_confidence_ = !parameters().has("low") && !parameters().has("high");
    for (const char* name : {"multiplier", "iterations"})
      if (!by_confidence_ && parameters().given(name))
        throw Error(ErrorCode::usage, fmt::format("{} is for a range that follows from the region; leave out low and "
                                                  "high, or it",
                                                  name));
    range_ = {parameters().has("low") ? parameters().real("low") : -INFINITY,
              parameters().has("high") ? parameters().real("high") : INFINITY};
    if (range_.high < range_.low) throw Error(ErrorCode::usage, "high is below low; give the smaller number to low");
  }

  std::vector<Finding> findings() const override {
    std::vector<Finding> found;
    if (by_confidence_) found = {{"low", range_.low, ""}, {"high", range_.high, ""}};
    return found;
  }

 private:
  image::VoxelIndex index_of(const Vec3& point) const {
    const Grid& grid = input().grid();
    const Vec3 apart = point - grid.origin;
    image::VoxelIndex index;
    for (int a = 0; a < 3; ++a) {
      const auto axis = static_cast<std::size_t>(a);
      const double place = std::floor(dot(apart, column(grid.direction, a)) / grid.spacing[axis] + 0.5);
      if (!(place >= 0 && place < static_cast<double>(grid.shape[2 - axis])))
        throw Error(ErrorCode::usage, fmt::format("the seed {:g},{:g},{:g} mm lies outside of {}; give one within",
                                                  point[0], point[1], point[2], input().name()));
      index[axis] = static_cast<std::int64_t>(place);
    }
    return index;
  }

  std::size_t workspace_bytes(Device) const override {
    return static_cast<std::size_t>(input().voxels()) * (2 + sizeof(std::uint32_t));
  }

  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    const Span<std::uint8_t, 3> region = output.room_of(VoxelType::uint8).as<std::uint8_t>();
    const image::Connectivity connectivity = connectivity_of(parameters());
    if (!by_confidence_) return image::grow(stream, image, seeds_, range_, connectivity, region);
    image::ConfidenceRule rule;
    rule.multiplier = parameters().real("multiplier");
    rule.iterations = static_cast<int>(parameters().integer("iterations"));
    range_ = image::grow_by_confidence(stream, image, seeds_, rule, connectivity, region);
  }

  std::vector<image::VoxelIndex> seeds_;
  image::GrowRange range_{};
  bool by_confidence_ = false;
};

}  // namespace

Operation image_grow() {
  Operation operation;
  operation.name = "image.grow";
  operation.summary = "Grows a region from seeds: what values in a range connect to them";
  operation.notes = {
      "With low or high: the voxels of values from low to high that touching voxels of such values connect to a seed; "
      "a "
      "seed outside of the range grows nothing (ITK's connected threshold).",
      "With neither: the range is the mean +- multiplier standard deviations, of the 27 voxels about the seeds at "
      "first, then of the region that they gave, iterations times; it is never narrower than the seeds' values (ITK's "
      "confidence connected). low and high are then findings of the run.",
      "Seeds are points in mm in the frame of the volume; the nearest voxel grows."};
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::image, true, "The volume"},
                     {"labels", PortDirection::out, PortKind::labels, true, "1 in the region, else 0; uint8"}};
  operation.parameters = {
      Parameter::text("seeds-mm", "Points x,y,z in mm; several: x,y,z; x,y,z").must_be_given(),
      Parameter::real("low", "", "The least value of the region").or_else("no bound"),
      Parameter::real("high", "", "The largest value of the region").or_else("no bound"),
      Parameter::real("multiplier", "", "Standard deviations from the mean").by_default(2.5).at_least(0),
      Parameter::integer("iterations", "", "How often the range is found anew")
          .by_default(std::int64_t{4})
          .at_least(0)
          .at_most(100),
      connectivity_parameter(),
  };
  operation.load = [](const Request& request) { return std::make_unique<GrowWork>(request); };
  return operation;
}

}  // namespace kiban::engine
