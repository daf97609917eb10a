#include "kernels/segment/body.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/image/mask.hpp"
#include "kernels/image/morphology.hpp"
#include "kernels/segment/pieces.hpp"

namespace kiban::segment {
namespace {

using image::MorphologyStep;
using image::Where;

/// Thinner than twice the first goes away; what does not hold a ball of the second is no part of a patient.
constexpr double kThinMm = 4, kThickMm = 10;
/// Pieces of lung that the border of the volume cuts: so large, with so little gas, and little of what foam is.
constexpr double kCutLungMl = 100, kFoamHu = -900, kMostGas = 0.35, kMostFoam = 0.5;

/// Keeps the pieces of the mask that hold a ball of kThickMm.
void keep_thick(Stream& stream, const Vec3& spacing_mm, Span<std::uint8_t, 3> mask) {
  Mask deep(mask.shape(), stream.device());
  image::ball_morphology(stream, ConstVoxelSpan(mask), spacing_mm, kThickMm, MorphologyStep::erode,
                         VoxelSpan(deep.span()));
  const image::Components pieces(stream, ConstVoxelSpan(mask), image::Connectivity::faces);
  pieces.paint(stream, pieces.marked(stream, std::as_const(deep).span()), VoxelSpan(mask));
}

/// Mean of a mask over each number.
std::vector<image::LabelStatistics> parts_below(Stream& stream, const ConstVoxelSpan& hu, double below,
                                                Span<const std::uint8_t, 3> numbers, Span<std::uint8_t, 3> workspace) {
  mark_between(stream, hu, -std::numeric_limits<double>::infinity(), below, workspace);
  return image::label_statistics(stream, ConstVoxelSpan(numbers), ConstVoxelSpan(workspace));
}

/// Air outside of the body that is lung, cut by a side of the volume, joins it.
void add_cut_lungs(Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> body) {
  Mask air(hu.shape(), stream.device()), workspace(hu.shape(), stream.device());
  mark_between(stream, hu, -std::numeric_limits<double>::infinity(), kTissueHu, air.span());
  image::fill_where(stream, body, Where::not_zero, 0, air.span());
  if (number_pieces(stream, air.span(), voxels_of(kCutLungMl, spacing_mm)) == 0) return;
  const auto foam = parts_below(stream, hu, kFoamHu, std::as_const(air).span(), workspace.span());
  const auto gas = parts_below(stream, hu, kGasHu, std::as_const(air).span(), workspace.span());
  std::vector<std::uint32_t> is_lung;
  for (std::size_t k = 0; k < gas.size(); ++k) {
    bool is_cut = false;
    for (std::size_t a = 0; a < 2; ++a)
      is_cut = is_cut || gas[k].first[a] == 0 || gas[k].last[a] == hu.extent(2 - static_cast<int>(a)) - 1;
    is_lung.push_back(is_cut && gas[k].mean <= kMostGas && foam[k].mean <= kMostFoam ? 1 : 0);
  }
  if (std::ranges::count(is_lung, 1U) == 0) return;
  repaint(stream, air.span(), is_lung);
  image::fill_where(stream, std::as_const(air).span(), Where::not_zero, 1, body);
  fill_slices(stream, body);
  // Vessels at the cut, too thin to stay when the mask was opened: what touches no air that is left.
  mark_between(stream, hu, kTissueHu, std::numeric_limits<double>::infinity(), workspace.span());
  zero(stream, air.span());
  image::fill_where(stream, std::as_const(workspace).span(), Where::zero, 1, air.span());
  const image::Components rest(stream, ConstVoxelSpan(body), image::Connectivity::faces, image::Joined::background);
  std::vector<std::uint32_t> joins = rest.marked(stream, std::as_const(air).span());
  for (std::uint32_t& value : joins) value = value == 0 ? 1 : 0;
  rest.paint(stream, joins, VoxelSpan(body));
}

}  // namespace

void body(Stream& stream, const ConstVoxelSpan& hu, const Vec3& spacing_mm, Span<std::uint8_t, 3> body) {
  if (hu.shape() != body.shape()) throw Error(ErrorCode::internal, "a body of another shape than the image");
  if (hu.size() == 0) return;
  {
    Mask tissue(hu.shape(), stream.device());
    mark_between(stream, hu, kTissueHu, std::numeric_limits<double>::infinity(), tissue.span());
    image::ball_morphology(stream, ConstVoxelSpan(tissue.span()), spacing_mm, kThinMm, MorphologyStep::open,
                           VoxelSpan(body));
  }
  keep_thick(stream, spacing_mm, body);
  fill_slices(stream, body);
  add_cut_lungs(stream, hu, spacing_mm, body);
  stream.synchronize();
}

}  // namespace kiban::segment
