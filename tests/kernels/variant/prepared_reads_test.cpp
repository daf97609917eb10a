#include "kernels/variant/prepared_reads.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace kiban::variant {
namespace {

/// A read that owns what a view views.
struct Owned {
  std::string bases;
  std::vector<std::uint8_t> quality;
  std::vector<std::uint32_t> cigar;
  AlignedReadView view;

  Owned(std::int64_t begin, const std::string& operations, std::string letters, std::uint8_t base_quality = 30)
      : bases(std::move(letters)), quality(bases.size(), base_quality) {
    std::uint32_t length = 0;
    for (const char letter : operations) {
      if (letter >= '0' && letter <= '9') {
        length = length * 10 + static_cast<std::uint32_t>(letter - '0');
        continue;
      }
      cigar.push_back(length << 4 | static_cast<std::uint32_t>(std::string("MIDNSHP=X").find(letter)));
      length = 0;
    }
    view.begin = begin;
    view.mapping_quality = 60;
  }

  AlignedReadView get() const {
    AlignedReadView made = view;
    made.cigar = cigar;
    made.base_quality = quality;
    made.bases = {reinterpret_cast<const std::uint8_t*>(bases.data()), bases.size()};
    return made;
  }
};

std::string text(const PreparedRead& read) { return {read.bases.begin(), read.bases.end()}; }

std::vector<PreparedRead> prepare(const std::vector<Owned>& reads, std::int64_t begin = 0, std::int64_t end = 10000,
                                  PcrModel model = PcrModel::none) {
  std::vector<AlignedReadView> views;
  for (const Owned& read : reads) views.push_back(read.get());
  return prepared_reads(views, begin, end, model);
}

/// Paired with a mate that points at it.
Owned paired(Owned read, bool reverse, std::int64_t mate_begin, std::int64_t fragment) {
  read.view.paired = true;
  read.view.reverse = reverse;
  read.view.mate_reverse = !reverse;
  read.view.mate_begin = mate_begin;
  read.view.fragment_length = fragment;
  return read;
}

TEST(PreparedReads, ClippedEndsComeBackWhereTheFragmentIsWellDefined) {
  const Owned single(100, "3S4M2S", "TTTACGTGG");
  const auto cut = prepare({single});
  ASSERT_EQ(cut.size(), 1U);
  EXPECT_EQ(text(cut[0]), "ACGT");
  EXPECT_EQ(cut[0].begin, 100);
  EXPECT_EQ(cut[0].end, 104);
  const auto whole = prepare({paired(single, false, 200, 300)});
  EXPECT_EQ(text(whole[0]), "TTTACGTGG");
  EXPECT_EQ(whole[0].begin, 97);
  EXPECT_EQ(whole[0].end, 106);
  Owned same_strand = paired(single, false, 200, 300);
  same_strand.view.mate_reverse = false;
  EXPECT_EQ(text(prepare({same_strand})[0]), "ACGT");
  EXPECT_EQ(text(prepare({paired(single, false, 200, 0)})[0]), "ACGT");
}

TEST(PreparedReads, TheAdaptorIsCutOff) {
  // A fragment of 6 bases that both reads run through.
  EXPECT_EQ(text(prepare({paired(Owned(100, "10M", "ACGTACGTAC"), false, 96, 6)})[0]), "ACGTAC");
  EXPECT_EQ(text(prepare({paired(Owned(96, "10M", "ACGTACGTAC"), true, 100, -6)})[0]), "ACGTAC");
}

TEST(PreparedReads, WhatLiesOutsideOfTheWindowIsCutOff) {
  const Owned read(100, "4M2I2M3D4M", "ACGTGGACTTTT");
  EXPECT_EQ(text(prepare({read}, 102, 105)[0]), "GTGGA");
  EXPECT_EQ(text(prepare({read}, 100, 104)[0]), "ACGT");
  EXPECT_EQ(text(prepare({read}, 106, 112)[0]), "TTT");
  EXPECT_TRUE(prepare({read}, 106, 109).empty());
  EXPECT_TRUE(prepare({read}, 0, 100).empty());
  EXPECT_EQ(prepare({read}, 102, 111)[0].end, 111);
}

TEST(PreparedReads, QualitiesAreCapped) {
  Owned read(100, "4M", "ACGT");
  read.quality = {50, 18, 17, 0};
  read.view.mapping_quality = 40;
  EXPECT_EQ(prepare({read})[0].base_quality, (std::vector<std::uint8_t>{40, 18, 6, 6}));
  EXPECT_EQ(prepare({read})[0].insertion_quality, (std::vector<std::uint8_t>(4, 45)));
  EXPECT_EQ(prepare({read})[0].deletion_quality, (std::vector<std::uint8_t>(4, 45)));
}

TEST(PreparedReads, MatesAreOneObservationWhereTheyOverlap) {
  Owned first = paired(Owned(100, "6M", "ACGTAC"), false, 103, 8),
        second = paired(Owned(103, "2M1I3M", "TCTACG"), true, 100, -8);
  first.view.name = second.view.name = 77;
  const auto made = prepare({first, second});
  //                                                     100 1   2   3   4  5: the mates agree at 103 (T) and 105 ..
  EXPECT_EQ(made[0].base_quality, (std::vector<std::uint8_t>{30, 30, 30, 20, 6, 6}));
  EXPECT_EQ(made[1].base_quality, (std::vector<std::uint8_t>{20, 6, 30, 6, 30, 30}));
  second.view.name = 78;
  EXPECT_EQ(prepare({first, second})[0].base_quality, (std::vector<std::uint8_t>(6, 30)));
}

std::span<const std::uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// As GATK's documentation has it, by comparing texts.
int naive_repeats(const std::string& bases, std::size_t offset) {
  const auto backward = [&](const std::string& unit) {
    int found = 0;
    for (std::size_t end = offset + 1; end >= unit.size() && bases.substr(end - unit.size(), unit.size()) == unit;
         end -= unit.size())
      ++found;
    return found;
  };
  const auto forward = [&](const std::string& unit) {
    int found = 0;
    for (std::size_t at = offset + 1; bases.substr(at, unit.size()) == unit; at += unit.size()) ++found;
    return found;
  };
  std::string before = bases.substr(offset, 1);
  for (std::size_t unit = 1; unit <= 8 && unit <= offset + 1; ++unit)
    if (const std::string text = bases.substr(offset + 1 - unit, unit); backward(text) > 1) {
      before = text;
      break;
    }
  if (offset + 1 == bases.size()) return std::min(backward(before), 20);
  std::string after = bases.substr(offset + 1, 1);
  for (std::size_t unit = 1; unit <= 8 && offset + 1 + unit <= bases.size(); ++unit)
    if (const std::string text = bases.substr(offset + 1, unit); forward(text) > 1) {
      after = text;
      break;
    }
  return std::min(forward(after) + backward(after == before ? before : after), 20);
}

TEST(PreparedReads, RepeatsAreThoseThatComparingFinds) {
  std::mt19937 random(13);
  for (int round = 0; round < 3000; ++round) {
    std::string bases;
    const std::size_t length = 1 + random() % 60, letters = 2 + random() % 3;
    while (bases.size() < length) {
      std::string unit;
      for (std::size_t i = 0, count = 1 + random() % 9; i < count; ++i) unit += "ACGT"[random() % letters];
      for (std::size_t copy = 0, count = 1 + random() % 5; copy < count; ++copy) bases += unit;
    }
    const auto found = tandem_repeats(as_bytes(bases));
    for (std::size_t i = 0; i < bases.size(); ++i) ASSERT_EQ(found[i], naive_repeats(bases, i)) << bases << " at " << i;
  }
}

TEST(PreparedReads, RepeatsAreCountedAroundABase) {
  const auto at = [](const std::string& bases, std::size_t offset) { return tandem_repeats(as_bytes(bases))[offset]; };
  EXPECT_EQ(at("ACGTACGG", 1), 1);
  EXPECT_EQ(at("GTAAAAAC", 2), 5);
  EXPECT_EQ(at("GTAAAAAC", 4), 5);
  EXPECT_EQ(at("GTAAAAAC", 1), 5);   // before the run
  EXPECT_EQ(at("TTCTTCCCC", 5), 4);  // the unit before is TTC, that after C, of which one lies before
  EXPECT_EQ(at("GACACACT", 2), 3);   // AC, AC, AC
  EXPECT_EQ(at(std::string(60, 'T'), 30), 20);
  EXPECT_EQ(at("AAAA", 3), 4);  // at the end only what lies before counts
  EXPECT_EQ(at("A", 0), 1);
}

TEST(PreparedReads, GapsAreLikelierInRepeatsByTheFourModels) {
  // 41 - exp(repeats / (rate pi)), rounded, at least 10, at most 45: of a run of 12 bases.
  const Owned read(100, "16M", "GC" + std::string(12, 'A') + "CG");
  const auto gap = [&](PcrModel model) { return prepare({read}, 0, 1000, model)[0].insertion_quality; };
  EXPECT_EQ(gap(PcrModel::none)[6], 45);
  EXPECT_EQ(gap(PcrModel::conservative)[6], 37);   // exp(12 / 3 pi) = 3.57
  EXPECT_EQ(gap(PcrModel::aggressive)[6], 34);     // 6.75
  EXPECT_EQ(gap(PcrModel::hostile)[6], 10);        // 45.6
  EXPECT_EQ(gap(PcrModel::conservative)[0], 40);   // no repeat: 41 - exp(0.106) = 39.9
  EXPECT_EQ(gap(PcrModel::conservative)[15], 45);  // nothing follows the last base
  EXPECT_EQ(prepare({read}, 0, 1000, PcrModel::hostile)[0].deletion_quality[6], 10);
}

/// Whatever the alignment says, what comes out is of one length, and lies in the window.
TEST(PreparedReads, AnyAlignmentIsPreparedOrLeftOut) {
  std::mt19937 random(11);
  for (int round = 0; round < 5000; ++round) {
    std::string operations, bases;
    for (std::uint32_t i = 0, count = 1 + random() % 6; i < count; ++i) {
      const std::uint32_t kind = random() % 9, length = random() % 5;
      operations += std::to_string(length) + "MIDNSHP=X"[kind];
      if (kind == 0 || kind == 1 || kind == 4 || kind == 7 || kind == 8)
        for (std::uint32_t base = 0; base < length; ++base) bases += "ACGTN"[random() % 5];
    }
    if (bases.empty()) continue;
    Owned read(static_cast<std::int64_t>(random() % 30), operations, bases);
    if (random() % 2 == 0)
      read = paired(read, random() % 2 == 0, static_cast<std::int64_t>(random() % 40),
                    static_cast<std::int64_t>(random() % 60) - 30);
    const auto begin = static_cast<std::int64_t>(random() % 20),
               end = begin + 1 + static_cast<std::int64_t>(random() % 20);
    for (const PreparedRead& made : prepare({read, read}, begin, end, PcrModel::aggressive)) {
      ASSERT_FALSE(made.bases.empty());
      ASSERT_NE(read.bases.find(text(made)), std::string::npos);
      ASSERT_EQ(made.base_quality.size(), made.bases.size());
      ASSERT_EQ(made.insertion_quality.size(), made.bases.size());
      ASSERT_EQ(made.deletion_quality.size(), made.bases.size());
      ASSERT_GE(made.begin, begin);
      ASSERT_LE(made.end, end);
      ASSERT_LT(made.begin, made.end);
    }
  }
}

}  // namespace
}  // namespace kiban::variant
