#include <gtest/gtest.h>

#include <cmath>

#include "io/genome/pairhmm_text.hpp"
#include "tests/peers/gkl.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::peers {
namespace {

class AgreesWithGkl : public testing::TestWithParam<const char*> {};

TEST_P(AgreesWithGkl, OnEveryPair) {
  const auto file = test::test_data(std::string("genome/") + GetParam());
  if (!file) GTEST_SKIP() << "no test data: genome/" << GetParam();
  if (!Gkl::get()) GTEST_SKIP() << "no libgkl_pairhmm.so (Debian's libgkl-jni), or no AVX-512";
  io::PairHmmTextReader reader(*file);
  const io::PairHmmText text = reader.next(1 << 30);
  const variant::PairHmmRegions regions{
      {text.bases, text.base_quality, text.insertion_quality, text.deletion_quality, text.gap_quality, text.read_begin},
      {text.haplotype_bases, text.haplotype_begin},
      text.reads_begin,
      text.haplotypes_begin};
  std::vector<double> ours(static_cast<std::size_t>(text.pairs)), theirs(ours.size());
  Stream stream(Device{}, 2);
  variant::pairhmm(stream, regions, ours);
  Gkl::get()->pairhmm(regions, theirs);
  double worst = 0;
  for (std::size_t p = 0; p < ours.size(); ++p) {
    worst = std::max(worst, std::abs(ours[p] - theirs[p]));
    ASSERT_LE(std::abs(ours[p] - theirs[p]), 1e-5) << "pair " << p << " of " << GetParam();
  }
  RecordProperty("largest_difference", std::to_string(worst));
  RecordProperty("pairs", static_cast<int>(ours.size()));
}

INSTANTIATE_TEST_SUITE_P(Files, AgreesWithGkl, testing::Values("pairhmm_10s.in", "pairhmm_1m.in"),
                         [](const auto& of) { return std::string(of.param, std::string(of.param).find('.')); });

}  // namespace
}  // namespace kiban::peers
