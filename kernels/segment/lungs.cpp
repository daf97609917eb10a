#include "kernels/segment/lungs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/image/distance.hpp"
#include "kernels/image/mask.hpp"
#include "kernels/image/morphology.hpp"
#include "kernels/image/watershed.hpp"
#include "kernels/segment/body.hpp"
#include "kernels/segment/pieces.hpp"

namespace kiban::segment {
namespace {

using image::LabelStatistics;
using image::MorphologyStep;
using image::Where;

constexpr double kNowhere = -std::numeric_limits<double>::infinity();
/// A piece of lung: so large, and with not more gas.
constexpr double kPieceMl = 20, kMostGas = 0.35;
/// The bore of the airways: gas wider than twice the radius; and how a trachea looks.
constexpr double kBoreHu = -920, kBoreRadiusMm = 2, kLeastBoreMl = 2, kLeastLengthMm = 25, kMostAreaMm2 = 700,
                 kFromMiddle = 0.2, kWallMm = 3;
/// Lungs close over vessels so thick. What the airways leave of pieces smaller than this is their wall.
constexpr double kVesselMm = 5, kCrumbMl = 5;
/// Lungs that are one piece: shrunk by so much at a time until there are two, each with this part of what is left.
constexpr double kShrinkMm = 2, kMostShrinkMm = 30, kLeastHalf = 0.2;

class Lungs {
 public:
  Lungs(Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> labels)
      : stream_(stream), hu_(hu), spacing_mm_(spacing_mm), labels_(labels), body_(hu.shape(), stream.device()) {}

  /// Returns why there are none.
  std::string find() {
    std::string why_none = find_in_body();
    if (!why_none.empty()) zero(stream_, labels_);
    stream_.synchronize();
    return why_none;
  }

 private:
  std::string find_in_body() {
    body(stream_, hu_, spacing_mm_, body_.span());
    const std::vector<LabelStatistics> of_body = image::label_statistics(stream_, ConstVoxelSpan(body_.span()));
    if (of_body.empty()) return "there is no patient in the volume: no tissue above -400 HU that holds a ball of 10 mm";
    middle_ = of_body.front().centroid[0];
    width_ = static_cast<double>(of_body.front().last[0] - of_body.front().first[0] + 1);
    if (std::string why = find_air(); !why.empty()) return why;
    find_airways();
    image::fill_where(stream_, std::as_const(airways_).span(), Where::not_zero, 0, labels_);
    part();
    close_over_vessels();
    image::fill_where(stream_, std::as_const(airways_).span(), Where::not_zero, kAirways, labels_);
    return "";
  }

  double mm(double voxels, std::size_t axis) const { return voxels * spacing_mm_[axis]; }
  Mask mask() const { return Mask(hu_.shape(), stream_.device()); }

  /// `labels_` becomes 1 where there is lung, airways within it included.
  std::string find_air() {
    mark_between(stream_, hu_, kNowhere, kTissueHu, labels_);
    image::fill_where(stream_, std::as_const(body_).span(), Where::zero, 0, labels_);
    if (number_pieces(stream_, labels_, voxels_of(kPieceMl, spacing_mm_)) == 0)
      return "no air in the patient of 20 mL or more: the lungs lie outside of the volume, or are consolidated";
    Mask gas = mask();
    mark_between(stream_, hu_, kNowhere, kGasHu, gas.span());
    std::vector<std::uint32_t> is_lung;
    for (const LabelStatistics& piece :
         image::label_statistics(stream_, ConstVoxelSpan(labels_), ConstVoxelSpan(gas.span())))
      is_lung.push_back(piece.mean <= kMostGas ? 1 : 0);
    const auto pieces = std::ranges::count(is_lung, 1U);
    if (pieces == 0)
      return "all air in the patient is gas, more than 35 % of it below -940 HU, as in bowel and stomach: the lungs "
             "lie "
             "outside of the volume, or are emphysematous throughout";
    repaint(stream_, labels_, is_lung);
    return "";
  }

  /// `airways_` = 1 in trachea and main bronchi, if they are there.
  void find_airways() {
    airways_ = mask();
    zero(stream_, airways_.span());
    const LabelStatistics lungs = image::label_statistics(stream_, ConstVoxelSpan(labels_)).front();
    Mask bore = mask(), opened = mask();
    mark_between(stream_, hu_, kNowhere, kBoreHu, bore.span());
    image::fill_where(stream_, std::as_const(body_).span(), Where::zero, 0, bore.span());
    image::ball_morphology(stream_, ConstVoxelSpan(bore.span()), spacing_mm_, kBoreRadiusMm, MorphologyStep::open,
                           VoxelSpan(opened.span()));
    if (number_pieces(stream_, opened.span(), voxels_of(kLeastBoreMl, spacing_mm_)) == 0) return;
    const std::vector<LabelStatistics> pieces = image::label_statistics(stream_, ConstVoxelSpan(opened.span()));
    const LabelStatistics* found = nullptr;
    for (const LabelStatistics& piece : pieces)
      if (is_upright_tube(piece, lungs) && (found == nullptr || piece.voxels > found->voxels)) found = &piece;
    if (found == nullptr) return;
    std::vector<std::uint32_t> keep(pieces.size());
    keep[found->label - 1] = 1;
    repaint(stream_, opened.span(), keep);
    // Out to the wall, whose voxels hold part air.
    image::ball_morphology(stream_, ConstVoxelSpan(opened.span()), spacing_mm_, kWallMm, MorphologyStep::dilate,
                           VoxelSpan(airways_.span()));
    mark_between(stream_, hu_, kNowhere, kTissueHu, bore.span());
    image::fill_where(stream_, std::as_const(bore).span(), Where::zero, 0, airways_.span());
    image::fill_where(stream_, std::as_const(body_).span(), Where::zero, 0, airways_.span());
    // Not what lies beyond the wall.
    const image::Components reached(stream_, ConstVoxelSpan(airways_.span()), image::Connectivity::faces);
    reached.paint(stream_, reached.marked(stream_, std::as_const(opened).span()), VoxelSpan(airways_.span()));
  }

  bool is_upright_tube(const LabelStatistics& piece, const LabelStatistics& lungs) const {
    const double length = mm(static_cast<double>(piece.last[2] - piece.first[2] + 1), 2);
    const double area = static_cast<double>(piece.voxels) * spacing_mm_[0] * spacing_mm_[1] * spacing_mm_[2] / length;
    return length >= kLeastLengthMm && area <= kMostAreaMm2 && piece.centroid[2] > lungs.centroid[2] &&
           std::abs(piece.centroid[0] - middle_) <= kFromMiddle * width_;
  }

  /// Left and right from one mask: by the side of the body that a piece lies on, a single large piece cut in two.
  void part() {
    number_pieces(stream_, labels_, voxels_of(kCrumbMl, spacing_mm_));
    std::vector<LabelStatistics> pieces = image::label_statistics(stream_, ConstVoxelSpan(labels_));
    if (pieces.empty()) return;
    const auto larger = [](const LabelStatistics& a, const LabelStatistics& b) { return a.voxels < b.voxels; };
    const LabelStatistics& largest = *std::ranges::max_element(pieces, larger);
    std::int64_t rest = 0;
    for (const LabelStatistics& piece : pieces) rest += piece.voxels;
    rest -= largest.voxels;
    if (rest < largest.voxels / 4 && cut(static_cast<std::uint8_t>(largest.label)))
      pieces = image::label_statistics(stream_, ConstVoxelSpan(labels_));
    std::vector<std::uint32_t> side(256);
    for (const LabelStatistics& piece : pieces)
      side[piece.label - 1] = piece.centroid[0] > middle_ ? kLeftLung : kRightLung;
    repaint(stream_, labels_, side);
  }

  /// Cuts the piece of that number where it is narrowest between two large parts; one of them becomes a new number.
  /// False: it has no such parts.
  bool cut(std::uint8_t number) {
    Mask piece = mask(), markers = mask();
    mark_between(stream_, ConstVoxelSpan(labels_), number, number + 1, piece.span());
    Array<float, 3> depth(hu_.shape(), stream_.device());
    image::distance(stream_, ConstVoxelSpan(piece.span()), spacing_mm_, {false, false}, depth.span());
    for (double shrunk = kShrinkMm; shrunk <= kMostShrinkMm; shrunk += kShrinkMm) {
      mark_between(stream_, ConstVoxelSpan(depth.span()), shrunk, std::numeric_limits<double>::infinity(),
                   markers.span());
      std::int64_t left = 0;
      for (const LabelStatistics& of : image::label_statistics(stream_, ConstVoxelSpan(markers.span())))
        left = of.voxels;
      const auto least = static_cast<std::int64_t>(kLeastHalf * static_cast<double>(left)) + 1;
      if (number_pieces(stream_, markers.span(), least) < 2) continue;
      Mask halves = mask();
      image::watershed(stream_, ConstVoxelSpan(depth.span()), ConstVoxelSpan(markers.span()),
                       std::as_const(piece).span(), image::Connectivity::faces, image::Extreme::largest,
                       VoxelSpan(halves.span()));
      const std::uint8_t unused = unused_number(number);
      mark_between(stream_, ConstVoxelSpan(halves.span()), 1, 2, markers.span());
      image::fill_where(stream_, std::as_const(markers).span(), Where::not_zero, unused, labels_);
      return true;
    }
    return false;
  }

  std::uint8_t unused_number(std::uint8_t taken) {
    std::vector<bool> used(256);
    used[taken] = true;
    for (const LabelStatistics& piece : image::label_statistics(stream_, ConstVoxelSpan(labels_)))
      used[piece.label] = true;
    const auto found = std::find(used.begin() + 1, used.end(), false);
    return found == used.end() ? taken : static_cast<std::uint8_t>(found - used.begin());
  }

  void close_over_vessels() {
    Mask closed = mask();
    image::ball_morphology(stream_, ConstVoxelSpan(labels_), spacing_mm_, kVesselMm, MorphologyStep::close,
                           VoxelSpan(closed.span()));
    image::fill_where(stream_, std::as_const(body_).span(), Where::zero, 0, closed.span());
    const image::Components holes(stream_, ConstVoxelSpan(closed.span()), image::Connectivity::faces,
                                  image::Joined::background);
    std::vector<std::uint32_t> values;
    for (const image::ComponentMeasure& hole : holes.measure(stream_))
      values.push_back(!hole.touches_border && hole.least_label == hole.largest_label ? hole.least_label : 0);
    holes.paint(stream_, values, VoxelSpan(labels_));
  }

  Stream& stream_;
  ConstVoxelSpan hu_;
  Vec3 spacing_mm_;
  Span<std::uint8_t, 3> labels_;
  Mask body_, airways_;
  double middle_ = 0, width_ = 0;  ///< of the body, along x
};

}  // namespace

std::string lungs(Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> labels) {
  if (hu.shape() != labels.shape()) throw Error(ErrorCode::internal, "labels of another shape than the image");
  if (hu.size() == 0) return "the volume has no voxels";
  return Lungs(stream, hu, spacing_mm, labels).find();
}

}  // namespace kiban::segment
