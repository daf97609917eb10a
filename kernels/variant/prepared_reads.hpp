#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace kiban::variant {

/// An alignment as SAM has it; what it views outlives it.
struct AlignedReadView {
  std::int64_t begin = 0;  ///< first base of the reference that it is aligned to, from 0
  bool reverse = false, paired = false, mate_unmapped = false, mate_reverse = false;
  std::int64_t mate_begin = -1;      ///< -1 where the mate lies elsewhere
  std::int64_t fragment_length = 0;  ///< TLEN, 0 where it is not known
  std::uint8_t mapping_quality = 0;
  std::uint64_t name = 0;                      ///< equal for mates only
  std::span<const std::uint32_t> cigar;        ///< [operation] length << 4 | its place in "MIDNSHP=X"
  std::span<const std::uint8_t> bases;         ///< [base] ASCII
  std::span<const std::uint8_t> base_quality;  ///< [base] Phred
};

/// How far the chemistry of amplification lengthens and shortens tandem repeats.
enum class PcrModel { none, conservative, aggressive, hostile };

/// What PairHMM takes of a read.
struct PreparedRead {
  std::int64_t source = 0;          ///< its place among the reads given
  std::int64_t begin = 0, end = 0;  ///< of the reference that it lies over, clipped ends that were taken back included
  std::vector<std::uint8_t> bases, base_quality, insertion_quality, deletion_quality;  ///< [base]
};

/// Gap continuation, Phred, of every base.
inline constexpr std::uint8_t kGapQuality = 10;

/// Reads made ready to be scored in the window [begin, end) of the reference:
///   clipped   soft-clipped ends are bases like others where the fragment's size is well defined, else cut off; what
///             lies beyond the fragment's far end (the adaptor), and outside of the window, is cut off
///   mates     where two of one name overlap, qualities are at most 20, and 0 where their bases differ
///   capped    base quality <= mapping quality, then below 18 it is 6; qualities of gaps 45, and at most
///             max(10, round(41 - exp(repeat / (rate pi)))) by the tandem repeat around the base, of units of up to 8
///             bases and at most 20 of them: rate 3 conservative, 2 aggressive, 1 hostile
/// A read of which nothing is left is left out. Order: as given. Cost: linear in bases.
/// Source: GATK 4, AssemblyBasedCallerUtils, FragmentUtils, PairHMMLikelihoodCalculationEngine.
std::vector<PreparedRead> prepared_reads(std::span<const AlignedReadView> reads, std::int64_t begin, std::int64_t end,
                                         PcrModel model);

/// [base] how many copies of a unit of 1 to 8 bases lie side by side around it, at most 20: of the shortest that is
/// repeated after the base, or of the base after where none is, those that follow and those that lie before; at the
/// last base those that end there.
std::vector<std::uint8_t> tandem_repeats(std::span<const std::uint8_t> bases);

}  // namespace kiban::variant
