#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "engine/operations/report_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxels_port.hpp"
#include "io/output_file.hpp"
#include "kernels/image/label_statistics.hpp"
#include "kernels/image/surface.hpp"

namespace kiban::engine {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// What is known of a label in both maps.
struct Overlap {
  std::int64_t voxels = 0, reference_voxels = 0, common_voxels = 0;
  image::VoxelBox box;
};

void join(Overlap& overlap, const image::LabelStatistics& found) {
  const bool is_first = overlap.voxels == 0 && overlap.reference_voxels == 0;
  for (std::size_t a = 0; a < 3; ++a) {
    overlap.box.first[a] = is_first ? found.first[a] : std::min(overlap.box.first[a], found.first[a]);
    overlap.box.last[a] = is_first ? found.last[a] : std::max(overlap.box.last[a], found.last[a]);
  }
}

double ratio(double of, double to) { return to != 0 ? of / to : kNone; }

void add_surfaces(nlohmann::json& json, const image::SurfacePair& pair, double percentile, double tolerance_mm) {
  const image::SurfaceDistances &to = pair.of_labels, &from = pair.of_reference;
  const double area = to.total_area() + from.total_area();
  const auto both = [](double one, double other) {
    return std::isnan(one) || std::isnan(other) ? kNone : std::max(one, other);
  };
  json["hd_mm"] = both(to.percentile(100), from.percentile(100));
  json["hd_perc_mm"] = both(to.percentile(percentile), from.percentile(percentile));
  json["assd_mm"] = (to.mean() * to.total_area() + from.mean() * from.total_area()) / area;
  json["masd_mm"] = (to.mean() + from.mean()) / 2;
  json["mean_to_reference_mm"] = to.mean();
  json["mean_from_reference_mm"] = from.mean();
  json["nsd"] = (to.area_within(tolerance_mm) + from.area_within(tolerance_mm)) / area;
}

class MetricsWork : public Work {
 public:
  explicit MetricsWork(const Request& request)
      : request_(request), labels_(request, "labels"), reference_(request, "reference") {
    require_same_grid(labels_, reference_);
  }

  Plan plan(Device device) const override {
    const auto voxels = static_cast<std::size_t>(labels_.voxels());
    Plan plan;
    plan.updates = labels_.voxels();
    plan.host_bytes = labels_.host_bytes() + reference_.host_bytes();
    // Of a label that fills the volume: codes twice, a mask, distances; or the labels that are equal.
    plan.device_bytes = labels_.device_bytes(device) + reference_.device_bytes(device) + 8 * voxels;
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    report_.emplace(request_, "report");
    progress.enter("read");
    const ConstVoxelSpan labels = labels_.all(stream), reference = reference_.all(stream);
    progress.enter("compute");
    const std::map<std::uint32_t, Overlap> overlaps = overlaps_of(stream, labels, reference);
    nlohmann::json all = nlohmann::json::array();
    double sum = 0;
    for (const auto& [label, overlap] : overlaps) {
      progress.report(static_cast<double>(all.size()) / static_cast<double>(overlaps.size()));
      nlohmann::json json = json_of(label, overlap);
      add_surfaces(json,
                   image::surface_distances(stream, labels, reference, label, overlap.box, labels_.grid().spacing),
                   request_.parameters.real("percentile"), request_.parameters.real("tolerance-mm"));
      sum += json["dsc"].get<double>();
      all.push_back(std::move(json));
    }
    findings_ = {{"labels", static_cast<double>(overlaps.size()), ""}};
    if (!overlaps.empty()) findings_.push_back({"mean dsc", sum / static_cast<double>(overlaps.size()), ""});
    report_->put({{"labels", std::move(all)},
                  {"percentile", request_.parameters.real("percentile")},
                  {"tolerance_mm", request_.parameters.real("tolerance-mm")}});
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({report_->finish()});
    report_->hand_over();
  }

  std::vector<Finding> findings() const override { return findings_; }

 private:
  static std::map<std::uint32_t, Overlap> overlaps_of(Stream& stream, const ConstVoxelSpan& labels,
                                                      const ConstVoxelSpan& reference) {
    std::map<std::uint32_t, Overlap> overlaps;
    for (const image::LabelStatistics& found : image::label_statistics(stream, labels)) {
      join(overlaps[found.label], found);
      overlaps[found.label].voxels = found.voxels;
    }
    for (const image::LabelStatistics& found : image::label_statistics(stream, reference)) {
      join(overlaps[found.label], found);
      overlaps[found.label].reference_voxels = found.voxels;
    }
    VoxelArray equal(labels.type(), labels.shape(), stream.device());
    image::keep_equal(stream, labels, reference, equal.span());
    for (const image::LabelStatistics& found : image::label_statistics(stream, std::as_const(equal).span()))
      overlaps[found.label].common_voxels = found.voxels;
    return overlaps;
  }

  nlohmann::json json_of(std::uint32_t label, const Overlap& overlap) const {
    const Vec3& spacing = labels_.grid().spacing;
    const double voxel_ml = spacing[0] * spacing[1] * spacing[2] / 1000;
    const auto voxels = static_cast<double>(overlap.voxels), reference = static_cast<double>(overlap.reference_voxels),
               common = static_cast<double>(overlap.common_voxels);
    return {{"label", label},
            {"voxels", overlap.voxels},
            {"reference_voxels", overlap.reference_voxels},
            {"volume_ml", voxels * voxel_ml},
            {"reference_volume_ml", reference * voxel_ml},
            {"volume_difference_ml", (voxels - reference) * voxel_ml},
            {"avdr", ratio(std::abs(voxels - reference), reference)},
            {"dsc", ratio(2 * common, voxels + reference)},
            {"iou", ratio(common, voxels + reference - common)}};
  }

  Request request_;
  VoxelSource labels_, reference_;
  std::optional<ReportSink> report_;
  std::vector<Finding> findings_;
};

}  // namespace

Operation image_metrics() {
  Operation operation;
  operation.name = "image.metrics";
  operation.summary =
      "How well a label map agrees with a reference: overlap and distances between surfaces, label by label";
  operation.notes = {
      "For each label but 0 that either map has, by the names of MetricsReloaded: dsc (Dice), iou (Jaccard), avdr (the "
      "volume difference over the reference's volume), hd_mm and hd_perc_mm (Hausdorff distance: the largest, and that "
      "within which percentile of the surface lies, of both directions the larger), assd_mm (mean over both surfaces), "
      "masd_mm (mean of the two means), mean_to_reference_mm and mean_from_reference_mm, nsd (the part of both "
      "surfaces within tolerance-mm of the other); and volumes in mL. null where a label is missing in one map and "
      "nothing can be measured.",
      "Surfaces are weighted by area, as DeepMind's surface-distance has it: elements of marching cubes at the corners "
      "of voxels (arXiv:1809.04430). What lies outside of the volume belongs to no label.",
      "On the command line --json without report has the document in its output."};
  operation.update = "voxel";
  operation.ports = {
      {"labels", PortDirection::in, PortKind::labels, true, "The mask or label map that is judged"},
      {"reference", PortDirection::in, PortKind::labels, true, "What it is compared with, on the same grid"},
      {"report", PortDirection::out, PortKind::report, false, "A JSON file: {\"labels\": [...]}"},
  };
  operation.parameters = {
      Parameter::real("percentile", "%", "Of the surface, for hd_perc_mm").by_default(95.0).above(0).at_most(100),
      Parameter::real("tolerance-mm", "mm", "For nsd").by_default(1.0).at_least(0),
  };
  operation.load = [](const Request& request) { return std::make_unique<MetricsWork>(request); };
  return operation;
}

}  // namespace kiban::engine
