#include "io/genome/pairhmm_text.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using test::expect_input_error;
using test::Scratch;

const std::string kRegion = "2 1\nACG III !~+ NNN 555\nTn.*-aR IIIIIII IIIIIII IIIIIII IIIIIII\nACGT\n";
using Bytes = std::vector<std::uint8_t>;
using Offsets = std::vector<std::int64_t>;

TEST(PairHmmText, RegionsAreRead) {
  Scratch scratch;
  // A blank line between regions, a line with tabs, lines of Windows, no newline at the end.
  const auto path = scratch.write("in.txt", kRegion + "\n" + "1\t2\r\nA\tI  I I\tI \r\nC\nGG");
  PairHmmTextReader reader(path);
  const PairHmmText text = reader.next(100);
  EXPECT_EQ(std::string(text.bases.begin(), text.bases.end()), "ACGTn.*-aRA");
  EXPECT_EQ(Bytes(text.insertion_quality.begin(), text.insertion_quality.begin() + 3), (Bytes{0, 93, 10}));
  EXPECT_EQ(text.base_quality[0], 40);
  EXPECT_EQ(text.deletion_quality[2], 45);
  EXPECT_EQ(text.gap_quality[2], 20);
  EXPECT_EQ(text.read_begin, (Offsets{0, 3, 10, 11}));
  EXPECT_EQ(text.haplotype_begin, (Offsets{0, 4, 5, 7}));
  EXPECT_EQ(text.reads_begin, (Offsets{0, 2, 3}));
  EXPECT_EQ(text.haplotypes_begin, (Offsets{0, 1, 3}));
  EXPECT_EQ(text.pairs, 4);
  EXPECT_TRUE(reader.next(100).empty());
}

TEST(PairHmmText, ComesInPiecesOfWholeRegions) {
  Scratch scratch;
  PairHmmTextReader reader(scratch.write("in.txt", kRegion + kRegion + kRegion));
  EXPECT_EQ(reader.next(1).pairs, 2);
  EXPECT_EQ(reader.next(3).pairs, 4);
  EXPECT_TRUE(reader.next(1).empty());
}

TEST(PairHmmText, WhatIsWrongIsNamedWithItsLine) {
  Scratch scratch;
  const auto refused = [&](const std::string& text, const std::vector<std::string>& words) {
    const auto path = scratch.write("in.txt", text);
    expect_input_error(
        [&] {
          PairHmmTextReader reader(path);
          while (!reader.next(1).empty()) continue;
        },
        words);
  };
  expect_input_error([&] { PairHmmTextReader(scratch / "missing.txt"); }, {"missing.txt"});
  refused("", {"in.txt", "empty"});
  for (const char* head : {"x", "1", "1 x", "1 1 1", "0 1", "1 0", "-1 1", "1 99999999999999999999", "1.5 1", "1x 1"})
    refused(head, {"line 1", "two numbers"});
  refused("100000 100000\n", {"line 1", "100000 reads times 100000 haplotypes"});
  refused("1 1\n", {"line 2", "after 0 of the region's 1 reads"});
  refused("2000000000 1\nA I I I I\n", {"line 3", "after 1 of the region's 2000000000 reads"});
  refused("1 2\nA I I I I\nA\n", {"line 4", "after 1 of the region's 2 haplotypes"});
  refused("1 1\nA I I I\nA\n", {"line 2", "five fields", "4"});
  refused("1 1\nA I I I I I\nA\n", {"line 2", "five fields", "more"});
  refused("1 1\nAC II I II II\nA\n", {"line 2", "2 bases and 1 insertion qualities"});
  refused("1 1\nA I I \x7f I\nA\n", {"line 2", "deletion quality"});
  refused("1 1\nA7 II II II II\nA\n", {"line 2", "no letter"});
  refused("1 1\nA I I I I\nA C\n", {"line 3", "one word"});
  refused("1 1\nA I I I I\n\n", {"line 3", "one word"});
  refused("1 1\nA I I I I\nA\xff\n", {"line 3", "no letter"});
  refused(kRegion + kRegion.substr(0, kRegion.size() - 8), {"line 7", "7 bases and 5 gap-continuation"});
  refused(kRegion + kRegion.substr(0, kRegion.size() - 5), {"line 8", "after 0 of the region's 1 haplotypes"});
  refused("1 1\n" + std::string((1 << 24) + 1, 'A'), {"line 2", "longer than"});
}

TEST(LikelihoodWriter, WritesSixDecimals) {
  Scratch scratch;
  LikelihoodWriter writer(scratch / "out.txt", "final.txt");
  writer.write(std::vector<double>{-1.23456789, -std::numeric_limits<double>::infinity()});
  writer.write(std::vector<double>{-1234.5});
  writer.finish();
  EXPECT_EQ(test::content_of(scratch / "out.txt"), "-1.234568\n-inf\n-1234.500000\n");
}

TEST(LikelihoodWriter, AFullDiskIsSaid) {
  expect_input_error(
      [] {
        LikelihoodWriter writer("/dev/full", "final.txt");
        writer.write(std::vector<double>(100000, -1));
        writer.finish();
      },
      {"final.txt"});
}

}  // namespace
}  // namespace kiban::io
