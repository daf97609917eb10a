#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "engine/operations/genotype_clusters.hpp"
#include "engine/operations/standard.hpp"
#include "engine/runner.hpp"
#include "kernels/core/device.hpp"
#include "kernels/variant/edits.hpp"
#include "tests/engine/operations/genome_site.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/genome_files.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::engine {
namespace {

using test::GenomeSite;

/// The slice of NA12878 with NIST's alleles, or nothing where the data are missing.
struct Slice {
  std::filesystem::path bam, cram, reference, truth;
};
std::optional<Slice> slice() {
  const auto file = [](const std::string& name) { return test::test_data("genome/" + name); };
  const auto bam = file("NA12878_S1.chr20.10_10p1mb.bam"), cram = file("NA12878_S1.chr20.10_10p1mb.cram");
  const auto reference = file("ucsc.hg19.chr20.unittest.fasta.gz");
  const auto truth = file("test_nist.b37_chr20_100kbp_at_10mb.vcf.gz");
  if (!bam || !cram || !reference || !truth) return std::nullopt;
  return Slice{*bam, *cram, *reference, *truth};
}

std::string genotype_of(const std::string& line) { return test::fields_of(test::fields_of(line)[9], ':')[0]; }

/// How often a genotype has this allele, phase ignored.
std::ptrdiff_t dosage(const std::string& genotype, std::size_t allele) {
  std::string unphased = genotype;
  std::ranges::replace(unphased, '|', '/');
  return std::ranges::count(test::fields_of(unphased, '/'), std::to_string(allele));
}

TEST(Genotype, EveryAlleleOfNistIsRightInBamAndCram) {
  const auto data = slice();
  if (!data) GTEST_SKIP() << "the test data are missing";
  const test::Scratch scratch;
  const auto run_on = [&](const std::filesystem::path& reads, const std::string& name, int threads) {
    GenomeSite::run(
        {{"reads", reads}, {"reference", data->reference}, {"candidates", data->truth}, {"scored", scratch / name}},
        threads);
    return test::content_of(scratch / name);
  };
  const std::string of_bam = run_on(data->bam, "bam.vcf.gz", 1);
  EXPECT_EQ(of_bam, run_on(data->cram, "cram.vcf.gz", 1));
  EXPECT_EQ(of_bam, run_on(data->bam, "two.vcf.gz", 2));
  const auto truth = test::variant_lines(data->truth), found = test::variant_lines(scratch / "bam.vcf.gz");
  ASSERT_EQ(truth.size(), found.size());
  std::map<bool, std::pair<int, int>> right_of;  // by whether the allele is a single base
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const auto expected = test::fields_of(truth[i]), fields = test::fields_of(found[i]);
    for (std::size_t column = 0; column < 5; ++column) ASSERT_EQ(fields[column], expected[column]);
    const auto alts = test::fields_of(fields[4], ',');
    for (std::size_t allele = 1; allele <= alts.size(); ++allele) {
      auto& [right, all] = right_of[fields[3].size() == alts[allele - 1].size()];
      ++all;
      right +=
          dosage(genotype_of(truth[i]), allele) == dosage(genotype_of(found[i]), allele) && std::stod(fields[5]) >= 30;
    }
  }
  EXPECT_EQ(right_of[true], std::pair(186, 186));
  EXPECT_EQ(right_of[false], std::pair(36, 36));
}

TEST(Genotype, EveryBatchGivesTheSameLikelihoods) {
  const auto data = slice();
  if (!data) GTEST_SKIP() << "the test data are missing";
  CandidateStream candidates({data->truth, data->reference, {}, 2, {}});
  ReadsPool pool({data->bam}, data->reference, candidates.reference_contigs());
  const CandidateStretch stretch = candidates.next();
  BaseAgreement agreement;
  const std::vector<ClusterReads> reads = pool.fetch(stretch, agreement);
  EXPECT_GT(agreement.compared, 100'000);
  EXPECT_GT(agreement.equal, agreement.compared * 99 / 100);
  std::vector<PreparedCluster> prepared;
  for (std::size_t c = 0; c < stretch.clusters.size(); ++c)
    prepared.push_back(prepare(stretch.clusters[c], reads[c], variant::PcrModel::conservative));
  ASSERT_GT(prepared.size(), 20U);
  Stream one(Device{}, 1), two(Device{}, 2);
  const std::vector<ClusterLikelihoods> together = score(two, prepared);
  for (std::size_t c = 0; c < prepared.size(); ++c)
    EXPECT_EQ(score(one, std::span(prepared).subspan(c, 1))[0], together[c]) << c;
}

TEST(Genotype, TheSimulatorGivesTheSameFile) {
  const auto data = slice();
  if (!data) GTEST_SKIP() << "the test data are missing";
  const test::Scratch scratch;
  std::vector<std::string> contents;
  for (const Device device : test::devices_under_test()) {
    const std::filesystem::path out = scratch / (test::test_name(device) + ".vcf.gz");
    GenomeSite::run({{"reads", data->bam},
                     {"reference", data->reference},
                     {"candidates", data->truth},
                     {"scored", out},
                     {"regions", "chr20:10000000-10001500"}},
                    2, device);
    contents.push_back(test::content_of(out));
    EXPECT_EQ(test::variant_lines(out).size(), 10U);
    EXPECT_EQ(contents.back(), contents.front()) << name(device);
  }
}

TEST(Genotype, PloidyAndSamplesAreThoseAskedFor) {
  GenomeSite site;
  site.reads("father", 20, 40, {});
  site.reads("mother", 20, 40, {{30, 31, "T"}});
  site.reads("child", 10, 40, {{30, 31, "T"}});
  site.reads("child", 10, 40, {});
  const auto candidates = site.candidates({site.record(30, 1, "T"), site.record(130, 1, "G")});
  const std::string bed = site.scratch.write("p.bed", "chr1\t25\t40\t1\nchr1\t100\t200\t3\n");
  const auto plain = site.genotyped(candidates), ploid = site.genotyped(candidates, {{"ploidy-regions", bed}});
  const auto samples = [](const std::string& line) {
    std::vector<std::string> found;
    for (const std::string& field : test::fields_of(line)) found.push_back(test::fields_of(field, ':')[0]);
    return std::vector<std::string>(found.begin() + 9, found.end());
  };
  EXPECT_EQ(samples(plain[0]), (std::vector<std::string>{"0/0", "1/1", "0/1"}));
  EXPECT_EQ(samples(plain[1]), (std::vector<std::string>{"./.", "./.", "./."}));
  EXPECT_EQ(test::fields_of(plain[1])[5], ".");
  EXPECT_EQ(samples(ploid[0])[0], "0");
  EXPECT_EQ(samples(ploid[0])[1], "1");
  EXPECT_EQ(samples(ploid[1])[0], "././.");
  EXPECT_EQ(samples(site.genotyped(candidates, {{"ploidy", "4"}})[0])[2], "0/0/1/1");
}

TEST(Genotype, WhatCannotBeScoredIsPassedThroughWithItsReason) {
  GenomeSite site;
  site.reads("s", 20, 40, {});
  std::string many;
  for (int i = 1; i <= 45; ++i)
    many.append(i > 1 ? "," : "").append(site.base(40) + std::string(static_cast<std::size_t>(i), 'G'));
  const std::vector<std::pair<std::string, std::string>> cases{{"<DEL>", "symbolic_allele"},
                                                               {"<NON_REF>", "NON_REF"},
                                                               {"<*>", "NON_REF"},
                                                               {"A[chr1:50[", "breakend"},
                                                               {".A", "breakend"},
                                                               {".", "no_ALT"},
                                                               {site.base(40), "ALT_is_REF"},
                                                               {"*", "no_ALT_but_a_spanning_deletion"},
                                                               {"R", "ALT_is_not_ACGTN"},
                                                               {many, "more_than_1024_genotypes"},
                                                               {std::string(1001, 'A'), "allele_longer_than_1000"}};
  std::vector<std::string> records;
  for (const auto& [alt, reason] : cases) records.push_back(site.record(40, 1, alt));
  const auto lines = site.genotyped(site.candidates(records));
  ASSERT_EQ(lines.size(), cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto fields = test::fields_of(lines[i]);
    EXPECT_EQ(fields[4], cases[i].first);
    EXPECT_EQ(fields[7], "UNSCORED=" + cases[i].second);
    EXPECT_EQ(fields[8], "GT");
    EXPECT_EQ(fields[9], ".");
  }
}

TEST(Genotype, ADeletedSiteIsReferenceOrTheStar) {
  GenomeSite site;
  site.reads("s", 15, 40, {});
  site.reads("s", 15, 40, {{38, 44, ""}});
  const std::string deletion = site.record(37, 7, site.base(37)), plain = site.record(40, 1, site.other(40));
  const auto lines = site.genotyped(site.candidates({deletion, plain}));
  EXPECT_EQ(genotype_of(lines[0]), "0/1");
  EXPECT_EQ(genotype_of(lines[1]), "0/0");
  EXPECT_EQ(test::fields_of(lines[1])[7], "SPANDEL");
  const auto starred = site.genotyped(site.candidates({deletion, site.record(40, 1, site.other(40) + ",*")}));
  EXPECT_EQ(genotype_of(starred[1]), "0/2");
  EXPECT_EQ(test::fields_of(starred[1])[7], ".");
  EXPECT_LT(std::stod(test::fields_of(starred[1])[5]), 1);
}

TEST(Genotype, ReadsThatTheRulesExcludeDoNotCount) {
  GenomeSite site;
  site.reads("s", 10, 40, {});
  for (const int flags : {0x100, 0x200, 0x400, 0x800}) site.reads("s", 10, 40, {{40, 41, site.other(40)}}, flags);
  site.reads("s", 10, 40, {{40, 41, site.other(40)}}, 0, 19);
  const auto line = site.genotyped(site.candidates({site.record(40, 1, site.other(40))}))[0];
  EXPECT_EQ(genotype_of(line), "0/0");
  EXPECT_EQ(test::fields_of(test::fields_of(line)[9], ':')[2], "10");
}

TEST(Genotype, OfManyReadsAThousandAreLookedAt) {
  GenomeSite site;
  site.reads("s", 1500, 40, {});
  site.reads("s", 1500, 40, {{40, 41, site.other(40)}});
  site.reads("t", 30, 40, {});
  const auto candidates = site.candidates({site.record(40, 1, site.other(40))});
  const auto line = site.genotyped(candidates)[0];
  const auto fields = test::fields_of(line);
  EXPECT_EQ(test::fields_of(fields[9], ':')[0], "0/1");
  EXPECT_EQ(test::fields_of(fields[9], ':')[2], "1000");
  EXPECT_EQ(test::fields_of(fields[10], ':')[2], "30");
  EXPECT_EQ(line, site.genotyped(candidates)[0]);
}

TEST(Genotype, SeveralFilesAreSeveralSamples) {
  GenomeSite one, two;
  one.reads("a", 10, 40, {});
  two.reads("b", 10, 40, {{40, 41, two.other(40)}});
  const std::string first = one.write_bam("one.bam"), second = two.write_bam("two.bam");
  const std::string list = one.scratch.write("reads.txt", first + "\n" + second + "\n");
  const auto lines = one.genotyped(one.candidates({one.record(40, 1, one.other(40))}), {{"reads", list}});
  const auto fields = test::fields_of(lines[0]);
  EXPECT_EQ(fields[9].substr(0, 3), "0/0");
  EXPECT_EQ(fields[10].substr(0, 3), "1/1");
}

TEST(Genotype, BothRepresentationsOfAnIndelAreOne) {
  GenomeSite site("GATTACAGTCCGATCTTGCAAGCT" + std::string("CACACACACACA") +
                  "GGTTCAGATCCGATTAGCCAGTACGATCAGCATTTGACGACGTACCATG");
  site.reads("s", 30, 25, {{24, 26, ""}});
  const auto lines =
      site.genotyped(site.candidates({site.record(23, 3, site.base(23)), site.record(33, 3, site.base(33))}));
  EXPECT_EQ(genotype_of(lines[0]), "1/1");
  EXPECT_EQ(genotype_of(lines[1]), "1/1");
}

/// Whatever stands side by side, at the ends of the sequence too, with reads that are clipped and shifted at will.
TEST(Genotype, AnyCandidatesComeOutAgain) {
  std::mt19937 random(17);
  const auto below = [&](std::size_t limit) { return static_cast<std::int64_t>(random() % limit); };
  const auto letters = [&](std::int64_t count) {
    std::string made;
    for (std::int64_t i = 0; i < count; ++i) made += "ACGTN"[random() % 5];
    return made;
  };
  for (int round = 0; round < 60; ++round) {
    GenomeSite site(std::string(40, 'A') + "CACACACACACA" + letters(20));
    for (int read = 0; read < 40; ++read) {
      const std::int64_t about = 30 + below(240);
      const std::int64_t begin = about - 25 + below(20), end = begin + below(5);
      site.reads(read % 3 == 0 ? "s" : "t", 1, about, {{begin, end, letters(below(6)), end}}, 0,
                 static_cast<int>(below(61)));
    }
    std::map<std::int64_t, std::vector<std::string>> records;
    for (std::int64_t count = below(round % 2 == 0 ? 8 : 120); count >= 0; --count) {
      const std::int64_t position = below(300),
                         length = 1 + below(static_cast<std::size_t>(std::min<std::int64_t>(25, 300 - position)));
      std::string alts;
      for (std::int64_t alt = below(3); alt >= 0; --alt)
        alts += (below(9) == 0 ? "*" : (below(2) == 0 ? site.base(position) : "") + letters(1 + below(20))) +
                (alt > 0 ? "," : "");
      records[position].push_back(site.record(position, length, alts));
    }
    std::vector<std::string> in_order;
    for (const auto& [position, at] : records) in_order.insert(in_order.end(), at.begin(), at.end());
    const auto candidates = site.candidates(in_order);
    const auto lines = site.genotyped(candidates);
    ASSERT_EQ(lines.size(), in_order.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto given = test::fields_of(in_order[i]), found = test::fields_of(lines[i]);
      for (std::size_t column = 0; column < 5; ++column) ASSERT_EQ(found[column], given[column]) << in_order[i];
      ASSERT_TRUE(found[7].starts_with("UNSCORED=") == (found[8] == "GT")) << lines[i];
    }
    ASSERT_EQ(lines, site.genotyped(candidates)) << "the same again";
  }
}

TEST(Genotype, WhatIsWrongIsSaidBeforeAnythingIsComputed) {
  GenomeSite site;
  site.reads("s", 10, 40, {});
  const std::string good = site.record(40, 1, site.other(40)), later = site.record(50, 1, site.other(50));
  const auto refused = [&](const std::filesystem::path& candidates, const std::map<std::string, std::string>& more,
                           const std::vector<std::string>& words) {
    test::expect_input_error([&] { site.genotyped(candidates, more); }, words);
    EXPECT_FALSE(std::filesystem::exists(site.scratch / "out.vcf.gz"));
    EXPECT_FALSE(std::filesystem::exists(site.scratch / "out.vcf.gz.tbi"));
  };
  refused(site.candidates({later, good}), {}, {"candidates", "chr1:41", "bcftools sort"});
  refused(site.candidates({good.substr(3)}), {}, {"no sequence 1", "chr1"});
  refused(site.candidates({"chr1\t41\t.\t" + site.other(40) + "\t" + site.base(40) + "\t.\t.\t.\n"}), {},
          {"chr1:41", "REF", "assembly"});
  refused(site.candidates({"chr1\t9999\t.\tA\tC\t.\t.\t.\n"}), {}, {"chr1:9999", "beyond"});
  refused(site.candidates({good}, "chr1", 77), {}, {"77", "assembly"});
  refused(site.candidates({good}), {{"scored", site.scratch / "out.vcf"}}, {"out.vcf", ".vcf.gz"});
  const std::string other = test::write_fasta(site.scratch / "other.fa", {{"chr1", site.reference + "A"}});
  refused(site.candidates({good}), {{"reference", other}}, {"aligned to another"});
  const std::string named = test::write_fasta(site.scratch / "named.fa", {{"1", site.reference}});
  refused(site.candidates({good.substr(3)}, "1"), {{"reference", named}}, {"no sequence 1", "chr1"});
}

TEST(Genotype, ReadsOfAnotherGenomeAreRefused) {
  GenomeSite site;
  for (int position = 20; position < 90; position += 5) site.reads("s", 20, position, {});
  std::string other = site.reference;
  std::ranges::reverse(other);
  const std::string reversed = test::write_fasta(site.scratch / "other.fa", {{"chr1", other}});
  const std::string ref(1, other[40]);
  test::expect_input_error(
      [&] {
        site.genotyped(site.candidates({"chr1\t41\t.\t" + ref + "\t" + (ref == "A" ? "C" : "A") + "\t.\t.\t.\n"}),
                       {{"reference", reversed}});
      },
      {"other.fa", "aligned to another"});
}

}  // namespace
}  // namespace kiban::engine
