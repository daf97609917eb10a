#include <cmath>
#include <optional>

#include "engine/operations/report_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxels_port.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/label_statistics.hpp"

namespace kiban::engine {
namespace {

nlohmann::json json_of(const image::LabelStatistics& statistics, const Grid& grid, bool has_image) {
  const double voxel_mm3 = grid.spacing[0] * grid.spacing[1] * grid.spacing[2];
  const Vec3 centroid = grid.world({statistics.centroid[0], statistics.centroid[1], statistics.centroid[2]});
  nlohmann::json json = {{"label", statistics.label},
                         {"voxels", statistics.voxels},
                         {"volume_ml", static_cast<double>(statistics.voxels) * voxel_mm3 / 1000},
                         {"centroid_mm", {centroid[0], centroid[1], centroid[2]}},
                         {"first_index", statistics.first},
                         {"last_index", statistics.last}};
  if (!has_image) return json;
  json["mean"] = statistics.mean;
  json["standard_deviation"] = statistics.deviation;
  json["minimum"] = statistics.least;
  json["maximum"] = statistics.largest;
  return json;
}

class StatisticsWork : public Work {
 public:
  explicit StatisticsWork(const Request& request) : request_(request), labels_(request, "labels") {
    if (!request.uses("image")) return;
    image_.emplace(request, "image", VoxelUse::values);
    require_same_grid(*image_, labels_);
  }

  Plan plan(Device device) const override {
    constexpr std::size_t kTables = std::size_t{16} << 20;
    Plan plan;
    plan.updates = labels_.voxels();
    plan.host_bytes = labels_.host_bytes() + (image_ ? image_->host_bytes() : 0) + kTables;
    plan.device_bytes = labels_.device_bytes(device) + (image_ ? image_->device_bytes(device) : 0);
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    report_.emplace(request_, "report");
    progress.enter("read");
    const ConstVoxelSpan labels = labels_.all(stream);
    const ConstVoxelSpan image = image_ ? image_->all(stream) : ConstVoxelSpan();
    progress.enter("compute");
    nlohmann::json all = nlohmann::json::array();
    for (const image::LabelStatistics& of_label : image::label_statistics(stream, labels, image))
      all.push_back(json_of(of_label, labels_.grid(), image_.has_value()));
    report_->put({{"labels", std::move(all)}});
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({report_->finish()});
    report_->hand_over();
  }

 private:
  Request request_;
  VoxelSource labels_;
  std::optional<VoxelSource> image_;
  std::optional<ReportSink> report_;
};

}  // namespace

Operation image_statistics() {
  Operation operation;
  operation.name = "image.statistics";
  operation.summary = "Volume, place and values of each label of a label map, as JSON";
  operation.notes = {
      "For each label but 0, in ascending order: voxels, volume_ml, centroid_mm (x, y, z in the frame of the volume), "
      "first_index and last_index (x, y, z: the box that holds it); with an image also mean, standard_deviation (root "
      "of "
      "the mean square from the mean, over all its voxels), minimum and maximum. What is not a number in the image "
      "makes "
      "these null for its label.",
      "Sums do not depend on the number of threads."};
  operation.update = "voxel";
  operation.ports = {
      {"labels", PortDirection::in, PortKind::labels, true, "The mask or label map; 0 is the background"},
      {"image", PortDirection::in, PortKind::image, false, "The volume whose values are measured, on the same grid"},
      {"report", PortDirection::out, PortKind::report, true, "A JSON file: {\"labels\": [...]}"},
  };
  operation.load = [](const Request& request) { return std::make_unique<StatisticsWork>(request); };
  return operation;
}

}  // namespace kiban::engine
