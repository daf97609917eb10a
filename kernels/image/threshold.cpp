#include "kernels/image/threshold.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "kernels/image/require.hpp"

namespace kiban::image {
namespace {

constexpr double kMostValues = 65536;

/// Sums up to each bin: of voxels, and of their values about the first centre.
struct Cumulated {
  explicit Cumulated(const Histogram& histogram) : voxels{0}, values{0} {
    for (std::size_t bin = 0; bin < histogram.counts.size(); ++bin) {
      const auto count = static_cast<double>(histogram.counts[bin]);
      voxels.push_back(voxels.back() + count);
      values.push_back(values.back() + count * static_cast<double>(bin));
    }
  }
  /// What bins [begin, end) add to the variance between classes, up to what all partitions have in common.
  double worth(std::size_t begin, std::size_t end) const {
    const double count = voxels[end] - voxels[begin], sum = values[end] - values[begin];
    return count > 0 ? sum * sum / count : 0;
  }
  std::vector<double> voxels, values;
};

/// best[end]: the largest worth of the first bins up to `end` in one class more than `before` has; from[end]: where the
/// last class begins. The best beginning does not fall as the end rises, so halves are searched in halves.
void add_class(const Cumulated& sums, const std::vector<double>& before, std::size_t low, std::size_t high,
               std::size_t least_from, std::size_t most_from, std::vector<double>& best,
               std::vector<std::size_t>& from) {
  if (low > high) return;
  const std::size_t end = (low + high) / 2;
  best[end] = -std::numeric_limits<double>::infinity();
  for (std::size_t begin = least_from; begin <= std::min(most_from, end - 1); ++begin) {
    const double worth = before[begin] + sums.worth(begin, end);
    if (worth > best[end]) {
      best[end] = worth;
      from[end] = begin;
    }
  }
  if (end > low) add_class(sums, before, low, end - 1, least_from, from[end], best, from);
  add_class(sums, before, end + 1, high, from[end], most_from, best, from);
}

}  // namespace

void classify(Stream& stream, const ConstVoxelSpan& image, std::span<const double> thresholds,
              Span<std::uint8_t, 3> classes, bool only_odd) {
  if (image.shape() != classes.shape() || thresholds.size() > 255 || !std::ranges::is_sorted(thresholds))
    throw Error(ErrorCode::internal,
                "voxels are classified by thresholds that are not in order, or into another shape");
  require_on(stream, image.device());
  require_on(stream, classes.device());
  if (image.size() == 0) return;
  KIBAN_BACKEND_FOR(stream, classify_voxels)(stream, image, thresholds, classes, only_odd ? 1 : 255);
}

Histogram histogram(Stream& stream, const ConstVoxelSpan& image, int bins) {
  require_on(stream, image.device());
  Histogram made;
  ValueRange range{0, -1};
  if (image.size() != 0) KIBAN_BACKEND_FOR(stream, find_value_range)(stream, image, range);
  if (range.largest < range.least) return made;
  made.least = range.least;
  made.largest = range.largest;
  const double span = range.largest - range.least;
  if (image.type() != VoxelType::float32 && span < kMostValues) {
    made.first_edge = range.least - 0.5;
    made.width = 1;
    made.counts.resize(static_cast<std::size_t>(span) + 1);
  } else {
    made.first_edge = range.least;
    made.width = span > 0 ? span / bins : 1;
    made.counts.resize(static_cast<std::size_t>(span > 0 ? bins : 1));
  }
  KIBAN_BACKEND_FOR(stream, count_values)(stream, image, made);
  return made;
}

std::vector<double> otsu_thresholds(const Histogram& histogram, int classes) {
  const auto different = std::ranges::count_if(histogram.counts, [](std::int64_t count) { return count != 0; });
  if (different < classes)
    throw Error(ErrorCode::input, "the image has " + std::to_string(different) + " values that differ, and " +
                                      std::to_string(classes) + " classes are wanted; take fewer");
  const Cumulated sums(histogram);
  const std::size_t bins = histogram.counts.size();
  std::vector<std::vector<std::size_t>> from(static_cast<std::size_t>(classes), std::vector<std::size_t>(bins + 1));
  std::vector<double> best(bins + 1, -std::numeric_limits<double>::infinity());
  best[0] = 0;
  std::vector<double> before;
  for (std::size_t c = 0; c < from.size(); ++c) {
    before = std::exchange(best, std::vector<double>(bins + 1, -std::numeric_limits<double>::infinity()));
    // A class has a bin at least.
    if (c == 0)
      for (std::size_t end = 1; end <= bins; ++end) best[end] = sums.worth(0, end);
    else
      add_class(sums, before, c + 1, bins, c, bins - 1, best, from[c]);
  }
  std::vector<double> thresholds;
  std::size_t end = bins;
  for (std::size_t c = from.size(); c-- > 1;) {
    end = from[c][end];
    thresholds.insert(thresholds.begin(), histogram.edge(end));
  }
  return thresholds;
}

}  // namespace kiban::image
