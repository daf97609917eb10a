#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace kiban::io {

/// Reads and haplotypes of regions, one after another.
struct PairHmmText {
  std::vector<std::uint8_t> bases;                                                           ///< [base] of the reads
  std::vector<std::uint8_t> base_quality, insertion_quality, deletion_quality, gap_quality;  ///< [base] Phred
  std::vector<std::uint8_t> haplotype_bases;                                                 ///< [base]
  std::vector<std::int64_t> read_begin{0}, haplotype_begin{0};    ///< [reads + 1], [haplotypes + 1]: of their bases
  std::vector<std::int64_t> reads_begin{0}, haplotypes_begin{0};  ///< [regions + 1]: of reads and haplotypes
  std::int64_t pairs = 0;                                         ///< reads times haplotypes, of all regions

  bool empty() const { return reads_begin.size() == 1; }
  std::size_t bytes() const;
};

/// The text that PairHMM programs exchange: a region is a line `R H`, then R lines of a read (its bases, and its base,
/// insertion, deletion and gap-continuation qualities, as characters from '!' for 0 on, separated by spaces), then H
/// lines of a haplotype. Any number of regions; lines that are blank between regions do not count.
class PairHmmTextReader {
 public:
  /// Errors: input (missing, unreadable, empty).
  explicit PairHmmTextReader(const std::filesystem::path& path);

  /// The next regions: until they have `most_pairs` pairs, or more if the last brought them, or the end is reached.
  /// Empty at the end. Errors: input, with the line: cut short; not five fields; qualities of another number than
  /// bases, or not characters from '!' to '~'; bases that are not letters, '-', '*' or '.'; no read or haplotype; a
  /// region of more than 2^31 - 1 pairs; a line longer than 2^24.
  PairHmmText next(std::int64_t most_pairs);

 private:
  bool get_line();
  void require_line(std::int64_t given, std::int64_t promised, const char* what);
  void read_region(PairHmmText& text);
  void add_read(PairHmmText& text) const;
  void add_haplotype(PairHmmText& text) const;
  [[noreturn]] void refuse(const std::string& sentence) const;

  std::filesystem::path path_;
  std::ifstream stream_;
  std::string line_;
  std::int64_t number_ = 0;
};

/// One a line, six decimals; "-inf" for zero. Errors: input (the disk is full or failed).
class LikelihoodWriter {
 public:
  ///   path           where to write
  ///   final_path     as sentences name it
  LikelihoodWriter(const std::filesystem::path& path, std::filesystem::path final_path);
  void write(std::span<const double> likelihoods);
  /// To be called at the end.
  void finish();

 private:
  void require_written();
  std::filesystem::path path_, final_path_;
  std::ofstream stream_;
};

}  // namespace kiban::io
