#include "kernels/image/grow.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/image/label_statistics.hpp"
#include "kernels/image/morphology.hpp"
#include "kernels/image/threshold.hpp"

namespace kiban::image {
namespace {

/// 1 at the seeds, else 0.
Array<std::uint8_t, 3> marked_seeds(Stream& stream, const ConstVoxelSpan& image, std::span<const VoxelIndex> seeds) {
  if (seeds.empty()) throw Error(ErrorCode::input, "a region grows from no seed; give one");
  Array<std::uint8_t, 3> marks(image.shape(), stream.device());
  zero(stream, marks.span());
  static constexpr std::uint8_t kOne = 1;
  for (const VoxelIndex& seed : seeds) {
    for (std::size_t a = 0; a < 3; ++a)
      if (seed[a] < 0 || seed[a] >= image.extent(2 - static_cast<int>(a)))
        throw Error(ErrorCode::input, "a seed lies outside of the volume; correct it");
    std::uint8_t* const at =
        marks.span().on(stream.device()).data + (seed[2] * image.extent(1) + seed[1]) * image.extent(2) + seed[0];
    copy(stream, Span<const std::uint8_t, 1>(&kOne, {1}), Span<std::uint8_t, 1>(at, {1}, stream.device()));
  }
  stream.synchronize();
  return marks;
}

void grow_from(Stream& stream, const ConstVoxelSpan& image, Span<const std::uint8_t, 3> seeds, const GrowRange& range,
               Connectivity connectivity, Span<std::uint8_t, 3> region) {
  const double thresholds[] = {range.low, std::nextafter(range.high, INFINITY)};
  classify(stream, image, thresholds, region, true);
  const Components components(stream, ConstVoxelSpan(region), connectivity);
  components.paint(stream, components.marked(stream, seeds), region);
}

}  // namespace

void grow(Stream& stream, const ConstVoxelSpan& image, std::span<const VoxelIndex> seeds, const GrowRange& range,
          Connectivity connectivity, Span<std::uint8_t, 3> region) {
  const Array<std::uint8_t, 3> marks = marked_seeds(stream, image, seeds);
  grow_from(stream, image, marks.span(), range, connectivity, region);
}

GrowRange grow_by_confidence(Stream& stream, const ConstVoxelSpan& image, std::span<const VoxelIndex> seeds,
                             const ConfidenceRule& rule, Connectivity connectivity, Span<std::uint8_t, 3> region) {
  const Array<std::uint8_t, 3> marks = marked_seeds(stream, image, seeds);
  const LabelStatistics of_seeds = label_statistics(stream, ConstVoxelSpan(marks.span()), image).front();
  extreme(stream, ConstVoxelSpan(marks.span()), box({rule.radius, rule.radius, rule.radius}), Extreme::largest,
          VoxelSpan(region));
  GrowRange range{of_seeds.least, of_seeds.largest};
  for (int round = 0; round <= rule.iterations; ++round) {
    const std::vector<LabelStatistics> found = label_statistics(stream, ConstVoxelSpan(region), image);
    if (found.empty()) break;  // the seeds are not numbers
    const auto count = static_cast<double>(found.front().voxels);
    const double deviation = count > 1 ? found.front().deviation * std::sqrt(count / (count - 1)) : 0;
    range.low = std::min(of_seeds.least, found.front().mean - rule.multiplier * deviation);
    range.high = std::max(of_seeds.largest, found.front().mean + rule.multiplier * deviation);
    grow_from(stream, image, marks.span(), range, connectivity, region);
  }
  return range;
}

}  // namespace kiban::image
