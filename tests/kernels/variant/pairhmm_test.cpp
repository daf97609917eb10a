#include "kernels/variant/pairhmm.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/core/error.hpp"
#include "kernels/core/simd.hpp"
#include "tests/cudasim/scheduler.hpp"
#include "tests/kernels/variant/pairhmm_batch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/sanitized.hpp"

namespace kiban::variant {
namespace {

using reference::Read;
using test::Batch;
using test::Maker;

/// A region, and how it came to be.
struct Case {
  std::string name;
  std::vector<Read> reads;
  std::vector<std::string> haplotypes;
};

/// Haplotypes of one origin, of unlike lengths.
std::vector<std::string> relatives(Maker& make, std::int64_t length, std::int64_t count) {
  const std::string origin = make.bases(length);
  std::vector<std::string> made{origin};
  while (static_cast<std::int64_t>(made.size()) < count)
    made.push_back(make.piece(make.mutant(origin), length - make.between(0, length / 10)));
  return made;
}

/// Up to 512 bases: float, or double where that is too small.
std::vector<Case> short_cases() {
  Maker make(1);
  std::vector<Case> cases;
  for (const std::int64_t haplotypes : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20, 33}) {  // around the lanes of a vector
    Case item{"Haplotypes" + std::to_string(haplotypes), {}, relatives(make, 90, haplotypes)};
    for (int k = 0; k < 3; ++k)
      item.reads.push_back(make.read(make.mutant(make.piece(item.haplotypes[0], 20 + 17 * k)), 20, 40));
    cases.push_back(item);
  }
  Case lengths{"Lengths", {}, relatives(make, 140, 3)};  // around rows of a strip, of a thread, of a class
  for (const std::int64_t rows :
       {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 30, 31, 32, 33, 62, 63, 64, 65, 110, 111, 112, 113})
    lengths.reads.push_back(make.read(make.piece(lengths.haplotypes[0], rows), 10, 40));
  cases.push_back(lengths);
  Case longer{"LongerThanTheHaplotype", {}, {"A", "AC", make.bases(7), make.bases(30)}};
  for (const std::int64_t rows : {1, 2, 8, 31, 90}) longer.reads.push_back(make.read(make.bases(rows), 10, 40));
  cases.push_back(longer);
  Case unlike{"NothingInCommon", {}, {make.bases(60), make.bases(61)}};
  for (const int quality : {10, 30, 60, 93}) unlike.reads.push_back(make.read(make.bases(150), quality, quality));
  cases.push_back(unlike);
  Case any{"AnyQualities", {}, relatives(make, 100, 6)};
  for (int k = 0; k < 12; ++k) any.reads.push_back(make.read(make.piece(any.haplotypes[0], 10 + 7 * k), 0, 93, 0, 93));
  cases.push_back(any);
  Case certain{"QualitiesBeyondText", {}, relatives(make, 60, 3)};
  certain.reads = {make.read(make.piece(certain.haplotypes[0], 50), 200, 254, 200, 254),
                   make.read(make.piece(certain.haplotypes[0], 50), 0, 254, 0, 254),
                   make.read(make.piece(certain.haplotypes[0], 50), 0, 0, 0, 0)};
  cases.push_back(certain);
  const std::string n(40, 'N');
  cases.push_back({"AllN", {make.read(n, 20, 40), make.read(make.bases(30), 20, 40)}, {n + n, make.bases(80)}});
  cases.push_back(
      {"OtherLetters", {make.read("acgtRYKMnn-*.ACGT", 20, 40)}, {"ACGTACGTACGTAACGTT", "acgtacgtacgtaacgtt", "RRRR"}});
  cases.push_back({"FloatsLongest",
                   {make.read(make.piece(make.bases(600), 511), 25, 40), make.read(make.bases(512), 8, 12)},
                   relatives(make, 560, 2)});
  Case matching{"FloatsLongestThatMatches", {}, relatives(make, 560, 2)};
  for (const int quality : {23, 37, 93})
    matching.reads.push_back(make.read(make.piece(matching.haplotypes[0], 512), quality, quality));
  cases.push_back(matching);
  return cases;
}

/// Beyond 512 bases: double, and with exponents where that is not enough.
std::vector<Case> long_cases(std::int64_t most) {
  Maker make(2);
  std::vector<Case> cases;
  Case boundary{"Boundary", {}, relatives(make, 300, 2)};
  for (const std::int64_t rows : {513, 639, 640, 641}) boundary.reads.push_back(make.read(make.bases(rows), 20, 40));
  cases.push_back(boundary);
  Case random{"RandomAtQ20", {make.read(make.bases(most), 20, 20)}, {make.bases(most / 2)}};
  cases.push_back(random);
  Case matching{"Matching", {}, relatives(make, most + 20, 2)};
  matching.reads = {make.read(make.piece(matching.haplotypes[0], most), 20, 40),
                    make.read(make.mutant(make.piece(matching.haplotypes[0], most)), 0, 93, 0, 93)};
  cases.push_back(matching);
  // The best alignment leaves the haplotype on the right, and the rest of the read must be put in at the highest price;
  // alignments that were worse by more than a double can tell are then better.
  Case leaving{"BestAlignmentLeaves", {}, {make.bases(700)}};
  leaving.reads = {make.read(leaving.haplotypes[0].substr(650) + make.bases(600), 93, 93, 93, 93)};
  cases.push_back(leaving);
  return cases;
}

std::vector<double> truth(const Case& item) {
  std::vector<double> found;
  for (const Read& read : item.reads)
    for (const std::string& haplotype : item.haplotypes) found.push_back(reference::pairhmm(read, haplotype));
  return found;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected, double bound,
                 const Case& item) {
  ASSERT_EQ(found.size(), expected.size()) << item.name;
  for (std::size_t p = 0; p < found.size(); ++p) {
    const std::size_t read = p / item.haplotypes.size();
    if (std::isinf(expected[p]))
      EXPECT_EQ(found[p], expected[p]) << item.name << ", read " << read << ", pair " << p;
    else
      EXPECT_LE(std::abs(found[p] - expected[p]), bound)
          << item.name << ", read " << read << " of " << item.reads[read].bases.size() << " bases, pair " << p << ": "
          << found[p] << ", not " << expected[p];
  }
}

std::vector<double> likelihoods(const Case& item, Device device, int threads = 2) {
  Batch batch;
  batch.add(item.reads, item.haplotypes);
  return batch.likelihoods(device, threads);
}

class PairHmm : public testing::TestWithParam<Device> {};

TEST_P(PairHmm, IsTheModelInFloat) {
  for (const Case& item : short_cases()) expect_near(likelihoods(item, GetParam()), truth(item), 1e-5, item);
}

TEST_P(PairHmm, IsTheModelInDouble) {
  const std::int64_t most = kiban::test::kSanitized ? 700 : 5000;
  static const std::vector<Case> cases = long_cases(most);
  static const std::vector<std::vector<double>> truths = [] {
    std::vector<std::vector<double>> made;
    for (const Case& item : cases) made.push_back(truth(item));
    return made;
  }();
  for (std::size_t k = 0; k < cases.size(); ++k)
    expect_near(likelihoods(cases[k], GetParam()), truths[k], 1e-9, cases[k]);
}

/// A quality of 0 makes a match impossible: -inf where nothing else is possible, and only there.
TEST_P(PairHmm, ZeroIsZero) {
  Maker make(3);
  Read read = make.read("A", 0, 0);
  EXPECT_EQ(likelihoods({"", {read}, {"A"}}, GetParam()),
            std::vector<double>{-std::numeric_limits<double>::infinity()});
  for (const double likelihood : likelihoods({"", {read}, {"C", "AC"}}, GetParam()))
    EXPECT_TRUE(std::isfinite(likelihood));
}

/// The same bits whatever else is in the batch, on every device.
TEST_P(PairHmm, DoesNotDependOnTheBatch) {
  Batch all;
  std::vector<double> alone;
  std::vector<Case> cases = short_cases();
  cases.push_back(long_cases(600)[0]);
  for (const Case& item : cases) {
    all.add(item.reads, item.haplotypes);
    for (const Read& read : item.reads)
      for (const double value : likelihoods({"", {read}, item.haplotypes}, GetParam(), 1)) alone.push_back(value);
  }
  EXPECT_EQ(all.likelihoods(GetParam(), 1), alone);
  EXPECT_EQ(all.likelihoods(GetParam(), 2), alone);
  EXPECT_EQ(all.likelihoods(Device{}), alone) << "the CPU's bits are others";
}

TEST_P(PairHmm, RegionsMayBeEmpty) {
  Maker make(4);
  const Read read = make.read(make.bases(20), 20, 40);
  const std::string haplotype = make.bases(30);
  Batch batch;
  EXPECT_TRUE(batch.likelihoods(GetParam()).empty());
  batch.add({}, {haplotype});
  batch.add({read}, {});
  batch.add({}, {});
  EXPECT_TRUE(batch.likelihoods(GetParam()).empty());
  batch.add({read}, {haplotype});
  batch.add({}, {});
  EXPECT_EQ(batch.likelihoods(GetParam()), likelihoods({"", {read}, {haplotype}}, GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Devices, PairHmm, testing::ValuesIn(kiban::test::devices_under_test()),
                         [](const auto& of) { return kiban::test::test_name(of.param); });

TEST(PairHmmOnCpu, IsTheSameInEveryInstructionSet) {
  Batch all;
  for (const Case& item : short_cases()) all.add(item.reads, item.haplotypes);
  for (const Case& item : long_cases(700)) all.add(item.reads, item.haplotypes);
  const std::vector<double> expected = all.likelihoods(Device{});
  for (const std::string& name : instruction_sets()) {
    pin_instruction_set(name);
    EXPECT_EQ(all.likelihoods(Device{}), expected) << name;
  }
  pin_instruction_set("auto");
}

/// Random regions, many more than any vector has lanes.
TEST(PairHmmOnCpu, IsTheModelForAnyMixture) {
  Maker make(5);
  for (int round = 0; round < 25; ++round) {
    Case item{"Round" + std::to_string(round), {}, relatives(make, make.between(2, 200), make.between(1, 40))};
    for (std::int64_t k = make.between(1, 4); k > 0; --k) {
      const std::string bases = make.between(0, 2) ? make.piece(item.haplotypes.back(), make.between(1, 200))
                                                   : make.bases(make.between(1, 250));
      item.reads.push_back(make.read(bases, static_cast<int>(make.between(0, 30)),
                                     static_cast<int>(make.between(31, 93)), static_cast<int>(make.between(0, 39)),
                                     static_cast<int>(make.between(40, 93))));
    }
    expect_near(likelihoods(item, Device{}), truth(item), 1e-5, item);
  }
}

/// Reads that must be put in base by base, at prices from one end of a byte to the other: single factors of a row are
/// then smaller than any float.
TEST_P(PairHmm, HoldsForFactorsThatNoFloatHolds) {
  Maker make(8);
  for (int round = 0; round < 200; ++round) {
    Case item{"Round" + std::to_string(round), {}, {make.bases(make.between(1, 4))}};
    Read read = make.read(make.bases(make.between(4, 9)), 20, 60);
    const std::uint8_t highest = round % 2 ? 254 : 93;
    for (std::size_t k = 0; k < read.bases.size(); ++k) {
      read.insertion_quality[k] = make.between(0, 1) ? highest : 4;
      read.gap_quality[k] = make.between(0, 1) ? highest : 1;
    }
    item.reads.push_back(read);
    expect_near(likelihoods(item, GetParam()), truth(item), 1e-5, item);
  }
}

TEST(PairHmmOnSim, IsTheSameInAnyOrderOfThreads) {
  Batch batch;
  Maker make(6);
  const std::vector<std::string> haplotypes = relatives(make, 40, 3);
  batch.add({make.read(make.piece(haplotypes[0], 30), 20, 40), make.read(make.bases(513), 20, 40)}, haplotypes);
  batch.add({make.read(make.bases(100), 90, 93), make.read("A", 0, 0)}, {"A", make.bases(9)});
  const std::vector<double> expected = batch.likelihoods(Device{});
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_EQ(batch.likelihoods(parse_device("sim")), expected);
  }
}

TEST(PairHmmInput, IsChecked) {
  const std::vector<std::uint8_t> four(4, 'A'), three(3, 30), none;
  const std::vector<std::int64_t> whole{0, 4}, one{0, 1}, descending{0, 3, 2, 4}, two{0, 2}, far{0, 5}, late{1, 4},
      no_bases{0, 0, 4}, two_ranges{0, 1, 1};
  const PairHmmRegions sound{{four, four, four, four, four, whole}, {four, whole}, one, one};
  EXPECT_EQ(pair_count(sound), 1);
  EXPECT_EQ(cell_count(sound), 16);
  const auto refused = [&](const std::function<void(PairHmmRegions&)>& spoil, const std::string& word) {
    PairHmmRegions regions = sound;
    spoil(regions);
    try {
      pair_count(regions);
      ADD_FAILURE() << "not refused: " << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  refused([&](PairHmmRegions& r) { r.reads.gap_quality = three; }, "3 qualities for 4 bases");
  refused([&](PairHmmRegions& r) { r.reads.begin = descending, r.reads_begin = descending; }, "descend at 2");
  refused([&](PairHmmRegions& r) { r.reads.begin = far; }, "end with 4");
  refused([&](PairHmmRegions& r) { r.reads.begin = late; }, "begin with 0");
  refused([&](PairHmmRegions& r) { r.haplotypes.begin = {}; }, "haplotypes must begin");
  refused([&](PairHmmRegions& r) { r.reads_begin = two; }, "end with 1");
  refused([&](PairHmmRegions& r) { r.reads_begin = two_ranges; }, "one a region");
  refused([&](PairHmmRegions& r) { r.reads.begin = no_bases, r.reads_begin = two; }, "read 0 has no bases");
  refused([&](PairHmmRegions& r) { r.haplotypes.begin = no_bases, r.haplotypes_begin = two; },
          "haplotype 0 has no bases");
  Stream stream;
  std::vector<double> room(2);
  EXPECT_THROW(pairhmm(stream, sound, room), Error);
}

/// What is in use whenever a run asks whether to stop.
TEST(PairHmmBytes, AreWhatIsTaken) {
  if (kiban::test::kSanitized) GTEST_SKIP() << "a sanitizer allocates for itself, and mallinfo2 knows nothing of it";
  Maker make(7);
  for (const std::int64_t count : {5, 16, 37}) {
    Batch batch;
    for (int k = 0; k < 100; ++k) {
      const std::vector<std::string> haplotypes = relatives(make, 200, count);
      batch.add({make.read(make.bases(150), 20, 40), make.read(make.bases(150), 20, 40)}, haplotypes);
    }
    Stream stream(Device{}, 1);
    std::vector<double> found(static_cast<std::size_t>(pair_count(batch.regions())));
    const auto in_use = [] {
      const struct mallinfo2 info = mallinfo2();
      return info.uordblks + info.hblkhd;
    };
    const std::size_t planned = pairhmm_bytes(Device{}, batch.regions()).host, before = in_use();
    std::size_t most = 0;
    stream.check_between_pieces([&] { most = std::max(most, in_use()); });
    pairhmm(stream, batch.regions(), found);
    EXPECT_LE(most - before, planned) << count;
    EXPECT_GT(most - before, planned / 3) << "far more is planned than taken, for " << count;
  }
}

}  // namespace
}  // namespace kiban::variant
