#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "engine/operations/components_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/components.hpp"
#include "kernels/image/threshold.hpp"

namespace kiban::engine {
namespace {

class ThresholdWork : public VoxelWork {
 public:
  explicit ThresholdWork(const Request& request)
      : VoxelWork(request, VoxelUse::values, "labels", VoxelType::uint8),
        low_(parameters().real("low")),
        high_(given("high")),
        sure_(given("sure")) {
    if (high_ && *high_ < low_) throw Error(ErrorCode::usage, "high is below low; give the smaller number to low");
    if (sure_ && *sure_ < low_) throw Error(ErrorCode::usage, "sure is below low; give the smaller number to low");
    if (sure_ && high_ && *sure_ > *high_)
      throw Error(ErrorCode::usage, "sure is above high, so that nothing would be; give a smaller number");
  }

 private:
  std::optional<double> given(const char* name) const {
    return parameters().has(name) ? std::optional(parameters().real(name)) : std::nullopt;
  }

  std::size_t workspace_bytes(Device) const override {
    return sure_ ? static_cast<std::size_t>(input().voxels()) * (1 + sizeof(std::uint32_t)) : 0;
  }

  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    const Span<std::uint8_t, 3> labels = output.room_of(VoxelType::uint8).as<std::uint8_t>();
    mark(stream, image, low_, labels);
    if (!sure_) return;
    Array<std::uint8_t, 3> sure(labels.shape(), labels.device());
    mark(stream, image, *sure_, sure.span());
    const image::Components components(stream, labels, connectivity_of(parameters()));
    components.paint(stream, components.marked(stream, sure.span()), labels);
  }

  /// 1 from `low` to `high`, 0 elsewhere. High itself belongs to the mask: the threshold is the next number.
  void mark(Stream& stream, const ConstVoxelSpan& image, double low, Span<std::uint8_t, 3> mask) const {
    std::vector<double> thresholds{low};
    if (high_) thresholds.push_back(std::nextafter(*high_, INFINITY));
    image::classify(stream, image, thresholds, mask, true);
  }

  double low_;
  std::optional<double> high_, sure_;
};

class OtsuWork : public VoxelWork {
 public:
  explicit OtsuWork(const Request& request) : VoxelWork(request, VoxelUse::values, "labels", VoxelType::uint8) {}

  std::vector<Finding> findings() const override {
    std::vector<Finding> found;
    for (std::size_t k = 0; k < thresholds_.size(); ++k)
      found.push_back({thresholds_.size() == 1 ? "threshold" : fmt::format("threshold {}", k + 1), thresholds_[k], ""});
    return found;
  }

 private:
  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    const image::Histogram histogram = image::histogram(stream, image, static_cast<int>(parameters().integer("bins")));
    thresholds_ = image::otsu_thresholds(histogram, static_cast<int>(parameters().integer("classes")));
    image::classify(stream, image, thresholds_, output.room_of(VoxelType::uint8).as<std::uint8_t>());
  }

  std::vector<double> thresholds_;
};

Operation with_ports(std::string name, std::string summary, const char* labels) {
  Operation operation;
  operation.name = std::move(name);
  operation.summary = std::move(summary);
  operation.update = "voxel";
  operation.ports = {{"image", PortDirection::in, PortKind::image, true, "The volume"},
                     {"labels", PortDirection::out, PortKind::labels, true, labels}};
  return operation;
}

}  // namespace

Operation image_threshold() {
  Operation operation = with_ports("image.threshold", "Marks the voxels whose values lie in a range",
                                   "1 where the value lies in the range, else 0; uint8, on the same grid");
  operation.notes = {
      "A voxel is marked if low <= value <= high; what is not a number is not. With sure (hysteresis, Canny 1986) a "
      "connected component of marked voxels stays only if a value in it is at least sure."};
  operation.parameters = {
      Parameter::real("low", "", "The least value that is marked").must_be_given(),
      Parameter::real("high", "", "The largest value that is marked").or_else("no bound"),
      Parameter::real("sure", "", "Keep only what is connected to a value of at least this").or_else("keep all"),
      connectivity_parameter(),
  };
  operation.load = [](const Request& request) { return std::make_unique<ThresholdWork>(request); };
  return operation;
}

Operation image_otsu() {
  Operation operation = with_ports("image.otsu", "Parts a volume into classes of values by Otsu's thresholds",
                                   "0 for the lowest class, 1 for the next, and so on; uint8, on the same grid");
  operation.notes = {
      "The thresholds make the sum of the classes' variances, weighted by their voxels, the least (Otsu 1979; for "
      "several "
      "Liao, Chen and Chung 2001). They are found in a histogram of all finite values: of integers whose range is "
      "below "
      "65,536 with a bin for each number, else of as many bins as are asked for. What is not a number is of class 0.",
      "The thresholds are findings of the run: a value from a threshold on is of the class above it."};
  operation.parameters = {
      Parameter::integer("classes", "", "Number of classes").by_default(std::int64_t{2}).at_least(2).at_most(16),
      Parameter::integer("bins", "", "Bins of the histogram of values that are not integers of a small range")
          .by_default(std::int64_t{256})
          .at_least(2)
          .at_most(65536),
  };
  operation.load = [](const Request& request) { return std::make_unique<OtsuWork>(request); };
  return operation;
}

}  // namespace kiban::engine
