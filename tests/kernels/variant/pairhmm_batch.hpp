#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/variant/pairhmm.hpp"
#include "tests/reference/variant.hpp"

namespace kiban::variant::test {

/// Regions that own their memory.
class Batch {
 public:
  void add(const std::vector<reference::Read>& reads, const std::vector<std::string>& haplotypes) {
    const auto append = [](std::vector<std::uint8_t>& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    for (const reference::Read& read : reads) {
      append(bases_, read.bases);
      append(base_quality_, read.base_quality);
      append(insertion_quality_, read.insertion_quality);
      append(deletion_quality_, read.deletion_quality);
      append(gap_quality_, read.gap_quality);
      read_begin_.push_back(static_cast<std::int64_t>(bases_.size()));
    }
    for (const std::string& haplotype : haplotypes) {
      append(haplotype_bases_, haplotype);
      haplotype_begin_.push_back(static_cast<std::int64_t>(haplotype_bases_.size()));
    }
    reads_begin_.push_back(static_cast<std::int64_t>(read_begin_.size()) - 1);
    haplotypes_begin_.push_back(static_cast<std::int64_t>(haplotype_begin_.size()) - 1);
  }

  PairHmmRegions regions() const {
    return {{bases_, base_quality_, insertion_quality_, deletion_quality_, gap_quality_, read_begin_},
            {haplotype_bases_, haplotype_begin_},
            reads_begin_,
            haplotypes_begin_};
  }

  std::vector<double> likelihoods(Device device, int threads = 2) const {
    Stream stream(device, threads);
    std::vector<double> found(static_cast<std::size_t>(pair_count(regions())));
    pairhmm(stream, regions(), found);
    return found;
  }

 private:
  std::vector<std::uint8_t> bases_, base_quality_, insertion_quality_, deletion_quality_, gap_quality_,
      haplotype_bases_;
  std::vector<std::int64_t> read_begin_{0}, haplotype_begin_{0}, reads_begin_{0}, haplotypes_begin_{0};
};

/// Seeded reads and haplotypes.
class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  std::string bases(std::int64_t length) {
    std::string made;
    for (std::int64_t k = 0; k < length; ++k) made += "ACGT"[random_() % 4];
    return made;
  }
  std::vector<std::uint8_t> qualities(std::size_t count, int low, int high) {
    std::vector<std::uint8_t> made(count);
    for (std::uint8_t& quality : made) quality = static_cast<std::uint8_t>(between(low, high));
    return made;
  }
  /// Base qualities in [low, high], gap qualities in [gap_low, gap_high], those of each base its own.
  reference::Read read(const std::string& bases, int low, int high, int gap_low = 40, int gap_high = 45) {
    const std::size_t n = bases.size();
    return {bases, qualities(n, low, high), qualities(n, gap_low, gap_high), qualities(n, gap_low, gap_high),
            gap_low == 40 ? qualities(n, 10, 10) : qualities(n, gap_low, gap_high)};
  }
  /// `haplotype` with some bases changed, one deleted and one put in.
  std::string mutant(std::string haplotype) {
    for (int k = 0; k < 3; ++k) haplotype[at(haplotype)] = "ACGTN"[random_() % 5];
    if (haplotype.size() > 20) haplotype.erase(at(haplotype), 1);
    haplotype.insert(at(haplotype), 1, 'G');
    return haplotype;
  }
  /// A piece of a haplotype, of up to `length` bases.
  std::string piece(const std::string& of, std::int64_t length) {
    const std::int64_t begin = between(0, std::max<std::int64_t>(0, static_cast<std::int64_t>(of.size()) - length));
    return of.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(length));
  }

 private:
  std::size_t at(const std::string& text) { return random_() % text.size(); }
  std::mt19937 random_;
};

}  // namespace kiban::variant::test
