#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/operations/genotype_candidates.hpp"
#include "engine/operations/genotype_reads.hpp"
#include "io/genome/variant_file.hpp"
#include "kernels/core/stream.hpp"
#include "kernels/variant/genotypes.hpp"
#include "kernels/variant/pairhmm.hpp"
#include "kernels/variant/prepared_reads.hpp"

namespace kiban::engine {

/// A cluster whose reads and haplotypes are ready to be scored.
struct PreparedCluster {
  const CandidateCluster* cluster = nullptr;
  std::vector<variant::PreparedRead> reads;
  std::vector<std::int64_t> sample_of;  ///< [read]
  std::vector<variant::LocalHaplotypes> haplotypes;
  std::vector<std::vector<std::int64_t>> reads_of;  ///< [haplotypes] those that lie at one of its sites
  std::vector<std::int64_t> scored;                 ///< [site] its place among the cluster's candidates

  /// Pairs that PairHMM is to score.
  std::int64_t pairs() const;
};

/// Errors: none of its own. Cost: linear in the reads' bases, and 32 haplotypes at most.
PreparedCluster prepare(const CandidateCluster& cluster, const ClusterReads& reads, variant::PcrModel model);

/// Likelihoods of all pairs of these clusters, one launch for all: [cluster][haplotypes][read, haplotype].
using ClusterLikelihoods = std::vector<std::vector<double>>;
std::vector<ClusterLikelihoods> score(Stream& stream, std::span<const PreparedCluster> clusters);

/// The records of a cluster, in the order of its candidates.
std::vector<io::GenotypedSite> genotyped(const PreparedCluster& prepared, const ClusterLikelihoods& likelihoods,
                                         std::int64_t samples);

}  // namespace kiban::engine
