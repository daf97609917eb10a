#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/genome/contig.hpp"

namespace kiban::io {

/// One alignment, as BAM and CRAM have it.
struct AlignedRead {
  std::string name;
  std::int64_t begin = 0, end = 0;  ///< bases of the contig that it is aligned to, from 0
  std::uint16_t flags = 0;          ///< of SAM
  std::uint8_t mapping_quality = 0;
  std::int64_t mate_begin = -1;       ///< -1 where the mate lies on another contig, or there is none
  std::int64_t fragment_length = 0;   ///< TLEN
  std::vector<std::uint32_t> cigar;   ///< [operation] length << 4 | its place in "MIDNSHP=X"
  std::vector<std::uint8_t> bases;    ///< ASCII
  std::vector<std::uint8_t> quality;  ///< [base] Phred; as long as `bases`
  std::int64_t sample = 0;            ///< its place in `samples`
};

/// What a caller does not want is not unpacked.
struct ReadFilter {
  std::uint16_t without_flags = 0;
  std::uint8_t least_mapping_quality = 0;
};

/// BAM or CRAM, sorted by position, with its index beside it. One thread at a time.
class ReadsFile {
 public:
  /// CRAM takes bases from `reference` alone, never from the network, and each slice's checksum is compared.
  /// Errors: input (missing; not BAM or CRAM; cut short; not sorted; without an index, or with one that does not fit).
  ReadsFile(const std::filesystem::path& path, const std::filesystem::path& reference);
  ReadsFile(ReadsFile&&) noexcept;
  ~ReadsFile();

  const std::filesystem::path& path() const { return path_; }
  const std::vector<Contig>& contigs() const { return contigs_; }
  /// SM of the read groups, each once, in their order; the file's name where there are no read groups.
  const std::vector<std::string>& samples() const { return samples_; }

  /// Every alignment that overlaps [begin, end) of a contig and passes, in the file's order; reads without bases or
  /// without qualities are left out. Errors: input (damaged; a read group that the header does not have; not sorted).
  void fetch(std::int64_t contig, std::int64_t begin, std::int64_t end, const ReadFilter& filter,
             const std::function<void(const AlignedRead&)>& each);

 private:
  void read_header();
  void read_samples();
  bool unpack_next(const ReadFilter& filter);
  std::int64_t sample_of_record() const;

  std::filesystem::path path_;
  struct Handles;
  std::unique_ptr<Handles> handles_;
  std::vector<Contig> contigs_;
  std::vector<std::string> samples_;
  std::map<std::string, std::int64_t, std::less<>> sample_of_group_;
  AlignedRead read_;
};

/// The file and its index, where it has one.
std::vector<std::filesystem::path> reads_files(const std::filesystem::path& path);

/// What a port of reads names: one BAM or CRAM; or, where it is a text (.txt, .list), the files that its lines name,
/// relative to it. Errors: input (an empty or endless list).
std::vector<std::filesystem::path> listed_reads(const std::filesystem::path& path);

}  // namespace kiban::io
