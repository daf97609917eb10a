#pragma once
#include <cstdint>
#include <span>

#include "kernels/core/voxels.hpp"

namespace kiban::image::cpu {

/// Voxels [begin, end) of a row, all of one label.
struct Run {
  std::uint32_t begin, end, label;
};

/// A row of labels, 64 voxels a word: bit x % 64 of word x / 64 is voxel x.
struct RowBits {
  std::uint64_t* changes;      ///< another label than the voxel before, or the first of the row
  std::uint64_t* counted;      ///< of a run that counts
  std::uint32_t* runs_before;  ///< runs that count and begin in earlier words
};

/// A row whose runs may touch those of another one.
struct RowBeside {
  const void* labels;
  RowBits bits;
  std::uint32_t first_run;  ///< number of its first run that counts
  bool corners;             ///< runs touch, too, where one ends and the other begins
};

/// Two runs that touch, by their numbers.
struct Touch {
  std::uint32_t run, other;
};

/// What is done along one row, for one type of labels and the instruction set of this machine.
struct RowFunctions {
  /// The number of runs that count, as of read_row.
  std::int64_t (*count_runs)(const void* row, std::int64_t columns, bool of_background);
  /// Returns the number of runs that count: of each label but 0, or with `of_background` of 0 alone.
  std::int64_t (*read_row)(const void* row, std::int64_t columns, bool of_background, const RowBits& bits);
  /// Pairs of runs that count, of one label, and touch: one of `row`, and one of those beside it.
  ///   first_is_joined   the rows beside are joined with the first of them wherever they share a column: what touches
  ///                     that one in a column need not be found in the others
  ///   touches           room for 12 columns
  /// Returns their number.
  std::int64_t (*find_touches)(const RowBeside& row, std::span<const RowBeside> beside, bool first_is_joined,
                               std::int64_t columns, Touch* touches);
  /// The runs that count. `runs` has room for columns + 1.
  std::int64_t (*find_runs)(const void* row, std::int64_t columns, bool of_background, Run* runs);
  /// The voxels of each run become its value; the others 0, or what they are if they are to stay.
  void (*paint_runs)(const Run* runs, const std::uint32_t* value_of_run, std::int64_t count, std::int64_t columns,
                     bool others_stay, void* values);
};
RowFunctions row_functions(VoxelType type);

}  // namespace kiban::image::cpu
