#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/operations/genotype_candidates.hpp"
#include "io/genome/reads_file.hpp"

namespace kiban::engine {

/// At most so many reads of a sample are looked at in a cluster, and no less than so sure of their place.
inline constexpr std::size_t kMostReads = 1000;
inline constexpr std::uint8_t kLeastMappingQuality = 20;

/// Reads of one cluster's samples, in their order; a read is held once for all clusters of a stretch.
struct ClusterReads {
  std::vector<std::shared_ptr<const io::AlignedRead>> reads;
  std::vector<std::uint64_t> names;   ///< [read] equal for mates of one sample only
  std::vector<std::int64_t> samples;  ///< [read] its place in `ReadsPool::samples`
};

/// Whether the reads' bases are those of the reference: of those compared, how many are.
struct BaseAgreement {
  std::int64_t compared = 0, equal = 0;
};

/// All alignment files of a run, as often as threads read at a time.
class ReadsPool {
 public:
  /// Errors: input (see io::ReadsFile; sequences of the reads that the reference has with other lengths).
  ReadsPool(const std::vector<std::filesystem::path>& files, const std::filesystem::path& reference,
            const std::vector<io::Contig>& reference_contigs);

  /// Of all files, each once.
  const std::vector<std::string>& samples() const { return samples_; }

  /// The reads of each cluster: on its bases or within two of them, clipped ends included; without duplicates,
  /// secondary and supplementary alignments, and those that failed quality control; mapping quality >= 20. Of more than
  /// `kMostReads` a sample those whose names come first in an order by a hash, so mates together, the same in every
  /// run. Any thread. Errors: input.
  std::vector<ClusterReads> fetch(const CandidateStretch& stretch, BaseAgreement& agreement);

  /// Errors: input (a file lacks the sequence; says what it has instead).
  void require_contig(std::int64_t contig);

 private:
  struct Files {
    std::vector<io::ReadsFile> files;
  };
  std::unique_ptr<Files> take();

  std::vector<std::filesystem::path> paths_;
  std::filesystem::path reference_;
  std::vector<io::Contig> contigs_;
  std::vector<std::string> samples_;
  std::vector<std::vector<std::int64_t>> sample_of_;  ///< [file][its sample]
  std::vector<std::vector<std::int64_t>> contig_of_;  ///< [file][contig of the reference], -1 for none
  std::mutex mutex_;
  std::vector<std::unique_ptr<Files>> idle_;
};

}  // namespace kiban::engine
