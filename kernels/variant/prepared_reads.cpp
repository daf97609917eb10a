#include "kernels/variant/prepared_reads.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <optional>
#include <utility>

namespace kiban::variant {
namespace {

constexpr std::int64_t kNowhere = std::numeric_limits<std::int64_t>::min();  // of an inserted base
constexpr int kMostRepeats = 20;
constexpr std::size_t kLongestUnit = 8;
constexpr std::uint8_t kOverlapQuality = 20, kLeastTrusted = 18, kDistrusted = 6, kOpenQuality = 45;

enum CigarCode : std::uint32_t { M, I, D, N, S, H, P, Equal, Differs };

/// The bases of a read that are left, and where each lies.
struct PlacedRead {
  std::int64_t source = 0;
  std::vector<std::int64_t> position;        ///< [base] of the reference, or nowhere
  std::vector<std::uint8_t> bases, quality;  ///< [base]
};

/// Both ends of the fragment are known, and its reads point at each other.
bool fragment_is_well_defined(const AlignedReadView& read, std::int64_t end) {
  if (!read.paired || read.mate_unmapped || read.mate_begin < 0 || read.fragment_length == 0) return false;
  if (read.reverse == read.mate_reverse) return false;
  return read.reverse ? end - 1 > read.mate_begin : read.begin <= read.mate_begin + read.fragment_length;
}

std::int64_t reference_end(const AlignedReadView& read) {
  std::int64_t end = read.begin;
  for (const std::uint32_t operation : read.cigar) {
    const std::uint32_t code = operation & 15;
    if (code == M || code == Equal || code == Differs || code == D || code == N) end += operation >> 4;
  }
  return end;
}

/// Every base, with its position; a clipped end has positions as if it were aligned, or is nowhere.
std::vector<std::int64_t> positions(const AlignedReadView& read, bool clipped_ends_count) {
  std::vector<std::int64_t> placed;
  placed.reserve(read.bases.size());
  std::int64_t at = read.begin;
  for (const std::uint32_t operation : read.cigar) {
    const auto length = static_cast<std::int64_t>(operation >> 4);
    switch (operation & 15) {
      case M:
      case Equal:
      case Differs:
        for (std::int64_t i = 0; i < length; ++i) placed.push_back(at++);
        break;
      case S: {
        const std::int64_t from = placed.empty() ? at - length : at;
        for (std::int64_t i = 0; i < length; ++i) placed.push_back(clipped_ends_count ? from + i : kNowhere);
        break;
      }
      case I:
        placed.insert(placed.end(), static_cast<std::size_t>(length), kNowhere);
        break;
      case D:
      case N:
        at += length;
        break;
      default:
        break;
    }
  }
  placed.resize(read.bases.size(), kNowhere);
  return placed;
}

/// What is left of a read between two bases of the reference: from the first base that lies there to the last.
std::optional<PlacedRead> placed_read(const AlignedReadView& read, std::int64_t begin, std::int64_t end) {
  const bool well_defined = fragment_is_well_defined(read, reference_end(read));
  if (well_defined && read.reverse) begin = std::max(begin, read.mate_begin);
  if (well_defined && !read.reverse) end = std::min(end, read.begin + std::abs(read.fragment_length));
  const std::vector<std::int64_t> placed = positions(read, well_defined);
  const auto inside = [&](std::int64_t position) { return position >= begin && position < end; };
  const auto first = std::ranges::find_if(placed, inside);
  if (first == placed.end()) return std::nullopt;
  const auto last = std::find_if(placed.rbegin(), placed.rend(), inside).base();
  const std::ptrdiff_t from = first - placed.begin(), to = last - placed.begin();
  PlacedRead left;
  left.position.assign(first, last);
  left.bases.assign(read.bases.begin() + from, read.bases.begin() + to);
  left.quality.assign(read.base_quality.begin() + from, read.base_quality.begin() + to);
  return left;
}

/// Two reads of one fragment are one observation where they overlap.
void cap_overlap(PlacedRead& a, PlacedRead& b) {
  std::size_t j = 0;
  for (std::size_t i = 0; i < a.position.size(); ++i) {
    if (a.position[i] == kNowhere) continue;
    while (j < b.position.size() && (b.position[j] == kNowhere || b.position[j] < a.position[i])) ++j;
    if (j == b.position.size()) return;
    if (b.position[j] != a.position[i]) continue;
    const std::uint8_t most = a.bases[i] == b.bases[j] ? kOverlapQuality : 0;
    a.quality[i] = std::min(a.quality[i], most);
    b.quality[j] = std::min(b.quality[j], most);
  }
}

/// [repeats] the most that the quality of a gap may be.
std::array<std::uint8_t, kMostRepeats + 1> gap_qualities(PcrModel model) {
  std::array<std::uint8_t, kMostRepeats + 1> most{};
  most.fill(kOpenQuality);
  if (model == PcrModel::none) return most;
  const double rate = model == PcrModel::conservative ? 3 : model == PcrModel::aggressive ? 2 : 1;
  for (int repeats = 0; repeats <= kMostRepeats; ++repeats) {
    const double quality = std::round(41 - std::exp(repeats / (rate * std::numbers::pi)));
    most[static_cast<std::size_t>(repeats)] =
        static_cast<std::uint8_t>(std::clamp(quality, 10.0, static_cast<double>(kOpenQuality)));
  }
  return most;
}

PreparedRead finished(const AlignedReadView& read, PlacedRead& placed,
                      const std::array<std::uint8_t, kMostRepeats + 1>& most) {
  PreparedRead made;
  made.source = placed.source;
  const auto on_reference = [](std::int64_t position) { return position != kNowhere; };
  made.begin = *std::ranges::find_if(placed.position, on_reference);
  made.end = *std::find_if(placed.position.rbegin(), placed.position.rend(), on_reference) + 1;
  const std::size_t length = placed.bases.size();
  made.base_quality.resize(length);
  made.insertion_quality.assign(length, kOpenQuality);
  const std::vector<std::uint8_t> repeats = tandem_repeats(placed.bases);
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint8_t quality = std::min(placed.quality[i], read.mapping_quality);
    made.base_quality[i] = quality < kLeastTrusted ? kDistrusted : quality;
    if (i + 1 < length) made.insertion_quality[i] = most[repeats[i]];
  }
  made.deletion_quality = made.insertion_quality;
  made.bases = std::move(placed.bases);
  return made;
}

}  // namespace

std::vector<std::uint8_t> tandem_repeats(std::span<const std::uint8_t> bases) {
  const std::size_t count = bases.size();
  // [unit - 1][base] how many bases up to it, or from it on, are each the same as one unit before.
  std::vector<std::int32_t> runs(2 * kLongestUnit * count);
  const auto ending = [&](std::size_t unit) { return runs.data() + (unit - 1) * count; };
  const auto beginning = [&](std::size_t unit) { return runs.data() + (kLongestUnit + unit - 1) * count; };
  for (std::size_t unit = 1; unit <= std::min(kLongestUnit, count); ++unit) {
    std::int32_t* const up_to = ending(unit);
    std::int32_t* const from = beginning(unit);
    for (std::size_t i = unit; i < count; ++i) up_to[i] = bases[i] == bases[i - unit] ? up_to[i - 1] + 1 : 0;
    for (std::size_t i = count; i-- > unit;)
      from[i] = bases[i] == bases[i - unit] ? (i + 1 < count ? from[i + 1] : 0) + 1 : 0;
  }
  std::vector<std::uint8_t> repeats(count, 1);
  const auto copies = [](std::int32_t run, std::size_t unit) { return static_cast<std::size_t>(run) / unit; };
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t found = 1, unit_found = 1;
    const bool is_last = i + 1 == count;  // then only what lies before
    for (std::size_t unit = 1; found == 1 && unit <= kLongestUnit; ++unit) {
      if (is_last ? unit > count : i + 1 + unit >= count) break;
      found = 1 + (is_last ? copies(ending(unit)[i], unit) : copies(beginning(unit)[i + 1 + unit], unit));
      if (found > 1) unit_found = unit;
    }
    if (!is_last) found += copies(ending(unit_found)[i + unit_found], unit_found);
    repeats[i] = static_cast<std::uint8_t>(std::min<std::size_t>(found, kMostRepeats));
  }
  return repeats;
}

std::vector<PreparedRead> prepared_reads(std::span<const AlignedReadView> reads, std::int64_t begin, std::int64_t end,
                                         PcrModel model) {
  std::vector<PlacedRead> placed;
  std::map<std::uint64_t, std::size_t> mate_of;
  for (std::size_t r = 0; r < reads.size(); ++r) {
    std::optional<PlacedRead> left = placed_read(reads[r], begin, end);
    if (!left) continue;
    left->source = static_cast<std::int64_t>(r);
    placed.push_back(std::move(*left));
    if (!reads[r].paired) continue;
    const auto [mate, is_first] = mate_of.try_emplace(reads[r].name, placed.size() - 1);
    if (!is_first) cap_overlap(placed[mate->second], placed.back());
  }
  const auto most = gap_qualities(model);
  std::vector<PreparedRead> made;
  made.reserve(placed.size());
  for (PlacedRead& read : placed) made.push_back(finished(reads[static_cast<std::size_t>(read.source)], read, most));
  return made;
}

}  // namespace kiban::variant
