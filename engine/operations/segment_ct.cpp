#include <fmt/format.h>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/operations/grid_parameters.hpp"
#include "engine/operations/report_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxels_port.hpp"
#include "io/image/label_preview.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/image/label_statistics.hpp"
#include "kernels/image/resample.hpp"
#include "kernels/segment/body.hpp"
#include "kernels/segment/lungs.hpp"

namespace kiban::engine {
namespace {

/// One ready-made segmentation: which labels it makes, and how. It returns why it found nothing.
struct Segmentation {
  std::vector<std::string> labels;  ///< names of 1, 2, ...
  std::function<std::string(Stream&, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> labels)>
      segment;
};

/// Soft tissue grey, lung nearly black, bone white.
constexpr float kBlackHu = -1000, kWhiteHu = 400;

class SegmentWork : public Work {
 public:
  SegmentWork(const Request& request, Segmentation segmentation)
      : request_(request),
        segmentation_(std::move(segmentation)),
        image_(request, "image", VoxelUse::values),
        axial_(oriented(image_.grid(), "LPS")) {
    if (request.uses("preview")) io::require_preview_name(request.path("preview"));
  }

  Plan plan(Device device) const override {
    const auto voxels = static_cast<std::size_t>(image_.voxels());
    const std::size_t turned = voxels * static_cast<std::size_t>(bytes_of(image_.type()) + 2);
    Plan plan;
    plan.updates = image_.voxels();
    plan.host_bytes = image_.host_bytes() + turned;  // of a GPU's: to draw them
    // Masks, distances and their lists, pieces' numbers, words of a watershed.
    plan.device_bytes = image_.device_bytes(device) + turned + 24 * voxels;
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    output_.emplace(request_, "labels", image_.grid(), VoxelType::uint8, stream);
    report_.emplace(request_, "report");
    if (request_.uses("preview")) preview_.emplace(request_.path("preview"));
    progress.enter("read");
    const ConstVoxelSpan given = image_.all(stream);
    progress.enter("compute");
    VoxelArray hu(given.type(), axial_.shape, stream.device());
    turn(stream, image_.grid(), given, axial_, hu.span());
    Array<std::uint8_t, 3> labels(axial_.shape, stream.device());
    try {
      const std::string why_empty =
          segmentation_.segment(stream, std::as_const(hu).span(), axial_.spacing, labels.span());
      put_report(why_empty, image::label_statistics(stream, ConstVoxelSpan(labels.span()), std::as_const(hu).span()));
    } catch (const Error& error) {
      throw Error(error.code(), image_.name() + ": " + error.what());
    }
    turn(stream, axial_, ConstVoxelSpan(labels.span()), image_.grid(), output_->room_of(VoxelType::uint8));
    if (preview_) draw(stream, hu, labels);
    output_->put(progress);
  }

  void store(Progress& progress) override {
    progress.enter("write");
    if (preview_) io::write_png(preview_->temporary_path(), picture_);
    io::commit_together({output_->finish(progress), report_->finish(), preview_ ? &*preview_ : nullptr});
    output_->hand_over();
    report_->hand_over();
  }

  std::vector<Finding> findings() const override { return findings_; }

 private:
  static void turn(Stream& stream, const Grid& from, const ConstVoxelSpan& voxels, const Grid& to,
                   const VoxelSpan& turned) {
    image::ResampleRule rule;
    rule.interpolation = image::Interpolation::nearest;
    image::resample(stream, voxels, image::sampling(from, to), rule, turned);
  }

  void put_report(const std::string& why_empty, const std::vector<image::LabelStatistics>& found) {
    const double voxel_ml = axial_.spacing[0] * axial_.spacing[1] * axial_.spacing[2] / 1000;
    nlohmann::json all = nlohmann::json::array();
    for (std::size_t k = 0; k < segmentation_.labels.size(); ++k) {
      image::LabelStatistics of;
      for (const image::LabelStatistics& one : found)
        if (one.label == k + 1) of = one;
      const double ml = static_cast<double>(of.voxels) * voxel_ml;
      nlohmann::json json = {
          {"label", k + 1}, {"name", segmentation_.labels[k]}, {"voxels", of.voxels}, {"volume_ml", ml}};
      json["mean_hu"] = of.voxels > 0 ? nlohmann::json(of.mean) : nlohmann::json();
      all.push_back(std::move(json));
      findings_.push_back({segmentation_.labels[k], ml, "mL"});
    }
    report_->put({{"labels", std::move(all)},
                  {"why_empty", why_empty.empty() ? nlohmann::json() : nlohmann::json(why_empty)},
                  {"notice", "research use, not for diagnosis"}});
  }

  void draw(Stream& stream, const VoxelArray& hu, const Array<std::uint8_t, 3>& labels) {
    VoxelArray hu_here(hu.type(), hu.shape());
    Array<std::uint8_t, 3> labels_here(labels.shape());
    copy(stream, hu.span(), hu_here.span());
    copy(stream, labels.span(), labels_here.span());
    stream.synchronize();
    picture_ = io::render_labels(axial_.spacing, std::as_const(hu_here).span(), std::as_const(labels_here).span(),
                                 {kBlackHu, kWhiteHu});
  }

  Request request_;
  Segmentation segmentation_;
  VoxelSource image_;
  Grid axial_;
  std::optional<VoxelSink> output_;
  std::optional<ReportSink> report_;
  std::optional<io::OutputFile> preview_;
  io::Picture picture_;
  std::vector<Finding> findings_;
};

constexpr const char* kInput =
    "The image is a CT in HU, with its place in the patient (LPS, as files of every format give it); its axes may run "
    "in "
    "any order and sense, or be oblique by less than some 20 degrees. What is not a number is neither tissue nor lung.";
constexpr const char* kOutput =
    "Where there is nothing to find the map is empty, and the report says why (why_empty); mean_hu is null where a "
    "voxel is not a number. The preview shows the "
    "labels "
    "over the image in three slices. Research use, not for diagnosis.";

Operation segmentation(const std::string& labels, Segmentation segmentation) {
  Operation operation;
  operation.update = "voxel";
  operation.ports = {
      {"image", PortDirection::in, PortKind::image, true, "A CT in HU"},
      {"labels", PortDirection::out, PortKind::labels, true, labels + "; uint8, on the image's grid"},
      {"report", PortDirection::out, PortKind::report, false, "A JSON file: volumes in mL, mean HU, why it is empty"},
      {"preview", PortDirection::out, PortKind::preview, false, "A PNG: the labels over the image, three slices"}};
  operation.load = [segmentation = std::move(segmentation)](const Request& request) {
    return std::make_unique<SegmentWork>(request, segmentation);
  };
  return operation;
}

}  // namespace

Operation segment_body() {
  Operation operation = segmentation(
      "1 the patient", {{"body"},
                        [](Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm,
                           Span<std::uint8_t, 3> labels) -> std::string {
                          segment::body(stream, hu, spacing_mm, labels);
                          const bool is_empty = image::label_statistics(stream, ConstVoxelSpan(labels)).empty();
                          return is_empty ? "there is no tissue above -400 HU that holds a ball of 10 mm" : "";
                        }});
  operation.name = "segment.body";
  operation.summary = "The patient in a CT, without table and clothing";
  operation.notes = {
      "Tissue above -400 HU that holds a ball of 10 mm radius, opened by a ball of 4 mm, with all that it encloses in "
      "an "
      "axial slice: lungs and bowel gas too.",
      kInput,
      "It fails where a table touches the skin over an area, on parts thinner than 8 mm (ears, fingers), takes air "
      "that "
      "an arm and the trunk enclose for the patient's, and mattresses and blankets denser than -400 HU.",
      kOutput};
  return operation;
}

Operation segment_lungs() {
  Operation operation =
      segmentation("1 left lung, 2 right lung, 3 trachea and main bronchi",
                   {{"left lung", "right lung", "trachea and main bronchi"},
                    [](Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> labels) {
                      return segment::lungs(stream, hu, spacing_mm, labels);
                    }});
  operation.name = "segment.lungs";
  operation.summary = "Left lung, right lung, and trachea with main bronchi in a CT";
  operation.notes = {
      "Air below -400 HU in the patient (as segment.body finds it), in pieces of 20 mL and more of which at most 35 % "
      "lie "
      "below -940 HU: that is gas, as in bowel and stomach. Airways: the largest upright tube below -920 HU near the "
      "middle, above the middle of the lungs, and wider than 4 mm, which lobar bronchi may be. Lungs are closed over "
      "vessels by a ball of 5 mm, and "
      "parted where they are narrowest if they are one piece.",
      kInput,
      "It fails in emphysema of more than a third of a lung (taken for gas), leaves out consolidated or collapsed lung "
      "and masses, pieces of less than 20 mL, and takes sides for granted in a patient who lies on one.",
      kOutput};
  return operation;
}

}  // namespace kiban::engine
