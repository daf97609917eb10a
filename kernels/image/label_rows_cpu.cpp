// Rows of labels to runs and back, as many voxels at a time as a vector has lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/label_rows_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/image/label_rows_cpu.hpp"

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t kWord = 64;

/// Bit k: compare(first[at + k], second[at + k]), for as many k as `d` has lanes.
template <class Lanes, class T, class Compare>
HWY_ATTR HWY_INLINE std::uint64_t bits_of(Lanes d, const T* first, const T* second, std::int64_t at,
                                          const Compare& compare) {
  std::uint64_t bits = 0;
  hn::StoreMaskBits(d, compare(hn::LoadU(d, first + at), hn::LoadU(d, second + at)),
                    reinterpret_cast<std::uint8_t*>(&bits));
  return bits;
}

/// The same for k < count <= 64. `before`, `after`: how many more voxels may be read at either end.
template <class T, class Compare>
HWY_ATTR HWY_INLINE std::uint64_t word_of(const T* first, const T* second, std::int64_t count, std::int64_t before,
                                          std::int64_t after, const Compare& compare) {
  const hn::CappedTag<T, kWord> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::uint64_t word = 0;
  std::int64_t at = 0;
  for (; at + lanes <= count; at += lanes) word |= bits_of(d, first, second, at, compare) << at;
  if (at >= count) return word;
  if (at + lanes <= count + after)  // the last vector ends later
    return word | (bits_of(d, first, second, at, compare) & ((std::uint64_t{1} << (count - at)) - 1)) << at;
  if (before + count >= lanes)  // or begins earlier
    return word | bits_of(d, first, second, count - lanes, compare) >> (at - (count - lanes)) << at;
  const hn::CappedTag<T, 8> eight;
  for (; at + 8 <= count && hn::Lanes(eight) == 8; at += 8) word |= bits_of(eight, first, second, at, compare) << at;
  for (; at < count; ++at) word |= bits_of(hn::CappedTag<T, 1>(), first, second, at, compare) << at;
  return word;
}

/// Voxels [begin, begin + count) of two rows that are equal.
template <class T>
HWY_ATTR HWY_INLINE std::uint64_t equal(const T* row, const T* other, std::int64_t begin, std::int64_t count) {
  return word_of(row + begin, other + begin, count, begin, 0, [](auto a, auto b) HWY_ATTR { return hn::Eq(a, b); });
}
/// Those that are equal to the voxel before in the other row; never the first of a row.
template <class T>
HWY_ATTR HWY_INLINE std::uint64_t equal_to_before(const T* row, const T* other, std::int64_t begin, std::int64_t count,
                                                  std::int64_t columns) {
  const auto are_equal = [](auto a, auto b) HWY_ATTR { return hn::Eq(a, b); };
  if (begin == 0) return word_of(row + 1, other, count - 1, 0, columns - count, are_equal) << 1;
  return word_of(row + begin, other + begin - 1, count, begin - 1, 0, are_equal);
}

/// Voxels that begin with another label than the one before, and voxels of runs that count.
struct Word {
  std::uint64_t changes, counted;
};
template <class T>
HWY_ATTR HWY_INLINE Word read_word(const T* row, std::int64_t begin, std::int64_t columns, bool of_background) {
  const std::int64_t count = std::min(kWord, columns - begin);
  const std::uint64_t valid = ~std::uint64_t{0} >> (kWord - count);
  const std::uint64_t zeros = word_of(row + begin, row + begin, count, begin, 0, [](auto a, auto) HWY_ATTR {
    return hn::Eq(a, hn::Zero(hn::DFromV<decltype(a)>()));
  });
  return {~equal_to_before(row, row, begin, count, columns) & valid, of_background ? zeros : ~zeros & valid};
}

template <class T>
HWY_ATTR std::int64_t count_runs_of(const void* row_memory, std::int64_t columns, bool of_background) {
  std::int64_t runs = 0;
  for (std::int64_t begin = 0; begin < columns; begin += kWord) {
    const Word word = read_word(static_cast<const T*>(row_memory), begin, columns, of_background);
    runs += std::popcount(word.changes & word.counted);
  }
  return runs;
}

template <class T>
HWY_ATTR std::int64_t read_row_of(const void* row_memory, std::int64_t columns, bool of_background,
                                  const RowBits& bits) {
  std::uint32_t runs = 0;
  for (std::int64_t begin = 0; begin < columns; begin += kWord) {
    const Word word = read_word(static_cast<const T*>(row_memory), begin, columns, of_background);
    bits.changes[begin / kWord] = word.changes;
    bits.counted[begin / kWord] = word.counted;
    bits.runs_before[begin / kWord] = runs;
    runs += static_cast<std::uint32_t>(std::popcount(word.changes & word.counted));
  }
  return runs;
}

/// The number of the run that covers the voxel of bit `bit`, one that counts; `shift` 1: the voxel before it.
HWY_ATTR HWY_INLINE std::uint32_t run_at(const RowBeside& row, std::int64_t word, int bit, int shift = 0) {
  const std::uint64_t up_to = ~std::uint64_t{0} >> (kWord - 1 - bit) >> shift;
  const std::uint64_t begins = row.bits.changes[word] & row.bits.counted[word] & up_to;
  return row.first_run + row.bits.runs_before[word] + static_cast<std::uint32_t>(std::popcount(begins)) - 1;
}

HWY_ATTR HWY_INLINE Touch* write_touches(std::uint64_t places, const RowBeside& row, const RowBeside& other,
                                         std::int64_t word, int shift, int shift_of_other, Touch* next) {
  for (; places != 0; places &= places - 1) {
    const int bit = std::countr_zero(places);
    *next++ = {run_at(row, word, bit, shift), run_at(other, word, bit, shift_of_other)};
  }
  return next;
}

/// Two runs are met where their first common column is; and at corners, where one ends and the other begins in columns
/// that both rows change at.
template <class T>
HWY_ATTR std::int64_t find_touches_of(const RowBeside& row, std::span<const RowBeside> beside, bool first_is_joined,
                                      std::int64_t columns, Touch* touches) {
  const T* const labels = static_cast<const T*>(row.labels);
  Touch* next = touches;
  std::uint64_t carried[4] = {};
  for (std::int64_t begin = 0; begin < columns; begin += kWord) {
    const std::int64_t word = begin / kWord, count = std::min(kWord, columns - begin);
    const std::uint64_t changes = row.bits.changes[word], counted = row.bits.counted[word];
    std::uint64_t joined = 0;  // columns in which the first row beside has been met
    for (std::size_t k = 0; k < beside.size(); ++k) {
      const RowBeside& other = beside[k];
      const std::uint64_t other_changes = other.bits.changes[word], other_counted = other.bits.counted[word];
      const std::uint64_t both = other.corners ? changes & other_changes : 0;
      // Most words have nothing in one of the rows, or are joined throughout: no label need be read.
      if (((counted & other_counted & ~joined) | both) == 0) {
        carried[k] = 0;
        continue;
      }
      const T* const others = static_cast<const T*>(other.labels);
      const std::uint64_t same = equal(labels, others, begin, count) & counted;
      const std::uint64_t apart = same & ~joined;
      const std::uint64_t first = apart & ~((apart << 1 | carried[k]) & ~changes);
      carried[k] = apart >> (kWord - 1);
      if (k == 0 && first_is_joined) joined = same;
      const std::uint64_t after = both ? both & counted & equal_to_before(labels, others, begin, count, columns) : 0;
      const std::uint64_t ahead =
          both ? both & other_counted & equal_to_before(others, labels, begin, count, columns) : 0;
      if ((first | after | ahead) == 0) continue;
      next = write_touches(first, row, other, word, 0, 0, next);
      next = write_touches(after, row, other, word, 0, 1, next);
      next = write_touches(ahead, row, other, word, 1, 0, next);
    }
  }
  return next - touches;
}

/// A run is written whether it counts or not, and then counted or not: no branch to be guessed.
template <class T>
HWY_ATTR std::int64_t find_runs_of(const void* row_memory, std::int64_t columns, bool of_background, Run* runs) {
  const T* const row = static_cast<const T*>(row_memory);
  std::int64_t found = 0;
  std::uint32_t run_begin = 0;
  T label = row[0];
  const auto cut = [&](std::int64_t at) HWY_ATTR {
    runs[found] = {run_begin, static_cast<std::uint32_t>(at), label};
    found += (label == 0) == of_background;
    run_begin = static_cast<std::uint32_t>(at);
    label = row[std::min(at, columns - 1)];
  };
  for (std::int64_t begin = 0; begin < columns; begin += kWord) {
    const std::int64_t count = std::min(kWord, columns - begin);
    const std::uint64_t first_of_row = begin == 0;
    std::uint64_t changes =
        ~equal_to_before(row, row, begin, count, columns) & ~std::uint64_t{0} >> (kWord - count) & ~first_of_row;
    for (; changes != 0; changes &= changes - 1) cut(begin + std::countr_zero(changes));
  }
  cut(columns);
  return found;
}

/// From left to right whole vectors are stored: what they write beyond `end` is written again by what comes next.
template <class T>
HWY_ATTR HWY_INLINE void fill(T* values, std::int64_t begin, std::int64_t end, std::int64_t columns, T value) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto vector = hn::Set(d, value);
  for (; begin < end && begin + lanes <= columns; begin += lanes) hn::StoreU(vector, d, values + begin);
  for (; begin < end; ++begin) values[begin] = value;
}

template <class T>
HWY_ATTR void paint_runs_of(const Run* runs, const std::uint32_t* value_of_run, std::int64_t count,
                            std::int64_t columns, bool others_stay, void* memory) {
  T* const values = static_cast<T*>(memory);
  if (others_stay) {
    for (std::int64_t r = 0; r < count; ++r)
      std::fill(values + runs[r].begin, values + runs[r].end, static_cast<T>(value_of_run[r]));
    return;
  }
  std::int64_t painted = 0;
  for (std::int64_t r = 0; r < count; ++r) {
    fill<T>(values, painted, runs[r].begin, columns, 0);
    fill<T>(values, runs[r].begin, runs[r].end, columns, static_cast<T>(value_of_run[r]));
    painted = runs[r].end;
  }
  fill<T>(values, painted, columns, columns, 0);
}

RowFunctions row_functions_of(VoxelType type) {
  return with_label_type(type, []<class T>() {
    return RowFunctions{&count_runs_of<T>, &read_row_of<T>, &find_touches_of<T>, &find_runs_of<T>, &paint_runs_of<T>};
  });
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {

HWY_EXPORT(row_functions_of);

RowFunctions row_functions(VoxelType type) { return HWY_DYNAMIC_DISPATCH(row_functions_of)(type); }

}  // namespace kiban::image::cpu
#endif
