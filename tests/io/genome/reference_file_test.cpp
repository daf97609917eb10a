#include "io/genome/reference_file.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/io/scratch.hpp"
#include "tests/support/genome_files.hpp"

namespace kiban::io {
namespace {

std::string random_bases(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::string bases;
  for (std::size_t i = 0; i < count; ++i) bases += "ACGTacgtN"[random() % 9];
  return bases;
}

std::string upper(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::toupper(letter));
  return text;
}

TEST(ReferenceFile, GivesBasesOfPlainAndCompressedFiles) {
  const test::Scratch scratch;
  const std::string one = random_bases(200'000, 1), two = random_bases(61, 2);
  for (const char* name : {"plain.fa", "packed.fa.gz"}) {
    ReferenceFile file(test::write_fasta(scratch / name, {{"chr1", one}, {"chr2", two}}));
    ASSERT_EQ(file.contigs().size(), 2U);
    EXPECT_EQ(file.contigs()[0].name, "chr1");
    EXPECT_EQ(file.contigs()[0].length, 200'000);
    EXPECT_EQ(file.bases(1, 0, 61), upper(two));
    EXPECT_EQ(file.bases(0, 199'990, 200'000), upper(one.substr(199'990)));
    EXPECT_EQ(file.bases(0, 5, 5), "");
    std::mt19937 random(3);
    for (int i = 0; i < 200; ++i) {
      const std::int64_t begin = random() % 199'000, end = begin + 1 + random() % 1000;
      ASSERT_EQ(file.bases(0, begin, end),
                upper(one.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))));
    }
  }
  EXPECT_EQ(reference_files(scratch / "packed.fa.gz").size(), 3U);
}

TEST(ReferenceFile, WhatIsWrongIsSaid) {
  const test::Scratch scratch;
  const auto open = [](const std::filesystem::path& path) { return [path] { ReferenceFile(path).bases(0, 0, 100); }; };
  test::expect_input_error(open(scratch / "none.fa"), {"none.fa"});
  test::expect_input_error(open(scratch.write("bare.fa", ">a\nACGT\n")), {"bare.fa", "samtools faidx"});
  scratch.write("bare.fa.fai", "");
  test::expect_input_error(open(scratch / "bare.fa"), {"bare.fa.fai", "empty"});
  scratch.write("bare.fa.fai", "a\t400\t3\t0\t0\n");
  test::expect_input_error(open(scratch / "bare.fa"), {"bare.fa.fai", "line 1"});
  scratch.write("bare.fa.fai", "a\t400\t3\t4\t5\n");
  test::expect_input_error(open(scratch / "bare.fa"), {"bare.fa", "a:1-400", "cut short"});
  const auto packed = test::write_fasta(scratch / "packed.fa.gz", {{"a", random_bases(500'000, 4)}});
  const std::string gzi = test::content_of(scratch / "packed.fa.gz.gzi");
  scratch.write("packed.fa.gz.gzi", gzi.substr(0, gzi.size() - 3));
  test::expect_input_error(open(packed), {"packed.fa.gz.gzi", "samtools faidx"});
  std::filesystem::remove(scratch / "packed.fa.gz.gzi");
  test::expect_input_error(open(packed), {".gzi"});
}

}  // namespace
}  // namespace kiban::io
