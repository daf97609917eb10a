#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "engine/operations/components_parameters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/voxel_work.hpp"
#include "kernels/image/components.hpp"

namespace kiban::engine {
namespace {

using image::ComponentMeasure;

/// Of each label the `most` largest components stay, of equal ones the first.
void keep_largest(const std::vector<ComponentMeasure>& measures, std::int64_t most,
                  std::vector<std::uint32_t>& label_of) {
  std::vector<std::size_t> order(measures.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return measures[a].voxels > measures[b].voxels; });
  std::map<std::uint32_t, std::int64_t> kept;
  for (const std::size_t k : order)
    if (label_of[k] != 0 && ++kept[label_of[k]] > most) label_of[k] = 0;
}

class CleanWork : public VoxelWork {
 public:
  explicit CleanWork(const Request& request)
      : VoxelWork(request, VoxelUse::labels, "labels", std::nullopt),
        connectivity_(connectivity_of(request.parameters)) {
    const Vec3& spacing = input().grid().spacing;
    voxel_mm3_ = spacing[0] * spacing[1] * spacing[2];
  }

  std::vector<Finding> findings() const override {
    return {{"components kept", static_cast<double>(kept_), ""},
            {"components dropped", static_cast<double>(dropped_), ""},
            {"volume dropped", dropped_mm3_ / 1000, "mL"},
            {"holes filled", static_cast<double>(holes_), ""},
            {"volume filled", filled_mm3_ / 1000, "mL"}};
  }

 private:
  std::size_t workspace_bytes(Device) const override {
    return static_cast<std::size_t>(input().voxels()) * sizeof(std::uint32_t);
  }

  void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) override {
    const VoxelSpan cleaned = output.room_of(image.type());
    drop_components(stream, image, cleaned);
    if (parameters().flag("fill-holes")) fill_holes(stream, cleaned);
  }

  void drop_components(Stream& stream, const ConstVoxelSpan& labels, const VoxelSpan& cleaned) {
    const image::Components components(stream, labels, connectivity_);
    const std::vector<ComponentMeasure> measures = components.measure(stream);
    std::vector<std::uint32_t> label_of(measures.size());
    const double least_mm3 = parameters().real("smaller-than-mm3");
    for (std::size_t k = 0; k < measures.size(); ++k)
      label_of[k] = mm3(measures[k]) < least_mm3 ? 0 : measures[k].label;
    if (const std::int64_t most = parameters().integer("largest"); most > 0) keep_largest(measures, most, label_of);
    for (std::size_t k = 0; k < measures.size(); ++k) {
      (label_of[k] ? kept_ : dropped_) += 1;
      if (!label_of[k]) dropped_mm3_ += mm3(measures[k]);
    }
    components.paint(stream, label_of, cleaned);
  }

  /// What joins the background is what cannot part the labels: faces where labels touch across edges or corners.
  void fill_holes(Stream& stream, const VoxelSpan& cleaned) {
    const image::Connectivity of_holes =
        connectivity_ == image::Connectivity::faces ? image::Connectivity::corners : image::Connectivity::faces;
    const image::Components holes(stream, cleaned, of_holes, image::Joined::background);
    const std::vector<ComponentMeasure> measures = holes.measure(stream);
    std::vector<std::uint32_t> label_of(measures.size(), 0);
    for (std::size_t k = 0; k < measures.size(); ++k) {
      const ComponentMeasure& hole = measures[k];
      if (hole.touches_border || hole.least_label != hole.largest_label) continue;
      label_of[k] = hole.least_label;
      ++holes_;
      filled_mm3_ += mm3(hole);
    }
    holes.paint(stream, label_of, cleaned);
  }

  double mm3(const ComponentMeasure& measure) const { return static_cast<double>(measure.voxels) * voxel_mm3_; }

  image::Connectivity connectivity_;
  double voxel_mm3_ = 1;
  std::int64_t kept_ = 0, dropped_ = 0, holes_ = 0;
  double dropped_mm3_ = 0, filled_mm3_ = 0;
};

}  // namespace

Operation image_clean() {
  Operation operation;
  operation.name = "image.clean";
  operation.summary = "Drops specks from a mask or a label map, keeps the largest components, and fills holes";
  operation.notes = {
      "First components smaller than smaller-than-mm3 go, then of each label all but the largest ones (of equal ones "
      "the first in the file stays), then holes are filled: parts of the background that do not reach the border of "
      "the "
      "volume. A hole takes the label around it, and stays where several labels are around it. Along an axis of one "
      "voxel there is no border: a single slice is filled as a picture.",
      "Holes are joined across faces; with connectivity 6 across corners too, since labels that touch at corners only "
      "then do not close them in."};
  operation.update = "voxel";
  operation.ports = {
      {"image", PortDirection::in, PortKind::labels, true, "The mask or label map; 0 is the background"},
      {"labels", PortDirection::out, PortKind::labels, true, "What is left of it, of the same type on the same grid"},
  };
  operation.parameters = {
      connectivity_parameter(),
      Parameter::integer("largest", "", "Components that stay of each label; 0: all")
          .by_default(std::int64_t{0})
          .at_least(0),
      Parameter::real("smaller-than-mm3", "mm3", "Components below this volume are dropped")
          .by_default(0.0)
          .at_least(0),
      Parameter::flag("fill-holes", "Fill holes with the label around them"),
  };
  operation.load = [](const Request& request) { return std::make_unique<CleanWork>(request); };
  return operation;
}

}  // namespace kiban::engine
