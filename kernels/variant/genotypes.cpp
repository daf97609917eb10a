#include "kernels/variant/genotypes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/core/error.hpp"

namespace kiban::variant {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr double kInformative = 0.2;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

double log10_sum(std::span<const double> terms) {
  const double most = *std::ranges::max_element(terms);
  if (most == kNever) return kNever;
  double sum = 0;
  for (const double term : terms) sum += std::pow(10.0, term - most);
  return most + std::log10(sum);
}

void append_genotypes(std::int64_t alleles, std::int64_t ploidy, std::vector<int>& suffix,
                      std::vector<std::vector<int>>& made) {
  if (ploidy == 0) {
    made.emplace_back(suffix.rbegin(), suffix.rend());
    return;
  }
  for (std::int64_t allele = 0; allele < alleles; ++allele) {
    suffix.push_back(static_cast<int>(allele));
    append_genotypes(allele + 1, ploidy - 1, suffix, made);
    suffix.pop_back();
  }
}

/// [allele] how often a genotype has it.
std::vector<int> counts_of(const std::vector<int>& genotype, std::size_t alleles) {
  std::vector<int> counts(alleles);
  for (const int allele : genotype) ++counts[static_cast<std::size_t>(allele)];
  return counts;
}

std::vector<double> likelihoods_of(const ReadEvidence& evidence, std::span<const std::int64_t> reads,
                                   const std::vector<std::vector<int>>& all, std::int64_t ploidy) {
  const std::size_t alleles = at(evidence.alleles);
  std::vector<double> sums(all.size(), 0.0), weights(alleles);
  for (const std::int64_t read : reads) {
    const std::span<const double> own = std::span(evidence.likelihoods).subspan(at(read) * alleles, alleles);
    const double best = *std::ranges::max_element(own);
    for (std::size_t allele = 0; allele < alleles; ++allele) weights[allele] = std::pow(10.0, own[allele] - best);
    for (std::size_t g = 0; g < all.size(); ++g) {
      double mean = 0;
      for (const int allele : all[g]) mean += weights[static_cast<std::size_t>(allele)];
      sums[g] += best + std::log10(mean / static_cast<double>(ploidy));
    }
  }
  return sums;
}

void count_depths(const ReadEvidence& evidence, std::span<const std::int64_t> reads, GenotypeCall& call) {
  const std::size_t alleles = at(evidence.alleles);
  call.depths.assign(alleles, 0);
  call.depth = static_cast<int>(reads.size());
  for (const std::int64_t read : reads) {
    call.unfit += evidence.fits[at(read)] ? 0 : 1;
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t allele = 0; allele < alleles; ++allele)
      order.emplace_back(-evidence.likelihoods[at(read) * alleles + allele], allele);
    std::ranges::partial_sort(order, order.begin() + std::min<std::ptrdiff_t>(2, std::ssize(order)));
    if (alleles == 1 || order[1].first - order[0].first >= kInformative) ++call.depths[order[0].second];
  }
}

double log10_factorial(std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 2; i <= n; ++i) sum += std::log10(static_cast<double>(i));
  return sum;
}

/// [genotype] log10 of how many orders of its alleles there are.
double log10_orders(const std::vector<int>& counts, std::int64_t ploidy) {
  double orders = log10_factorial(ploidy);
  for (const int count : counts) orders -= log10_factorial(count);
  return orders;
}

/// A sample in the search for allele frequencies: its genotypes as counts of alleles.
struct SampleInSearch {
  std::vector<std::vector<int>> counts;  ///< [genotype][allele]
  std::vector<double> likelihoods;       ///< [genotype] with the number of orders, log10

  /// [genotype] log10 posterior under these frequencies.
  std::vector<double> posteriors(const std::vector<double>& log10_frequency) const {
    std::vector<double> terms = likelihoods;
    for (std::size_t g = 0; g < terms.size(); ++g)
      for (std::size_t allele = 0; allele < log10_frequency.size(); ++allele)
        if (counts[g][allele] > 0) terms[g] += counts[g][allele] * log10_frequency[allele];
    const double sum = log10_sum(terms);
    for (double& term : terms) term -= sum;
    return terms;
  }
};

double pseudocount(AlleleKind kind) {
  switch (kind) {
    case AlleleKind::reference:
      return 10;
    case AlleleKind::single_base:
      return 10 * 1e-3;
    case AlleleKind::length_changing:
    case AlleleKind::spanning_deletion:
      break;
  }
  return 10.0 / 8000;
}

/// [allele] log10 frequencies after expectation maximisation.
std::vector<double> allele_frequencies(const std::vector<SampleInSearch>& samples, std::span<const AlleleKind> kinds) {
  constexpr double kConverged = 0.1;
  std::vector<double> frequency(kinds.size(), -std::log10(static_cast<double>(kinds.size())));
  std::vector<double> expected(kinds.size(), 0.0);
  for (double change = 1; change > kConverged;) {
    std::vector<double> now(kinds.size(), 0.0);
    for (const SampleInSearch& sample : samples) {
      const std::vector<double> posteriors = sample.posteriors(frequency);
      for (std::size_t g = 0; g < posteriors.size(); ++g)
        for (std::size_t allele = 0; allele < kinds.size(); ++allele)
          now[allele] += sample.counts[g][allele] * std::pow(10.0, posteriors[g]);
    }
    change = 0;
    double total = 0;
    for (std::size_t allele = 0; allele < kinds.size(); ++allele) {
      change = std::max(change, std::abs(now[allele] - expected[allele]));
      total += now[allele] + pseudocount(kinds[allele]);
    }
    expected = std::move(now);
    for (std::size_t allele = 0; allele < kinds.size(); ++allele)
      frequency[allele] = std::log10((expected[allele] + pseudocount(kinds[allele])) / total);
  }
  return frequency;
}

/// log10 P(only reference or a deletion that began before), of one sample.
double log10_no_variant(const SampleInSearch& sample, const std::vector<double>& frequency,
                        std::span<const AlleleKind> kinds) {
  const std::vector<double> posteriors = sample.posteriors(frequency);
  std::vector<double> terms;
  for (std::size_t g = 0; g < posteriors.size(); ++g) {
    bool variant = false;
    for (std::size_t allele = 0; allele < kinds.size(); ++allele)
      variant |= sample.counts[g][allele] > 0 && kinds[allele] != AlleleKind::reference &&
                 kinds[allele] != AlleleKind::spanning_deletion;
    if (!variant) terms.push_back(posteriors[g]);
  }
  return std::min(0.0, log10_sum(terms));
}

}  // namespace

std::int64_t genotype_count(std::int64_t alleles, std::int64_t ploidy) {
  std::int64_t count = 1;  // (alleles + ploidy - 1) over ploidy
  for (std::int64_t i = 1; i <= ploidy; ++i) {
    count = count * (alleles - 1 + i) / i;
    if (count > kMostGenotypes) return kMostGenotypes + 1;
  }
  return count;
}

std::vector<std::vector<int>> genotypes(std::int64_t alleles, std::int64_t ploidy) {
  std::vector<std::vector<int>> made;
  std::vector<int> suffix;
  append_genotypes(alleles, ploidy, suffix, made);
  return made;
}

ReadEvidence read_evidence(std::span<const double> likelihoods, std::span<const std::int64_t> lengths,
                           std::span<const int> allele_of, std::int64_t alleles) {
  const std::size_t reads = lengths.size(), haplotypes = allele_of.size(), kinds = at(alleles);
  ReadEvidence evidence{std::vector<double>(reads * kinds), std::vector<bool>(reads), alleles};
  for (std::size_t read = 0; read < reads; ++read) {
    const std::span<const double> of_haplotypes = likelihoods.subspan(read * haplotypes, haplotypes);
    const double best = *std::ranges::max_element(of_haplotypes);
    const double errors = std::min(2.0, std::ceil(static_cast<double>(lengths[read]) * 0.02));
    evidence.fits[read] = best >= -4 * errors;
    double* const own = evidence.likelihoods.data() + read * kinds;
    // What no haplotype makes possible tells nothing apart.
    std::fill_n(own, kinds, best == kNever ? 0.0 : best - kMismapping);
    for (std::size_t h = 0; h < haplotypes && best != kNever; ++h)
      own[allele_of[h]] = std::max(own[allele_of[h]], of_haplotypes[h]);
  }
  return evidence;
}

GenotypeCall genotype_call(const ReadEvidence& evidence, std::span<const std::int64_t> reads, std::int64_t ploidy) {
  if (genotype_count(evidence.alleles, ploidy) > kMostGenotypes)
    throw Error(ErrorCode::internal, "a site has more genotypes than are computed");
  GenotypeCall call;
  count_depths(evidence, reads, call);
  if (reads.empty()) return call;
  const std::vector<std::vector<int>> all = genotypes(evidence.alleles, ploidy);
  call.likelihoods = likelihoods_of(evidence, reads, all, ploidy);
  const auto best = static_cast<std::size_t>(std::ranges::max_element(call.likelihoods) - call.likelihoods.begin());
  call.genotype = all[best];
  double second = kNever;
  for (std::size_t g = 0; g < all.size(); ++g) {
    if (g != best) second = std::max(second, call.likelihoods[g]);
    const double phred = -10 * (call.likelihoods[g] - call.likelihoods[best]);
    call.phred.push_back(static_cast<int>(std::lround(std::min(phred, 1e9))));
  }
  call.quality = static_cast<int>(std::lround(std::min(99.0, 10 * (call.likelihoods[best] - second))));
  return call;
}

std::optional<double> variant_quality(std::span<const GenotypeCall> samples, std::span<const AlleleKind> kinds,
                                      std::span<const std::int64_t> ploidies) {
  std::vector<SampleInSearch> in_search;
  for (std::size_t s = 0; s < samples.size(); ++s) {
    if (samples[s].likelihoods.empty()) continue;
    SampleInSearch sample{{}, samples[s].likelihoods};
    for (const std::vector<int>& genotype : genotypes(static_cast<std::int64_t>(kinds.size()), ploidies[s]))
      sample.counts.push_back(counts_of(genotype, kinds.size()));
    for (std::size_t g = 0; g < sample.counts.size(); ++g)
      sample.likelihoods[g] += log10_orders(sample.counts[g], ploidies[s]);
    in_search.push_back(std::move(sample));
  }
  if (in_search.empty()) return std::nullopt;
  const std::vector<double> frequency = allele_frequencies(in_search, kinds);
  double log10_none = 0;
  for (const SampleInSearch& sample : in_search) log10_none += log10_no_variant(sample, frequency, kinds);
  return std::abs(10 * log10_none);
}

}  // namespace kiban::variant
