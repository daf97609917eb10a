#include "kernels/segment/pieces.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/image/threshold.hpp"

namespace kiban::segment {

using image::Components;
using image::Connectivity;

void mark_between(Stream& stream, const ConstVoxelSpan& hu, double low, double high, Span<std::uint8_t, 3> mask) {
  const double ends[] = {low, high};
  image::classify(stream, hu, ends, mask, true);
}

std::int64_t voxels_of(double ml, const Vec3& spacing_mm) {
  return static_cast<std::int64_t>(std::ceil(ml * 1000 / (spacing_mm[0] * spacing_mm[1] * spacing_mm[2])));
}

std::size_t number_pieces(Stream& stream, Span<std::uint8_t, 3> labels, std::int64_t least_voxels) {
  const Components pieces(stream, ConstVoxelSpan(labels), Connectivity::faces);
  const std::vector<image::ComponentMeasure> measures = pieces.measure(stream);
  std::vector<std::size_t> large;
  for (std::size_t k = 0; k < measures.size(); ++k)
    if (measures[k].voxels >= least_voxels) large.push_back(k);
  std::ranges::stable_sort(large, std::greater(), [&](std::size_t k) { return measures[k].voxels; });
  if (large.size() > 255) large.resize(255);
  std::ranges::sort(large);
  std::vector<std::uint32_t> number_of(measures.size());
  for (std::size_t k = 0; k < large.size(); ++k) number_of[large[k]] = static_cast<std::uint32_t>(k + 1);
  pieces.paint(stream, number_of, VoxelSpan(labels));
  return large.size();
}

void repaint(Stream& stream, Span<std::uint8_t, 3> numbers, const std::vector<std::uint32_t>& value_of) {
  const Components pieces(stream, ConstVoxelSpan(numbers), Connectivity::faces);
  std::vector<std::uint32_t> values;
  for (const image::ComponentMeasure& piece : pieces.measure(stream)) values.push_back(value_of.at(piece.label - 1));
  pieces.paint(stream, values, VoxelSpan(numbers));
}

void fill_slices(Stream& stream, Span<std::uint8_t, 3> mask) {
  for (std::int64_t z = 0; z < mask.extent(0); ++z) {
    stream.check();
    const Span<std::uint8_t, 3> slice = mask.slice(z, z + 1);
    const Components holes(stream, ConstVoxelSpan(slice), Connectivity::faces, image::Joined::background);
    std::vector<std::uint32_t> values;
    for (const image::ComponentMeasure& hole : holes.measure(stream)) values.push_back(hole.touches_border ? 0 : 1);
    holes.paint(stream, values, VoxelSpan(slice));
  }
}

}  // namespace kiban::segment
