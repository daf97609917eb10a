#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Naive twins of kernels/variant: the formula as it stands, in long double.
namespace kiban::reference {

/// A read with the qualities of each of its bases.
struct Read {
  std::string bases;
  std::vector<std::uint8_t> base_quality, insertion_quality, deletion_quality, gap_quality;
};

/// log10 of the likelihood of a read given a haplotype, see kernels/variant/pairhmm.hpp. In logarithms where a long
/// double (10^-4932) does not reach.
double pairhmm(const Read& read, const std::string& haplotype);

/// All ways in which `ploidy` chromosomes take one of `alleles`, in any order, counted with base `alleles`.
std::vector<std::vector<int>> ordered_genotypes(int alleles, int ploidy);

/// log10 of the product over reads of the mean over a genotype's chromosomes of 10^likelihood.
///   likelihoods   [read][allele] log10
double genotype_likelihood(const std::vector<std::vector<double>>& likelihoods, const std::vector<int>& genotype);

/// QUAL of kernels/variant/genotypes.hpp: expectation maximisation over ordered genotypes, as probabilities.
///   samples        [sample][read][allele] log10
///   pseudocounts   [allele]
///   is_variant     [allele]
double variant_quality(const std::vector<std::vector<std::vector<double>>>& samples, int ploidy,
                       const std::vector<double>& pseudocounts, const std::vector<bool>& is_variant);

}  // namespace kiban::reference
