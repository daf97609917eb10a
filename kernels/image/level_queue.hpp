#pragma once
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

  /// level: not below that of the last `next`.
  void push(const Entry& entry) {
    const std::uint32_t differing = entry.level ^ level_;
    const auto place = differing == 0 ? 0U : static_cast<unsigned>(std::bit_width(differing) - 1) / 8;
    const std::uint32_t digit = entry.level >> (8 * place) & 0xFF;
    entries_[place * 256 + digit].push_back(entry);
    filled_[place * 4 + digit / 64] |= std::uint64_t{1} << digit % 64;
  }

  /// Fills `entries` with all of the lowest level. False: there are none.
  bool next(std::vector<Entry>& entries) {
    entries.clear();
    for (unsigned place = 0; place < 4;) {
      const int digit = lowest_digit(place);
      if (digit < 0) {
        ++place;
        continue;
      }
      std::vector<Entry>& found = entries_[place * 256 + static_cast<unsigned>(digit)];
      filled_[place * 4 + static_cast<unsigned>(digit) / 64] &= ~(std::uint64_t{1} << digit % 64);
      if (place == 0) {
        level_ = found.front().level;
        std::swap(entries, found);
        return true;
      }
      std::swap(moving_, found);
      level_ = moving_.front().level;
      for (const Entry& entry : moving_) level_ = std::min(level_, entry.level);
      for (const Entry& entry : moving_) push(entry);
      moving_.clear();
      if (moving_.capacity() > found.capacity()) std::swap(moving_, found);
      place = 0;
    }
    return false;
  }

  std::uint32_t level() const { return level_; }
  /// Begins anew, with no entry.
  void restart() { level_ = 0; }

 private:
  int lowest_digit(unsigned place) const {
    for (unsigned word = 0; word < 4; ++word)
      if (filled_[place * 4 + word] != 0)
        return static_cast<int>(word * 64) + std::countr_zero(filled_[place * 4 + word]);
    return -1;
  }

  std::uint32_t level_ = 0;
  std::array<std::uint64_t, 16> filled_{};
  std::array<std::vector<Entry>, 1024> entries_;
  std::vector<Entry> moving_;
};

}  // namespace kiban::image
