#include <optional>
#include <utility>
#include <vector>

#include "engine/operations/components_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/reconstruct.hpp"
#include "kernels/image/threshold.hpp"
#include "kernels/image/watershed.hpp"

namespace kiban::engine {
namespace {

/// The components of `minima` take most: two masks, and a number a voxel.
constexpr std::size_t kBytesOfMinima = 2 + sizeof(std::uint32_t);

/// A reconstruction's front in noise with few markers, the worst: 13 bytes a voxel as measured, and some.
constexpr std::size_t kBytesOfFront = 16;
/// What a flood knows of a voxel besides its level: where it is reached from, and after how many steps.
constexpr std::size_t kBytesOfFlood = 5;

/// What both operations take that start from the minima of an image.
class MinimaWork : public VoxelWork {
 public:
  std::vector<Finding> findings() const override {
    std::vector<Finding> found;
    if (count_) found = {{"count", static_cast<double>(*count_), ""}};
    return found;
  }

 protected:
  MinimaWork(const Request& request, image::Extreme which)
      : VoxelWork(request, VoxelUse::values, "labels", VoxelType::uint32),
        which_(which),
        connectivity_(connectivity_of(parameters())),
        depth_(parameters().has("depth") ? parameters().real("depth") : 0) {}

  std::size_t workspace_bytes(Device) const override {
    return static_cast<std::size_t>(input().voxels() * (bytes_of(input().type()))) +
           static_cast<std::size_t>(input().voxels()) * kBytesOfMinima;
  }
  void number_minima(Stream& stream, const ConstVoxelSpan& image, const VoxelSpan& numbers) {
    if (depth_ == 0) {
      count_ = image::minima(stream, image, connectivity_, which_, numbers);
      return;
    }
    VoxelArray filled(image.type(), image.shape(), stream.device());
    image::fill_shallow(stream, image, depth_, connectivity_, which_, filled.span());
    count_ = image::minima(stream, std::as_const(filled).span(), connectivity_, which_, numbers);
  }

  image::Extreme which_;
  image::Connectivity connectivity_;

 private:
  double depth_;
  std::optional<std::uint32_t> count_;
};

class NumberMinimaWork : public MinimaWork {
 public:
  explicit NumberMinimaWork(const Request& request)
      : MinimaWork(request,
                   request.parameters.text("kind") == "maxima" ? image::Extreme::largest : image::Extreme::least) {}

 private:
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    number_minima(stream, image, output.room(VoxelType::uint32));
  }
};

class WatershedWork : public MinimaWork {
 public:
  explicit WatershedWork(const Request& request)
      : MinimaWork(request,
                   request.parameters.text("basins") == "high" ? image::Extreme::largest : image::Extreme::least) {
    if (request.uses("markers")) {
      if (parameters().given("depth"))
        throw Error(ErrorCode::usage, "depth is for basins that start from minima; leave out it or the markers");
      markers_.emplace(request, "markers");
      require_same_grid(input(), *markers_);
    }
    if (!request.uses("mask")) return;
    mask_.emplace(request, "mask");
    require_same_grid(input(), *mask_);
  }

  Plan plan(Device device) const override {
    Plan plan = MinimaWork::plan(device);
    for (const auto* const source : {&markers_, &mask_}) {
      if (!source->has_value()) continue;
      plan.host_bytes += (*source)->host_bytes();
      plan.device_bytes += (*source)->device_bytes(device);
    }
    return plan;
  }

 private:
  std::size_t workspace_bytes(Device device) const override {
    const auto voxels = static_cast<std::size_t>(input().voxels());
    const auto of_level = static_cast<std::size_t>(bytes_of(input().type()));
    const std::size_t of_flood = device == Device{}
                                     ? (kBytesOfFront + kBytesOfFlood + of_level * (mask_ ? 2 : 1)) * voxels
                                     : sizeof(std::uint64_t) * voxels + image::relax_list_bytes(input().grid().shape);
    const std::size_t of_minima = sizeof(std::uint32_t) * voxels + MinimaWork::workspace_bytes(device);
    return of_flood + (mask_ ? voxels : 0) + (markers_ ? 0 : of_minima);
  }

  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    Array<std::uint8_t, 3> floods(mask_ ? image.shape() : Shape<3>{}, stream.device());
    constexpr double kAny[] = {1};
    if (mask_) image::classify(stream, mask_->all(stream), kAny, floods.span());
    VoxelArray minima(VoxelType::uint32, markers_ ? Shape<3>{} : image.shape(), stream.device());
    if (!markers_) number_minima(stream, image, minima.span());
    const ConstVoxelSpan markers = markers_ ? markers_->all(stream) : std::as_const(minima).span();
    image::watershed(stream, image, markers, std::as_const(floods).span(), connectivity_, which_,
                     output.room_of(markers.type()));
  }

  std::optional<VoxelSource> markers_, mask_;
};

class ReconstructWork : public VoxelWork {
 public:
  explicit ReconstructWork(const Request& request)
      : VoxelWork(request, VoxelUse::values, "result", std::nullopt),
        which_(parameters().text("by") == "dilation" ? image::Extreme::largest : image::Extreme::least) {
    if (request.uses("marker") == parameters().has("depth"))
      throw Error(ErrorCode::usage, "a reconstruction starts from a marker or from a depth; give one of them");
    if (!request.uses("marker")) return;
    marker_.emplace(request, "marker", VoxelUse::values);
    require_same_grid(input(), *marker_);
    if (marker_->type() != input().type())
      throw Error(ErrorCode::input, marker_->name() + " has voxels of " + name(marker_->type()) + " and " +
                                        input().name() + " of " + name(input().type()) +
                                        "; store both as the same type");
  }

  Plan plan(Device device) const override {
    Plan plan = VoxelWork::plan(device);
    if (!marker_) return plan;
    plan.host_bytes += marker_->host_bytes();
    plan.device_bytes += marker_->device_bytes(device);
    return plan;
  }

 private:
  std::size_t workspace_bytes(Device device) const override {
    const std::size_t of_front = kBytesOfFront * static_cast<std::size_t>(input().voxels());
    return device == Device{} ? of_front : image::relax_list_bytes(input().grid().shape);
  }

  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    const VoxelSpan result = output.room_of(image.type());
    const image::Connectivity connectivity = connectivity_of(parameters());
    if (marker_)
      image::reconstruct(stream, image, marker_->all(stream), connectivity, which_, result);
    else
      image::fill_shallow(stream, image, parameters().real("depth"), connectivity, which_, result);
  }

  image::Extreme which_;
  std::optional<VoxelSource> marker_;
};

Parameter depth_parameter() {
  return Parameter::real("depth", "", "Minima that water of this depth drowns do not count")
      .at_least(0)
      .or_else("all count");
}

}  // namespace

Operation image_watershed() {
  Operation operation;
  operation.name = "image.watershed";
  operation.summary = "The watershed from markers: parts a volume into the basins that they fill";
  operation.notes = {
      "Each marker's water rises over the image as over a ground; a voxel takes the label of the water that reaches it "
      "first, at the lowest level and then after the fewest steps at that level. Where two come at once the smaller "
      "label wins, so that plateaus are parted midway and no order of visits enters: every device and number of "
      "threads gives the same labels, and so does the volume turned over. There are no voxels between basins.",
      "Without markers each regional minimum is one, numbered in raster order; depth leaves out the shallow ones of "
      "noise. Cells that touch: the distance inside of them (image.distance), with basins high.",
      "Values that are not numbers are refused."};
  operation.update = "voxel";
  operation.ports = {
      {"image", PortDirection::in, PortKind::image, true, "The ground: a gradient, a distance, the values themselves"},
      {"markers", PortDirection::in, PortKind::labels, false, "Where each label's water comes from; 0: nowhere"},
      {"mask", PortDirection::in, PortKind::labels, false, "Water runs only where it is not 0"},
      {"labels", PortDirection::out, PortKind::labels, true, "The basins, of the markers' type; of minima uint32"}};
  operation.parameters = {
      Parameter::choice("basins", {"low", "high"}, "Where the ground is low, or where values are high")
          .by_default("low"),
      depth_parameter(),
      connectivity_parameter(),
  };
  operation.load = [](const Request& request) { return std::make_unique<WatershedWork>(request); };
  return operation;
}

Operation image_minima() {
  Operation operation;
  operation.name = "image.minima";
  operation.summary = "Numbers the regional minima of a volume, or its maxima";
  operation.notes = {
      "A minimum: touching voxels of one value of which no neighbour is lower. With a depth: one of the image whose "
      "pits not deeper than it are filled (h-minima), numbers in raster order."};
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::image, true, "The volume"},
                     {"labels", PortDirection::out, PortKind::labels, true, "Numbers from 1 on, else 0; uint32"}};
  operation.parameters = {
      Parameter::choice("kind", {"minima", "maxima"}, "What is numbered").by_default("minima"),
      depth_parameter(),
      connectivity_parameter(),
  };
  operation.load = [](const Request& request) { return std::make_unique<NumberMinimaWork>(request); };
  return operation;
}

Operation image_reconstruct() {
  Operation operation;
  operation.name = "image.reconstruct";
  operation.summary = "Grey-scale reconstruction of a volume from a marker, or without its shallow pits";
  operation.notes = {
      "by erosion: the marker sinks, neighbour by neighbour, but not below the image. by dilation: it rises, but not "
      "above. Where the marker begins on the other side of the image it counts as the image.",
      "With a depth in place of a marker: pits not deeper than it are filled (dilation: peaks cut off): the h-minima "
      "transform.",
      "Exact. Values that are not numbers are refused."};
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::image, true, "The volume"},
                     {"marker", PortDirection::in, PortKind::image, false, "Of the same type, on the same grid"},
                     {"result", PortDirection::out, PortKind::image, true, "Of the same type, on the same grid"}};
  operation.parameters = {
      Parameter::choice("by", {"erosion", "dilation"}, "The marker sinks, or rises").by_default("erosion"),
      Parameter::real("depth", "", "In place of a marker: that of pits to be filled").at_least(0).or_else("a marker"),
      connectivity_parameter(),
  };
  operation.load = [](const Request& request) { return std::make_unique<ReconstructWork>(request); };
  return operation;
}

}  // namespace kiban::engine
