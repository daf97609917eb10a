#include "io/genome/reads_file.hpp"

#include <gtest/gtest.h>

#include "tests/io/scratch.hpp"
#include "tests/support/genome_files.hpp"

namespace kiban::io {
namespace {

const std::string kBases = "ACGTTGCAACGTTGCAAGCTTAGCATCGATCGATTACGATCGGATCATCGACTACGACTAGC";
const std::string kHeader =
    "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:62\n@SQ\tSN:chr2\tLN:1000\n"
    "@RG\tID:g1\tSM:child\n@RG\tID:g2\tSM:mother\n@RG\tID:g3\tSM:child\n";

std::string line(const std::string& name, int flags, int position, const std::string& cigar, const std::string& bases,
                 const std::string& more = "RG:Z:g1", int quality = 60) {
  return name + "\t" + std::to_string(flags) + "\tchr1\t" + std::to_string(position) + "\t" + std::to_string(quality) +
         "\t" + cigar + "\t=\t" + std::to_string(position + 7) + "\t17\t" + bases + "\t" +
         std::string(bases.size(), 'I') + (more.empty() ? "" : "\t" + more) + "\n";
}

struct Site {
  test::Scratch scratch;
  std::filesystem::path reference =
      test::write_fasta(scratch / "ref.fa", {{"chr1", kBases}, {"chr2", std::string(1000, 'A')}});
  std::filesystem::path bam(const std::string& sam, const std::string& name = "reads.bam", bool index = true) const {
    return test::write_reads(scratch / name, sam, reference, index);
  }
};

std::vector<AlignedRead> fetched(ReadsFile& file, std::int64_t begin, std::int64_t end, const ReadFilter& filter = {}) {
  std::vector<AlignedRead> reads;
  file.fetch(0, begin, end, filter, [&](const AlignedRead& read) { reads.push_back(read); });
  return reads;
}

TEST(ReadsFile, GivesReadsOfBamAndCramAlike) {
  const Site site;
  const std::string sam =
      kHeader + line("a", 99, 2, "3S5M1D2M", "TTTCGTTGAA") + line("b", 163, 10, "8M", kBases.substr(9, 8), "RG:Z:g2") +
      line("c", 1024, 12, "4M", kBases.substr(11, 4)) + line("d", 0, 30, "4M", "ACGT", "RG:Z:g3", 10);
  for (const char* name : {"reads.bam", "reads.cram"}) {
    ReadsFile file(site.bam(sam, name), site.reference);
    EXPECT_EQ(file.samples(), (std::vector<std::string>{"child", "mother"}));
    EXPECT_EQ(file.contigs()[1].length, 1000);
    const auto reads = fetched(file, 0, 61);
    ASSERT_EQ(reads.size(), 4U) << name;
    const AlignedRead& first = reads[0];
    EXPECT_EQ(first.name, "a");
    EXPECT_EQ(first.begin, 1);
    EXPECT_EQ(first.end, 9);
    EXPECT_EQ(first.flags, 99);
    EXPECT_EQ(first.mapping_quality, 60);
    EXPECT_EQ(first.mate_begin, 8);
    EXPECT_EQ(first.fragment_length, 17);
    EXPECT_EQ(first.cigar, (std::vector<std::uint32_t>{3 << 4 | 4, 5 << 4, 1 << 4 | 2, 2 << 4}));
    EXPECT_EQ(std::string(first.bases.begin(), first.bases.end()), "TTTCGTTGAA");
    EXPECT_EQ(first.quality, std::vector<std::uint8_t>(10, 40));
    EXPECT_EQ(reads[1].sample, 1);
    EXPECT_EQ(reads[3].sample, 0);
    EXPECT_EQ(fetched(file, 0, 61, {1024, 20}).size(), 2U);
    EXPECT_EQ(fetched(file, 8, 10).size(), 2U);
    EXPECT_EQ(fetched(file, 40, 61).size(), 0U);
  }
}

TEST(ReadsFile, WithoutReadGroupsTheFileIsTheSample) {
  const Site site;
  ReadsFile file(site.bam("@SQ\tSN:chr1\tLN:62\n" + line("a", 0, 2, "4M", "ACGT", "")), site.reference);
  EXPECT_EQ(file.samples(), std::vector<std::string>{"reads"});
  EXPECT_EQ(fetched(file, 0, 61)[0].sample, 0);
}

TEST(ReadsFile, WhatIsWrongIsSaid) {
  const Site site;
  const auto open = [&](const std::filesystem::path& path) {
    return [&site, path] {
      ReadsFile file(path, site.reference);
      fetched(file, 0, 61);
    };
  };
  const std::string read = line("a", 0, 2, "4M", "ACGT");
  test::expect_input_error(open(site.scratch / "none.bam"), {"none.bam"});
  test::expect_input_error(open(site.scratch.write("text.bam", "hello, this is no BAM\n")), {"text.bam", "neither"});
  test::expect_input_error(open(site.bam(kHeader + read, "bare.bam", false)), {"bare.bam", "samtools index"});
  test::expect_input_error(open(site.bam(kHeader + line("a", 0, 2, "4M", "ACGT", ""), "lost.bam")),
                           {"lost.bam", "read a", "no read group"});
  test::expect_input_error(open(site.bam(kHeader + line("a", 0, 2, "4M", "ACGT", "RG:Z:g9"), "other.bam")),
                           {"other.bam", "g9"});
  test::expect_input_error(
      open(site.bam("@HD\tVN:1.6\tSO:queryname\n@SQ\tSN:chr1\tLN:62\n" + read, "names.bam", false)),
      {"names.bam", "samtools sort"});
  test::expect_input_error(open(site.bam("@SQ\tSN:chr1\tLN:62\n@RG\tID:g1\n" + read, "nameless.bam")),
                           {"nameless.bam", "SM"});
  const auto whole = site.bam(kHeader + read, "whole.bam");
  const std::string bytes = test::content_of(whole);
  site.scratch.write("whole.bam", bytes.substr(0, bytes.size() - 5));
  test::expect_input_error(open(whole), {"whole.bam", "cut short"});
  site.scratch.write("whole.bam", bytes);
  const std::string index = test::content_of(site.scratch / "whole.bam.bai");
  for (std::size_t size = 1; size + 8 < index.size(); ++size) {  // the count of reads without a place may be missing
    site.scratch.write("whole.bam.bai", index.substr(0, size));
    test::expect_input_error(open(whole), {"whole.bam.bai", "cut short"});
  }
}

TEST(ReadsFile, CramOfAnotherReferenceIsRefused) {
  const Site site;
  const auto cram = site.bam(kHeader + line("a", 99, 2, "8M", kBases.substr(1, 8)), "reads.cram");
  std::string other = kBases;
  other[4] = 'A';
  const auto wrong = test::write_fasta(site.scratch / "wrong.fa", {{"chr1", other}, {"chr2", std::string(1000, 'A')}});
  test::expect_input_error(
      [&] {
        ReadsFile file(cram, wrong);
        fetched(file, 0, 61);
      },
      {"reads.cram", "another reference"});
}

TEST(ReadsFile, AListNamesFiles) {
  const test::Scratch scratch;
  EXPECT_EQ(listed_reads("a.bam"), std::vector<std::filesystem::path>{"a.bam"});
  const auto list = scratch.write("files.txt", "one.bam\r\n\n/two.cram\n");
  EXPECT_EQ(listed_reads(list), (std::vector<std::filesystem::path>{scratch / "one.bam", "/two.cram"}));
  test::expect_input_error([&] { listed_reads(scratch.write("none.txt", "\n")); }, {"none.txt", "names no file"});
}

}  // namespace
}  // namespace kiban::io
