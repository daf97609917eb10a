#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kiban::variant {

/// A site is genotyped if a sample has at most so many genotypes.
inline constexpr std::int64_t kMostGenotypes = 1024;

/// How many genotypes `ploidy` chromosomes of `alleles` alleles have, regardless of order; saturates above
/// `kMostGenotypes`.
std::int64_t genotype_count(std::int64_t alleles, std::int64_t ploidy);

/// All of them in VCF's order, each as its alleles in ascending order: [genotype][chromosome].
std::vector<std::vector<int>> genotypes(std::int64_t alleles, std::int64_t ploidy);

/// No read is further from its best haplotype than 10^-4.5: it may not be of this place at all.
inline constexpr double kMismapping = 4.5;

/// Of the reads at a site.
struct ReadEvidence {
  std::vector<double> likelihoods;  ///< [read, allele] log10, the greatest over the allele's haplotypes, floored
  std::vector<bool> fits;           ///< [read] a haplotype is as likely as two errors or one per 50 bases allow

  std::int64_t alleles = 0;
};

/// From likelihoods of haplotypes to those of a site's alleles.
///   likelihoods   [read, haplotype] log10
///   lengths       [read] bases
///   allele_of     [haplotype]
/// Each read's likelihoods are floored at its best minus `kMismapping`; an allele without a haplotype has the floor. A
/// read fits if its best is at least -4 min(2, ceil(length / 50)).
ReadEvidence read_evidence(std::span<const double> likelihoods, std::span<const std::int64_t> lengths,
                           std::span<const int> allele_of, std::int64_t alleles);

/// Of one sample at one site.
struct GenotypeCall {
  std::vector<double> likelihoods;  ///< [genotype] log10 P(reads | genotype), in VCF's order
  std::vector<int> genotype;        ///< [chromosome] alleles of the greatest, the first of equals; empty without reads
  std::vector<int> phred;           ///< [genotype] PL, the greatest 0
  int quality = 0;                  ///< GQ: how far the second is behind, at most 99
  std::vector<int> depths;          ///< [allele] AD: reads whose best allele is 0.2 or more before the next
  int depth = 0, unfit = 0;         ///< DP, UF
};

/// P(reads | genotype) = product over reads of the mean over its chromosomes of P(read | allele). Source: GATK 4,
/// GenotypeLikelihoodCalculator.
///   reads   those of `evidence` that are the sample's
/// Errors: internal (more than `kMostGenotypes` genotypes).
GenotypeCall genotype_call(const ReadEvidence& evidence, std::span<const std::int64_t> reads, std::int64_t ploidy);

/// What an allele is to the prior of its frequency.
enum class AlleleKind { reference, single_base, length_changing, spanning_deletion };

/// QUAL: -10 log10 P(no sample has any allele but REF or `*`), with allele frequencies by expectation maximisation from
/// pseudocounts of 10 (REF), 0.01 (single base) and 0.00125 (others). Nothing where no sample has reads.
/// Source: GATK 4, AlleleFrequencyCalculator.
///   kinds   [allele]
std::optional<double> variant_quality(std::span<const GenotypeCall> samples, std::span<const AlleleKind> kinds,
                                      std::span<const std::int64_t> ploidies);

}  // namespace kiban::variant
