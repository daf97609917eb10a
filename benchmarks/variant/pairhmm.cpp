#include "kernels/variant/pairhmm.hpp"

#include <benchmark/benchmark.h>

#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "io/genome/pairhmm_text.hpp"
#include "tests/kernels/variant/pairhmm_batch.hpp"
#include "tests/peers/gkl.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::variant {
namespace {

/// Regions of `haplotypes` haplotypes of about 300 bases with 40 reads of 151 from them: about 7,000 pairs.
test::Batch synthetic(std::int64_t haplotypes) {
  test::Maker make(1);
  test::Batch batch;
  for (std::int64_t region = 0; region < std::max<std::int64_t>(1, 180 / haplotypes); ++region) {
    const std::string origin = make.bases(300);
    std::vector<std::string> of_region;
    std::vector<reference::Read> reads;
    for (std::int64_t h = 0; h < haplotypes; ++h)
      of_region.push_back(make.piece(make.mutant(origin), make.between(280, 301)));
    for (int r = 0; r < 40; ++r)
      reads.push_back(
          make.read(make.piece(of_region[static_cast<std::size_t>(make.between(0, haplotypes - 1))], 151), 20, 40));
    batch.add(reads, of_region);
  }
  return batch;
}

using Scorer = std::function<void(std::span<double>)>;

/// A wrong answer fails: by more than 1e-5 from the peer, where it is installed.
void measure(benchmark::State& state, const PairHmmRegions& regions, const Scorer& score) {
  std::vector<double> found(static_cast<std::size_t>(pair_count(regions))), expected(found.size());
  for (auto _ : state) score(found);
  const auto cells = static_cast<double>(cell_count(regions));
  state.counters["cells/s"] = benchmark::Counter(cells, benchmark::Counter::kIsIterationInvariantRate);
  if (!peers::Gkl::get()) return;
  peers::Gkl::get()->pairhmm(regions, expected);
  double worst = 0;
  for (std::size_t p = 0; p < found.size(); ++p) worst = std::max(worst, std::abs(found[p] - expected[p]));
  state.counters["off_gkl"] = worst;
  if (!(worst <= 1e-5)) state.SkipWithError("wrong answer");
}

void kiban_scores(benchmark::State& state, const PairHmmRegions& regions, int threads) {
  Stream stream(Device{}, threads);
  measure(state, regions, [&](std::span<double> found) { pairhmm(stream, regions, found); });
}

void gkl_scores(benchmark::State& state, const PairHmmRegions& regions) {
  measure(state, regions, [&](std::span<double> found) { peers::Gkl::get()->pairhmm(regions, found); });
}

void add(const std::string& what, const PairHmmRegions& regions) {
  for (const int threads : {1, 2})
    benchmark::RegisterBenchmark(
        ("kiban/" + what + "/threads:" + std::to_string(threads)).c_str(),
        [&regions, threads](benchmark::State& state) { kiban_scores(state, regions, threads); })
        ->UseRealTime();
  if (peers::Gkl::get())
    benchmark::RegisterBenchmark(("gkl/" + what + "/threads:1").c_str(), [&regions](benchmark::State& state) {
      gkl_scores(state, regions);
    })->UseRealTime();
}

[[maybe_unused]] const bool registered = [] {
  static std::map<std::int64_t, test::Batch> batches;
  static std::map<std::int64_t, PairHmmRegions> regions;
  for (const std::int64_t haplotypes : {16, 20, 37, 128}) {
    batches.emplace(haplotypes, synthetic(haplotypes));
    regions.emplace(haplotypes, batches.at(haplotypes).regions());
    add("haplotypes:" + std::to_string(haplotypes), regions.at(haplotypes));
  }
  if (const auto file = kiban::test::test_data("genome/pairhmm_1m.in")) {
    static const io::PairHmmText text = io::PairHmmTextReader(*file).next(1 << 30);
    static const PairHmmRegions real{{text.bases, text.base_quality, text.insertion_quality, text.deletion_quality,
                                      text.gap_quality, text.read_begin},
                                     {text.haplotype_bases, text.haplotype_begin},
                                     text.reads_begin,
                                     text.haplotypes_begin};
    add("pairhmm_1m.in", real);
  }
  return true;
}();

}  // namespace
}  // namespace kiban::variant
