#include "kernels/variant/pairhmm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/variant/pairhmm_backends.hpp"

namespace kiban::variant {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::input, "PairHMM regions: " + what); }

/// Ascending from 0 to `total`. Returns how many ranges there are.
std::int64_t require_ranges(std::span<const std::int64_t> begin, std::int64_t total, const char* what) {
  if (begin.empty() || begin.front() != 0 || begin.back() != total)
    refuse(fmt::format("the offsets of {} must begin with 0 and end with {}", what, total));
  for (std::size_t i = 1; i < begin.size(); ++i)
    if (begin[i] < begin[i - 1]) refuse(fmt::format("the offsets of {} descend at {}", what, i));
  const auto count = static_cast<std::int64_t>(begin.size()) - 1;
  if (count > kMost) refuse(fmt::format("there are more than {} {}", kMost, what));
  return count;
}

void require_lengths(std::span<const std::int64_t> begin, std::int64_t from, std::int64_t to, const char* what) {
  for (std::int64_t i = from; i < to; ++i)
    if (begin[static_cast<std::size_t>(i)] == begin[static_cast<std::size_t>(i) + 1])
      refuse(fmt::format("{} {} has no bases", what, i));
    else if (begin[static_cast<std::size_t>(i) + 1] - begin[static_cast<std::size_t>(i)] > kMost)
      refuse(fmt::format("{} {} has more than {} bases", what, i, kMost));
}

std::vector<std::uint8_t> codes(std::span<const std::uint8_t> bases) {
  static const std::vector<std::uint8_t> table = [] {
    std::vector<std::uint8_t> made(256, 15);
    for (const auto& [letter, code] : {std::pair{'A', 1}, {'C', 2}, {'G', 4}, {'T', 8}}) {
      made[static_cast<unsigned char>(letter)] = static_cast<std::uint8_t>(code);
      made[static_cast<unsigned char>(letter + 'a' - 'A')] = static_cast<std::uint8_t>(code);
    }
    return made;
  }();
  std::vector<std::uint8_t> found(bases.size());
  for (std::size_t i = 0; i < bases.size(); ++i) found[i] = table[bases[i]];
  return found;
}

/// Calls `each(read begin, read end, haplotype begin, haplotype end)` of every region.
template <class Each>
void for_each_region(const PairHmmRegions& regions, const Each& each) {
  for (std::size_t g = 0; g + 1 < regions.reads_begin.size(); ++g)
    each(regions.reads_begin[g], regions.reads_begin[g + 1], regions.haplotypes_begin[g],
         regions.haplotypes_begin[g + 1]);
}

}  // namespace

const PhredTable& phred_table() {
  static const PhredTable made = [] {
    PhredTable table{};
    for (int q = 0; q < 256; ++q) table.probability[q] = static_cast<double>(std::pow(10.0L, -q / 10.0L));
    return table;
  }();
  return made;
}

std::int64_t pair_count(const PairHmmRegions& regions) {
  const Reads& reads = regions.reads;
  const std::size_t bases = reads.bases.size();
  for (const auto& qualities : {reads.base_quality, reads.insertion_quality, reads.deletion_quality, reads.gap_quality})
    if (qualities.size() != bases) refuse(fmt::format("{} qualities for {} bases of reads", qualities.size(), bases));
  const std::int64_t read_count = require_ranges(reads.begin, static_cast<std::int64_t>(bases), "reads");
  const std::int64_t haplotype_count = require_ranges(
      regions.haplotypes.begin, static_cast<std::int64_t>(regions.haplotypes.bases.size()), "haplotypes");
  if (require_ranges(regions.reads_begin, read_count, "the reads of regions") !=
      require_ranges(regions.haplotypes_begin, haplotype_count, "the haplotypes of regions"))
    refuse("there are as many ranges of reads as of haplotypes: one a region");
  std::int64_t pairs = 0;
  for_each_region(regions,
                  [&](std::int64_t read, std::int64_t read_end, std::int64_t haplotype, std::int64_t haplotype_end) {
                    if (read == read_end || haplotype == haplotype_end) return;
                    require_lengths(reads.begin, read, read_end, "read");
                    require_lengths(regions.haplotypes.begin, haplotype, haplotype_end, "haplotype");
                    pairs += (read_end - read) * (haplotype_end - haplotype);  // below 2^62: both are below 2^31
                    if (pairs > kMost)
                      refuse(fmt::format("there are more than {} pairs; take fewer regions at a time", kMost));
                  });
  return pairs;
}

PairHmmProblem::PairHmmProblem(const PairHmmRegions& given) : regions(given) {
  pairs.reserve(static_cast<std::size_t>(pair_count(given)));
  read_codes = codes(given.reads.bases);
  haplotype_codes = codes(given.haplotypes.bases);
  for_each_region(given,
                  [&](std::int64_t read, std::int64_t read_end, std::int64_t haplotype, std::int64_t haplotype_end) {
                    for (std::int64_t r = read; r < read_end; ++r)
                      for (std::int64_t h = haplotype; h < haplotype_end; ++h)
                        pairs.push_back({static_cast<std::int32_t>(r), static_cast<std::int32_t>(h)});
                  });
  for (std::int64_t p = 0; p < static_cast<std::int64_t>(pairs.size()); ++p)
    longest_haplotype = std::max(longest_haplotype, columns(p));
}

std::int64_t cell_count(const PairHmmRegions& regions) {
  const auto bases = [](std::span<const std::int64_t> begin, std::int64_t from, std::int64_t to) {
    return static_cast<double>(begin[static_cast<std::size_t>(to)] - begin[static_cast<std::size_t>(from)]);
  };
  double cells = 0;
  for_each_region(
      regions, [&](std::int64_t read, std::int64_t read_end, std::int64_t haplotype, std::int64_t haplotype_end) {
        cells += bases(regions.reads.begin, read, read_end) * bases(regions.haplotypes.begin, haplotype, haplotype_end);
      });
  return static_cast<std::int64_t>(std::min(cells, 0x1p62));
}

PairHmmBytes pairhmm_bytes(Device device, const PairHmmRegions& regions) {
  const auto pairs = static_cast<std::size_t>(pair_count(regions));
  const std::size_t bases = regions.reads.bases.size(), haplotype_bases = regions.haplotypes.bases.size();
  const std::size_t offsets = regions.reads.begin.size() + regions.haplotypes.begin.size();
  const std::size_t rows = kRowBytes * (bases + regions.reads.begin.size());
  std::int64_t longest = 0, side_by_side = 0;  // haplotypes of a region, a multiple of 16 of its longest
  for_each_region(regions, [&](std::int64_t, std::int64_t, std::int64_t begin, std::int64_t end) {
    std::int64_t most = 0;
    for (auto h = static_cast<std::size_t>(begin); h < static_cast<std::size_t>(end); ++h)
      most = std::max(most, regions.haplotypes.begin[h + 1] - regions.haplotypes.begin[h]);
    longest = std::max(longest, most);
    side_by_side += (end - begin + 15) / 16 * 16 * most;
  });
  const auto columns = static_cast<std::size_t>(longest);
  PairHmmBytes bytes;
  bytes.host = bases + haplotype_bases + pairs * (sizeof(ReadAndHaplotype) + sizeof(ScaledSum));
  if (device.kind == DeviceKind::cpu) {
    const std::size_t groups = 100 * pairs;        // of one lane each, at worst
    const std::size_t scratch = 7 * 64 * columns;  // seven vectors a column, three of them for float
    bytes.host += rows + groups + sizeof(std::int32_t) * static_cast<std::size_t>(side_by_side) +
                  scratch * static_cast<std::size_t>(Stream().threads());
  } else {
    // In double by warps, of which a block has 4, then with exponents by threads, of which it has 128.
    const std::size_t in_columns = 2 * std::min(kColumnsRoom, pairs * kColumnBytes * columns);
    const std::size_t in_blocks = (4 + 128) * kColumnBytes * columns;
    bytes.host += sizeof(std::int32_t) * pairs;
    bytes.device = 5 * bases + haplotype_bases + sizeof(std::int64_t) * offsets + rows +
                   pairs * (sizeof(ReadAndHaplotype) + sizeof(ScaledSum) + sizeof(std::int32_t)) + in_columns +
                   in_blocks + sizeof(PhredTable);
  }
  return bytes;
}

void pairhmm(Stream& stream, const PairHmmRegions& regions, std::span<double> likelihoods) {
  const PairHmmProblem problem(regions);
  if (likelihoods.size() != problem.pairs.size())
    throw Error(ErrorCode::internal,
                fmt::format("room for {} likelihoods of {} pairs", likelihoods.size(), problem.pairs.size()));
  if (problem.pairs.empty()) return;
  std::vector<ScaledSum> sums(problem.pairs.size());
  KIBAN_BACKEND_FOR(stream, pairhmm_sums)(stream, problem, sums);
  constexpr double kLog10Of2 = 0.30102999566398119521;
  for (std::size_t p = 0; p < sums.size(); ++p)
    likelihoods[p] = std::log10(sums[p].total) - static_cast<double>(sums[p].exponent) * kLog10Of2;
}

}  // namespace kiban::variant
