#include "kernels/variant/haplotypes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace kiban::variant {
namespace {

//                             1000      1010      1020
//                             0123456789012345678901234
const std::string kReference = "GATTACAGGCTTAAGCCTGATCCAT";
const ReferenceStretch kStretch{1000, kReference};

CandidateSite site(std::int64_t position, const std::string& ref, const std::vector<std::string>& alts) {
  CandidateSite made{position, {}, -1};
  for (std::size_t i = 0; i < alts.size(); ++i) {
    if (alts[i] == "*") made.star = static_cast<std::int64_t>(i);
    made.alternates.push_back(alts[i] == "*" ? Edit{} : normalised_edit(kStretch, position, ref, alts[i]));
  }
  return made;
}

std::vector<LocalHaplotypes> of(const std::vector<CandidateSite>& sites) {
  return local_haplotypes(kStretch, 1000, 1025, sites);
}

int allele(const LocalHaplotypes& made, std::size_t site, const std::string& bases) {
  const auto found = std::ranges::find(made.bases, bases);
  if (found == made.bases.end()) return -9;
  return made.allele_of[site][static_cast<std::size_t>(found - made.bases.begin())];
}

TEST(Haplotypes, NeighboursCombine) {
  const auto made = of({site(1002, "T", {"C"}), site(1008, "G", {"GA", "T"})});
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].sites, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(made[0].bases[0], kReference);
  EXPECT_EQ(made[0].bases.size(), 6U);
  const std::string both = "GACTACAGGACTTAAGCCTGATCCAT", second = "GATTACAGTCTTAAGCCTGATCCAT";
  EXPECT_EQ(allele(made[0], 0, both), 1);
  EXPECT_EQ(allele(made[0], 1, both), 1);
  EXPECT_EQ(allele(made[0], 0, second), 0);
  EXPECT_EQ(allele(made[0], 1, second), 2);
}

TEST(Haplotypes, WhatSharesABaseDoesNotCombine) {
  // A deletion of GGC, a base within it, two insertions at one place where it ends, and a deletion beyond.
  const auto made = of({site(1006, "AGGC", {"A"}), site(1008, "G", {"T"}), site(1009, "C", {"CA"}),
                        site(1009, "C", {"CG"}), site(1011, "TAA", {"T"})});
  ASSERT_EQ(made.size(), 1U);
  const std::set<std::string> found(made[0].bases.begin(), made[0].bases.end());
  EXPECT_EQ(found.size(), made[0].bases.size());
  EXPECT_TRUE(found.contains("GATTACATTGCCTGATCCAT"));    // both deletions
  EXPECT_TRUE(found.contains("GATTACATTAAGCCTGATCCAT"));  // the first alone
  for (const std::string& bases : found) EXPECT_EQ(bases.find("GCAGTTAA"), std::string::npos) << bases;
}

TEST(Haplotypes, ADeletedSiteIsReferenceUnlessTheStarIsListed) {
  const std::string deleted = "GATTACATTAAGCCTGATCCAT";
  const auto plain = of({site(1006, "AGGC", {"A"}), site(1008, "G", {"T"})});
  EXPECT_EQ(allele(plain[0], 0, deleted), 1);
  EXPECT_EQ(allele(plain[0], 1, deleted), 0);
  EXPECT_FALSE(plain[0].spanned[0]);
  EXPECT_TRUE(plain[0].spanned[1]);
  const auto starred = of({site(1006, "AGGC", {"A"}), site(1008, "G", {"T", "*"})});
  EXPECT_EQ(allele(starred[0], 1, deleted), 2);
  EXPECT_FALSE(starred[0].spanned[1]);
}

TEST(Haplotypes, OneVariantInTwoRecordsIsOneVariant) {
  // The same deletion stated twice, and two bases stated together and apart.
  const auto made = of({site(1001, "ATT", {"AT"}), site(1002, "TT", {"T"}), site(1004, "AC", {"GT"}),
                        site(1004, "A", {"G"}), site(1005, "C", {"T"})});
  ASSERT_EQ(made.size(), 1U);
  const std::string shorter = "GATACAGGCTTAAGCCTGATCCAT", two = "GATTGTAGGCTTAAGCCTGATCCAT";
  EXPECT_EQ(allele(made[0], 0, shorter), 1);
  EXPECT_EQ(allele(made[0], 1, shorter), 1);
  for (std::size_t s : {2U, 3U, 4U}) EXPECT_EQ(allele(made[0], s, two), 1) << s;
  EXPECT_EQ(std::set<std::string>(made[0].bases.begin(), made[0].bases.end()).size(), made[0].bases.size());
}

TEST(Haplotypes, OppositeChangesOfARepeatAreNoReference) {
  // A base more and a base less of TT, and of AA; and a base beside a run that becomes one of it.
  const auto made = of({site(1001, "ATT", {"AT", "ATTT"}), site(1001, "A", {"AT"}), site(1001, "ATT", {"AT"}),
                        site(1001, "A", {"T"}), site(1000, "GA", {"G"})});
  for (std::size_t s = 0; s < made[0].sites.size(); ++s) EXPECT_EQ(allele(made[0], s, kReference), 0) << s;
  EXPECT_EQ(allele(made[0], 4, "GTTACAGGCTTAAGCCTGATCCAT"), 1);  // A gone, not: A to T and a T gone
  EXPECT_EQ(allele(made[0], 3, "GTTACAGGCTTAAGCCTGATCCAT"), 0);
}

TEST(Haplotypes, AllelesOfOneRecordDoNotCombine) {
  const auto made = of({site(1002, "TTAC", {"GTAC", "TTAG"})});
  ASSERT_EQ(made[0].bases.size(), 3U);
}

TEST(Haplotypes, InADenseClusterEachSiteHasItsNearestNeighbours) {
  std::vector<CandidateSite> sites;
  for (std::int64_t at = 1001; at < 1024; at += 2)
    sites.push_back(site(at, std::string(1, kStretch.at(at)), {kStretch.at(at) == 'A' ? "C" : "A"}));
  const auto made = of(sites);
  ASSERT_EQ(made.size(), sites.size());
  for (std::size_t s = 0; s < made.size(); ++s) {
    EXPECT_EQ(made[s].sites, (std::vector<std::int64_t>{static_cast<std::int64_t>(s)}));
    EXPECT_EQ(made[s].bases.size(), kMostAlone);
    EXPECT_EQ(std::ranges::count(made[s].allele_of[0], 1), static_cast<std::ptrdiff_t>(kMostAlone / 2));
  }
  // The sixth: itself, its neighbours at two bases, and of those at four the left one.
  for (const std::string& bases : made[5].bases)
    for (std::size_t i = 0; i < bases.size(); ++i)
      if (bases[i] != kReference[i]) {
        EXPECT_TRUE(i == 7 || i == 9 || i == 11 || i == 13) << i;
      }
}

TEST(Haplotypes, ManyAllelesOfOneSiteAreKept) {
  std::vector<std::string> alts;
  for (int i = 1; i <= 40; ++i) {
    alts.emplace_back(static_cast<std::size_t>(i) + 1, 'C');
    alts.back().front() = 'G';
  }
  const auto made = of({site(1008, "G", alts)});
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].bases.size(), 41U);
}

}  // namespace
}  // namespace kiban::variant
