#include <algorithm>
#include <cmath>

#include "tests/reference/variant.hpp"

namespace kiban::reference {
namespace {

/// [ordered genotype] posterior of one sample under these frequencies.
std::vector<long double> posteriors(const std::vector<std::vector<double>>& reads,
                                    const std::vector<std::vector<int>>& all,
                                    const std::vector<long double>& frequency) {
  std::vector<long double> made;
  for (const std::vector<int>& genotype : all) {
    long double value = std::pow(10.0L, static_cast<long double>(genotype_likelihood(reads, genotype)));
    for (const int allele : genotype) value *= frequency[static_cast<std::size_t>(allele)];
    made.push_back(value);
  }
  long double sum = 0;
  for (const long double value : made) sum += value;
  for (long double& value : made) value /= sum;
  return made;
}

}  // namespace

std::vector<std::vector<int>> ordered_genotypes(int alleles, int ploidy) {
  std::vector<std::vector<int>> all{{}};
  for (int chromosome = 0; chromosome < ploidy; ++chromosome) {
    std::vector<std::vector<int>> more;
    for (const std::vector<int>& some : all)
      for (int allele = 0; allele < alleles; ++allele) {
        more.push_back(some);
        more.back().push_back(allele);
      }
    all = more;
  }
  return all;
}

double genotype_likelihood(const std::vector<std::vector<double>>& likelihoods, const std::vector<int>& genotype) {
  long double sum = 0;
  for (const std::vector<double>& read : likelihoods) {
    long double mean = 0;
    for (const int allele : genotype)
      mean += std::pow(10.0L, static_cast<long double>(read[static_cast<std::size_t>(allele)])) /
              static_cast<long double>(genotype.size());
    sum += std::log10(mean);
  }
  return static_cast<double>(sum);
}

double variant_quality(const std::vector<std::vector<std::vector<double>>>& samples, int ploidy,
                       const std::vector<double>& pseudocounts, const std::vector<bool>& is_variant) {
  const std::size_t alleles = pseudocounts.size();
  const std::vector<std::vector<int>> all = ordered_genotypes(static_cast<int>(alleles), ploidy);
  std::vector<long double> frequency(alleles, 1.0L / static_cast<long double>(alleles)), counts(alleles, 0.0L);
  for (long double change = 1; change > 0.1L;) {
    std::vector<long double> now(alleles, 0.0L);
    for (const auto& reads : samples) {
      const std::vector<long double> of = posteriors(reads, all, frequency);
      for (std::size_t g = 0; g < all.size(); ++g)
        for (const int allele : all[g]) now[static_cast<std::size_t>(allele)] += of[g];
    }
    change = 0;
    long double total = 0;
    for (std::size_t a = 0; a < alleles; ++a) {
      change = std::max(change, std::abs(now[a] - counts[a]));
      total += now[a] + static_cast<long double>(pseudocounts[a]);
    }
    counts = now;
    for (std::size_t a = 0; a < alleles; ++a)
      frequency[a] = (counts[a] + static_cast<long double>(pseudocounts[a])) / total;
  }
  long double log10_none = 0;
  for (const auto& reads : samples) {
    const std::vector<long double> of = posteriors(reads, all, frequency);
    long double none = 0;
    for (std::size_t g = 0; g < all.size(); ++g)
      if (std::ranges::none_of(all[g], [&](int allele) { return is_variant[static_cast<std::size_t>(allele)]; }))
        none += of[g];
    log10_none += std::log10(none);
  }
  return static_cast<double>(-10 * log10_none);
}

}  // namespace kiban::reference
