#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace kiban::image {

/// Voxels that wait for the level of a flood, lowest first, where what comes is never below the level reached: a radix
/// heap with digits of 8 bits. An entry moves at most three times. After Ahuja, Mehlhorn, Orlin and Tarjan, "Faster
/// algorithms for the shortest path problem", JACM 37 (1990).
class LevelQueue {
 public:
  struct Entry {
    std::uint32_t level, voxel;
  };

  static constexpr std::int64_t kNone = std::int64_t{1} << 32;

  /// level: not below that of the last `next`.
  void push(const Entry& entry) {
    const unsigned place = place_of(entry.level);
    const std::uint32_t digit = entry.level >> (8 * place) & 0xFF;
    entries_[place * 256 + digit].push_back(entry);
    filled_[place * 4 + digit / 64] |= std::uint64_t{1} << digit % 64;
    lowest_ = std::min(lowest_, std::int64_t{entry.level});
  }

  /// The level that `next` will give; kNone: none. What is pushed afterwards may yet be lower.
  std::int64_t lowest() {
    if (lowest_ == kUnknown) lowest_ = find_lowest();
    return lowest_;
  }

  /// Fills `entries` with all of the lowest level. False: there are none.
  bool next(std::vector<Entry>& entries) {
    entries.clear();
    if (lowest() == kNone) return false;
    const auto level = static_cast<std::uint32_t>(lowest_);
    const unsigned place = place_of(level);
    level_ = level;
    if (place > 0) {
      // What shares this digit with the level now differs from it in a lower one only.
      std::vector<Entry>& found = taken_out(place, level >> (8 * place) & 0xFF);
      std::swap(moving_, found);
      for (const Entry& entry : moving_) push(entry);
      moving_.clear();
      if (moving_.capacity() > kKept) std::vector<Entry>().swap(moving_);
    }
    std::swap(entries, taken_out(0, level & 0xFF));
    lowest_ = kUnknown;
    return true;
  }

  /// Begins anew, with no entry.
  void restart() { level_ = 0; }

 private:
  static constexpr std::int64_t kUnknown = -1;
  /// Entries: memory for more is given back when they have moved on, as the next may wait elsewhere.
  static constexpr std::size_t kKept = 4096;

  /// The highest digit in which `level` differs from the level reached.
  unsigned place_of(std::uint32_t level) const {
    const std::uint32_t differing = level ^ level_;
    return differing == 0 ? 0U : static_cast<unsigned>(std::bit_width(differing) - 1) / 8;
  }

  std::vector<Entry>& taken_out(unsigned place, std::uint32_t digit) {
    filled_[place * 4 + digit / 64] &= ~(std::uint64_t{1} << digit % 64);
    return entries_[place * 256 + digit];
  }

  std::int64_t find_lowest() const {
    for (unsigned place = 0; place < 4; ++place) {
      const int digit = lowest_digit(place);
      if (digit < 0) continue;
      if (place == 0) return std::int64_t{(level_ & ~std::uint32_t{0xFF}) | static_cast<std::uint32_t>(digit)};
      std::int64_t lowest = kNone;
      for (const Entry& entry : entries_[place * 256 + static_cast<unsigned>(digit)])
        lowest = std::min(lowest, std::int64_t{entry.level});
      return lowest;
    }
    return kNone;
  }

  int lowest_digit(unsigned place) const {
    for (unsigned word = 0; word < 4; ++word)
      if (filled_[place * 4 + word] != 0)
        return static_cast<int>(word * 64) + std::countr_zero(filled_[place * 4 + word]);
    return -1;
  }

  std::uint32_t level_ = 0;
  std::int64_t lowest_ = kNone;
  std::array<std::uint64_t, 16> filled_{};
  std::array<std::vector<Entry>, 1024> entries_;
  std::vector<Entry> moving_;
};

}  // namespace kiban::image
