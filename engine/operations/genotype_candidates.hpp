#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/genome/reference_file.hpp"
#include "io/genome/regions.hpp"
#include "io/genome/variant_file.hpp"
#include "kernels/variant/haplotypes.hpp"

namespace kiban::engine {

/// One record of candidates.
struct Candidate {
  io::VariantSite record;
  std::string unscored;         ///< why it is passed through; empty for one that is genotyped
  variant::CandidateSite site;  ///< where it is genotyped
  std::int64_t ploidy = 0;
};

/// Records so near to each other that they are looked at together, and the reference about them.
struct CandidateCluster {
  std::vector<Candidate> candidates;
  std::int64_t begin = 0, end = 0;  ///< of the reference's bases that their edits take in; empty if none is genotyped
  std::int64_t reference_begin = 0;
  std::string reference;

  variant::ReferenceStretch stretch() const { return {reference_begin, reference}; }
};

/// Clusters for which reads are fetched at one go.
struct CandidateStretch {
  std::int64_t contig = 0;  ///< of the reference
  std::vector<CandidateCluster> clusters;
  std::int64_t records = 0;
};

struct CandidateSettings {
  std::filesystem::path candidates, reference;
  std::vector<io::GenomeRegion> regions;  ///< records that begin elsewhere are left out; empty: nowhere
  std::int64_t ploidy = 2;
  std::vector<io::NumberedRegion> ploidies;  ///< where it is another
};

/// Reads candidates in the order of their file, checks them against the reference, normalises and groups them. A
/// cluster ends where the next record is more than 20 bases away from all that the last ones could be shifted to, and
/// after 64 records; a stretch where the next cluster is more than 20,000 away, beyond 32,768 bases, and after 512
/// records.
class CandidateStream {
 public:
  explicit CandidateStream(const CandidateSettings& settings);

  /// Empty at the end. Errors: input, with the record: not sorted; a sequence that the reference lacks, or has with
  /// another length; REF is not what the reference has there.
  CandidateStretch next();

  const std::vector<io::Contig>& reference_contigs() const { return reference_.contigs(); }

 private:
  bool read_one();
  std::int64_t contig_of(const std::string& name);
  void require_order(const io::VariantSite& record) const;
  bool in_regions(std::int64_t position) const;
  std::int64_t ploidy_at(std::int64_t position) const;
  Candidate checked(io::VariantSite record);
  void normalise(Candidate& candidate, const std::vector<std::string>& alleles, const variant::ReferenceStretch& about);
  void add(CandidateCluster& cluster, CandidateStretch& stretch);

  CandidateSettings settings_;
  io::VariantReader reader_;
  io::ReferenceFile reference_;
  std::unordered_map<std::string, std::int64_t> places_;  ///< of the reference's sequences
  io::VariantSite record_;                                ///< the next one
  bool has_record_ = false;
  std::int64_t contig_ = -1, last_contig_ = -1, last_position_ = -1;
  std::set<std::int64_t> seen_;
};

}  // namespace kiban::engine
