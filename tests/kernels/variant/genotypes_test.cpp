#include "kernels/variant/genotypes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "tests/reference/variant.hpp"

namespace kiban::variant {
namespace {

TEST(Genotypes, AreInTheOrderOfVcf) {
  using All = std::vector<std::vector<int>>;
  EXPECT_EQ(genotypes(2, 2), (All{{0, 0}, {0, 1}, {1, 1}}));
  EXPECT_EQ(genotypes(3, 2), (All{{0, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2}, {2, 2}}));
  EXPECT_EQ(genotypes(3, 1), (All{{0}, {1}, {2}}));
  EXPECT_EQ(genotypes(2, 3), (All{{0, 0, 0}, {0, 0, 1}, {0, 1, 1}, {1, 1, 1}}));
  for (std::int64_t alleles = 1; alleles < 7; ++alleles)
    for (std::int64_t ploidy = 1; ploidy < 6; ++ploidy)
      EXPECT_EQ(genotype_count(alleles, ploidy), std::ssize(genotypes(alleles, ploidy)));
  EXPECT_EQ(genotype_count(44, 2), 990);
  EXPECT_GT(genotype_count(45, 2), kMostGenotypes);
  EXPECT_GT(genotype_count(1'000'000, 20), kMostGenotypes);
}

/// [read][allele] of a random sample that has this genotype.
std::vector<std::vector<double>> random_reads(std::mt19937& random, int alleles, const std::vector<int>& genotype,
                                              int count) {
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<std::vector<double>> reads;
  for (int read = 0; read < count; ++read) {
    std::vector<double>& own = reads.emplace_back();
    const int from = genotype[random() % genotype.size()];
    for (int allele = 0; allele < alleles; ++allele)
      own.push_back(allele == from ? -unit(random) : -1 - 3 * unit(random));
  }
  return reads;
}

ReadEvidence evidence_of(const std::vector<std::vector<double>>& reads, std::int64_t alleles) {
  ReadEvidence evidence{{}, std::vector<bool>(reads.size(), true), alleles};
  for (const std::vector<double>& read : reads)
    evidence.likelihoods.insert(evidence.likelihoods.end(), read.begin(), read.end());
  return evidence;
}

std::vector<std::int64_t> all_of(const std::vector<std::vector<double>>& reads) {
  std::vector<std::int64_t> all(reads.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(Genotypes, LikelihoodsAreThoseOfTheModel) {
  std::mt19937 random(3);
  for (int alleles = 2; alleles <= 4; ++alleles)
    for (int ploidy = 1; ploidy <= 4; ++ploidy) {
      std::vector<int> genotype;
      for (int i = 0; i < ploidy; ++i) genotype.push_back(static_cast<int>(random() % static_cast<unsigned>(alleles)));
      const auto reads = random_reads(random, alleles, genotype, 30);
      const GenotypeCall call = genotype_call(evidence_of(reads, alleles), all_of(reads), ploidy);
      const auto known = genotypes(alleles, ploidy);
      ASSERT_EQ(call.likelihoods.size(), known.size());
      double best = -std::numeric_limits<double>::infinity(), second = best;
      for (std::size_t g = 0; g < known.size(); ++g) {
        const double expected = reference::genotype_likelihood(reads, known[g]);
        EXPECT_NEAR(call.likelihoods[g], expected, 1e-10);
        second = std::max(second, std::min(best, expected));
        best = std::max(best, expected);
      }
      const auto most = std::ranges::max_element(call.likelihoods) - call.likelihoods.begin();
      EXPECT_EQ(call.genotype, known[static_cast<std::size_t>(most)]);
      EXPECT_EQ(call.quality, std::lround(std::min(99.0, 10 * (best - second))));
      for (std::size_t g = 0; g < known.size(); ++g)
        EXPECT_EQ(call.phred[g], std::lround(10 * (best - call.likelihoods[g])));
    }
}

TEST(Genotypes, QualityIsThatOfTheSearchForFrequencies) {
  std::mt19937 random(5);
  const AlleleKind all[] = {AlleleKind::reference, AlleleKind::single_base, AlleleKind::length_changing,
                            AlleleKind::spanning_deletion};
  const std::map<AlleleKind, double> pseudocount{{AlleleKind::reference, 10},
                                                 {AlleleKind::single_base, 0.01},
                                                 {AlleleKind::length_changing, 0.00125},
                                                 {AlleleKind::spanning_deletion, 0.00125}};
  for (int alleles = 2; alleles <= 4; ++alleles)
    for (int ploidy = 1; ploidy <= 3; ++ploidy)
      for (int variant = 0; variant < 3; ++variant) {
        std::vector<std::vector<std::vector<double>>> samples;
        std::vector<GenotypeCall> calls;
        for (int sample = 0; sample < 3; ++sample) {
          std::vector<int> genotype(static_cast<std::size_t>(ploidy), 0);
          if (sample < variant) genotype[0] = 1 + static_cast<int>(random() % static_cast<unsigned>(alleles - 1));
          samples.push_back(random_reads(random, alleles, genotype, 4 + sample * 5));
          calls.push_back(genotype_call(evidence_of(samples.back(), alleles), all_of(samples.back()), ploidy));
        }
        calls.emplace_back();  // a sample without reads says nothing
        const std::vector<AlleleKind> kinds(all, all + alleles);
        std::vector<double> pseudocounts;
        std::vector<bool> is_variant;
        for (const AlleleKind kind : kinds) {
          pseudocounts.push_back(pseudocount.at(kind));
          is_variant.push_back(kind == AlleleKind::single_base || kind == AlleleKind::length_changing);
        }
        const auto quality = variant_quality(calls, kinds, std::vector<std::int64_t>(calls.size(), ploidy));
        ASSERT_TRUE(quality);
        const double expected = reference::variant_quality(samples, ploidy, pseudocounts, is_variant);
        EXPECT_NEAR(*quality, expected, 1e-6 * std::max(1.0, expected)) << alleles << " alleles, ploidy " << ploidy;
      }
  EXPECT_FALSE(variant_quality(std::vector<GenotypeCall>(2),
                               std::vector{AlleleKind::reference, AlleleKind::single_base},
                               std::vector<std::int64_t>{2, 2}));
}

TEST(Genotypes, AReadIsNeverFurtherThanTheCapFromItsBest) {
  // Two reads, four haplotypes, of alleles 0, 1, 1, 3: allele 2 has none.
  const std::vector<double> likelihoods{-1, -20, -2, -3.5, -9, -9, -10, -30};
  const ReadEvidence evidence =
      read_evidence(likelihoods, std::vector<std::int64_t>{100, 50}, std::vector<int>{0, 1, 1, 3}, 4);
  const std::vector<double> expected{-1, -2, -5.5, -3.5, -9, -9, -13.5, -13.5};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_DOUBLE_EQ(evidence.likelihoods[i], expected[i]) << i;
  EXPECT_TRUE(evidence.fits[0]);
  EXPECT_FALSE(evidence.fits[1]);  // 50 bases allow one error: -4
}

TEST(Genotypes, WhatIsImpossibleSaysNothing) {
  const double never = -std::numeric_limits<double>::infinity();
  const ReadEvidence evidence =
      read_evidence(std::vector<double>{never, never}, std::vector<std::int64_t>{10}, std::vector<int>{0, 1}, 2);
  const GenotypeCall call = genotype_call(evidence, std::vector<std::int64_t>{0}, 2);
  EXPECT_EQ(call.phred, (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(call.unfit, 1);
  EXPECT_EQ(call.depths, (std::vector<int>{0, 0}));
}

TEST(Genotypes, DepthsCountReadsThatTellAllelesApart) {
  ReadEvidence evidence{{-1, -1.1, -1, -1.25, -3, -1, -1, -1}, {true, true, false, true}, 2};
  const GenotypeCall call = genotype_call(evidence, std::vector<std::int64_t>{0, 1, 2, 3}, 2);
  EXPECT_EQ(call.depths, (std::vector<int>{1, 1}));
  EXPECT_EQ(call.depth, 4);
  EXPECT_EQ(call.unfit, 1);
  const GenotypeCall none = genotype_call(evidence, {}, 2);
  EXPECT_TRUE(none.genotype.empty());
  EXPECT_EQ(none.depth, 0);
}

}  // namespace
}  // namespace kiban::variant
