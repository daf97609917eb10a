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

std::size_t copies(std::span<const std::uint8_t> bases, std::size_t unit_at, std::size_t unit, std::size_t from,
                   bool forward) {
  std::size_t found = 0;
  const auto is_unit = [&](std::size_t at) {
    return std::equal(bases.begin() + static_cast<std::ptrdiff_t>(at),
                      bases.begin() + static_cast<std::ptrdiff_t>(at + unit),
                      bases.begin() + static_cast<std::ptrdiff_t>(unit_at));
  };
  if (forward)
    for (std::size_t at = from; at + unit <= bases.size() && is_unit(at); at += unit) ++found;
  else
    for (std::size_t end = from; end >= unit && is_unit(end - unit); end -= unit) ++found;
  return found;
}

struct Repeat {
  std::size_t at = 0, unit = 1, copies = 1;
};

/// The shortest unit of which there are two or more that end with `offset`, or begin after it.
Repeat repeat_before(std::span<const std::uint8_t> bases, std::size_t offset) {
  for (std::size_t unit = 1; unit <= std::min(kLongestUnit, offset + 1); ++unit) {
    const std::size_t found = copies(bases, offset + 1 - unit, unit, offset + 1, false);
    if (found > 1) return {offset + 1 - unit, unit, found};
  }
  return {offset, 1, 1};
}
Repeat repeat_after(std::span<const std::uint8_t> bases, std::size_t offset) {
  for (std::size_t unit = 1; unit <= kLongestUnit && offset + 1 + unit <= bases.size(); ++unit) {
    const std::size_t found = copies(bases, offset + 1, unit, offset + 1, true);
    if (found > 1) return {offset + 1, unit, found};
  }
  return {offset + 1, 1, 1};
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
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint8_t quality = std::min(placed.quality[i], read.mapping_quality);
    made.base_quality[i] = quality < kLeastTrusted ? kDistrusted : quality;
    if (i + 1 < length) made.insertion_quality[i] = most[static_cast<std::size_t>(tandem_repeats(placed.bases, i))];
  }
  made.deletion_quality = made.insertion_quality;
  made.bases = std::move(placed.bases);
  return made;
}

}  // namespace

int tandem_repeats(std::span<const std::uint8_t> bases, std::size_t offset) {
  const Repeat before = repeat_before(bases, offset);
  if (offset + 1 >= bases.size()) return static_cast<int>(std::min<std::size_t>(before.copies, kMostRepeats));
  const Repeat after = repeat_after(bases, offset);
  const auto unit = [&](const Repeat& repeat) { return bases.subspan(repeat.at, repeat.unit); };
  // In the middle of a repeat both count; else what lies before may still be copies of the unit that comes after.
  const std::size_t found = std::ranges::equal(unit(before), unit(after))
                                ? before.copies + after.copies
                                : after.copies + copies(bases, after.at, after.unit, offset + 1, false);
  return static_cast<int>(std::min<std::size_t>(found, kMostRepeats));
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
