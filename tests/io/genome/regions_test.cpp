#include "io/genome/regions.hpp"

#include <gtest/gtest.h>

#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

const std::vector<Contig> kContigs{{"chr1", 1000}, {"chr2", 500}, {"HLA:1", 100}};

TEST(Regions, AreReadAsOthersReadThem) {
  const auto found = parse_regions("chr2:11-20,chr1,chr1:990-2000,chr2:7", kContigs);
  ASSERT_EQ(found.size(), 4U);
  const auto is = [](const GenomeRegion& region, std::int64_t contig, std::int64_t begin, std::int64_t end) {
    return region.contig == contig && region.begin == begin && region.end == end;
  };
  EXPECT_TRUE(is(found[0], 1, 10, 20));
  EXPECT_TRUE(is(found[1], 0, 0, 1000));
  EXPECT_TRUE(is(found[2], 0, 989, 1000));
  EXPECT_TRUE(is(found[3], 1, 6, 500));
}

TEST(Regions, WhatIsWrongIsSaid) {
  for (const auto& [text, word] : {std::pair{"2:1-5", "chr2"},
                                   {"chr1:9-3", "chr1"},
                                   {"", "none"},
                                   {"chr9", "chr9"},
                                   {"chr2:600-700", "500"},
                                   {"chr1:abc", "chr1"}}) {
    try {
      parse_regions(text, kContigs);
      ADD_FAILURE() << text << " is taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }
}

TEST(Regions, BedHasNumbers) {
  const test::Scratch scratch;
  const auto path =
      scratch.write("p.bed", "track name=x\n# comment\nchr2\t10\t20\t1\r\n\nchr1 0 5 3 more\nchr1\t5\t9\t2\n");
  const auto found = read_numbered_bed(path, kContigs, 20);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].number, 3);
  EXPECT_EQ(found[2].contig, 1);
  EXPECT_EQ(found[2].end, 20);
  const auto refused = [&](const std::string& text, const std::vector<std::string>& words) {
    test::expect_input_error([&] { read_numbered_bed(scratch.write("q.bed", text), kContigs, 20); }, words);
  };
  refused("chr1\t0\t5\n", {"q.bed", "line 1"});
  refused("chr1\t0\t5\t1\nchr3\t0\t5\t1\n", {"line 2", "chr3"});
  refused("chr1\t0\t5\t21\n", {"1 to 20"});
  refused("chr1\t5\t5\t1\n", {"no region"});
  refused("chr1\t0\t5\t1\nchr1\t4\t9\t2\n", {"overlap"});
}

}  // namespace
}  // namespace kiban::io
