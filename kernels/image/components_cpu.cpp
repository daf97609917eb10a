// Runs of equal labels along x are joined by union-find. A slab of rows is a thread's own; what touches across its
// first rows is joined afterwards. The root of a tree is its least run, so that numbers in the order of roots are
// numbers in the order of first voxels, whatever the slabs.
#include "kernels/image/components_cpu.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/components.hpp"
#include "kernels/image/label_rows_cpu.hpp"

namespace kiban::image::cpu {
namespace {

using Id = std::uint32_t;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Bands in slabs.
struct Layout : Bands {
  Layout(const Shape<3>& shape, int threads) : Bands(shape) {
    // Two a thread: the seams between slabs are one thread's work, and an empty slab is another's luck.
    const std::int64_t wanted = threads == 1 ? 1 : 2 * threads;
    // A slab holds all neighbours of the first row after it.
    const std::int64_t least = (shape[0] > 1 ? rows_of_slice + 1 : 1) / rows_of_band + 1;
    bands_of_slab = std::max(least, (count + wanted - 1) / wanted);
    slabs = (count + bands_of_slab - 1) / bands_of_slab;
  }
  std::int64_t first_row(std::int64_t slab) const { return first_row_of_band(slab * bands_of_slab); }

  std::int64_t bands_of_slab, slabs;
};

/// The rows before a row whose runs may touch its own.
struct Neighbours {
  struct Row {
    std::int64_t row;
    bool corners;  ///< runs touch, too, where one ends and the other begins
  };
  Row rows[4];
  int count = 0;
  bool first_is_joined = false;  ///< as RowFunctions::find_touches has it
};

/// Those of [first, end). In this order: what touches the row above in a column, touches through it what that touches.
Neighbours neighbours_of(const Layout& layout, std::int64_t row, Connectivity connectivity, std::int64_t first,
                         std::int64_t end) {
  const std::int64_t y = row % layout.rows_of_slice, above = row - layout.rows_of_slice;
  const bool across_edges = connectivity != Connectivity::faces;
  const bool across_corners = connectivity == Connectivity::corners;
  Neighbours found;
  const auto add = [&](bool is_there, std::int64_t neighbour, bool corners) {
    if (is_there && neighbour >= first && neighbour < end) found.rows[found.count++] = {neighbour, corners};
  };
  add(above >= 0, above, across_edges);
  found.first_is_joined = across_edges && found.count == 1;
  add(y > 0, row - 1, across_edges);
  add(above >= 0 && across_edges && y > 0, above - 1, across_corners);
  add(above >= 0 && across_edges && y + 1 < layout.rows_of_slice, above + 1, across_corners);
  return found;
}

Id root_of(Id* parent, Id run) {
  while (parent[run] != run) run = parent[run] = parent[parent[run]];
  return run;
}

/// Both then have the root of both as their parent.
void unite(Id* parent, Id a, Id b) {
  const Id root_a = root_of(parent, a), root_b = root_of(parent, b), least = std::min(root_a, root_b);
  parent[root_a] = parent[root_b] = parent[a] = parent[b] = least;
}

/// The rows that were read last, and what of them touches.
class RecentRows {
 public:
  RecentRows(const ComponentProblem& problem, const Layout& layout, std::int64_t first_row, Id first_run)
      : problem_(problem),
        functions_(row_functions(problem.labels.type())),
        columns_(layout.columns),
        words_((layout.columns + 63) / 64),
        row_bytes_(layout.columns * bytes_of(problem.labels.type())),
        next_row_(first_row),
        next_run_(first_run),
        first_run_(at(layout.rows_of_slice + 2)),
        changes_(first_run_.size() * at(words_)),
        counted_(changes_.size()),
        runs_before_(changes_.size()),
        touches_(at(12 * columns_)) {}

  /// Number of the first run of the row that is read next, and after that of a row of those that are kept: a slice's
  /// length and one more.
  Id next_run() const { return next_run_; }
  Id first_run(std::int64_t row) const { return first_run_[place(row)]; }

  /// Returns the number of its runs.
  std::int64_t read_next() {
    first_run_[place(next_row_)] = next_run_;
    const std::int64_t runs =
        functions_.read_row(memory(next_row_), columns_, problem_.joined == Joined::background, bits(next_row_));
    ++next_row_;
    next_run_ += static_cast<Id>(runs);
    return runs;
  }

  /// Joins the runs of `row` with those of rows before it.
  void join(std::int64_t row, const Neighbours& neighbours, Id* parent) {
    RowBeside beside[4];
    for (int k = 0; k < neighbours.count; ++k) beside[k] = seen(neighbours.rows[k].row, neighbours.rows[k].corners);
    const std::int64_t count = functions_.find_touches(seen(row, false), {beside, at(neighbours.count)},
                                                       neighbours.first_is_joined, columns_, touches_.data());
    for (std::int64_t t = 0; t < count; ++t) {
      const Touch& touch = touches_[at(t)];
      if (parent[touch.run] != parent[touch.other]) unite(parent, touch.run, touch.other);
    }
  }

 private:
  std::size_t place(std::int64_t row) const { return at(row) % first_run_.size(); }
  const void* memory(std::int64_t row) const {
    return static_cast<const char*>(problem_.labels.data()) + row * row_bytes_;
  }
  RowBits bits(std::int64_t row) {
    const std::size_t first = place(row) * at(words_);
    return {&changes_[first], &counted_[first], &runs_before_[first]};
  }

  RowBeside seen(std::int64_t row, bool corners) { return {memory(row), bits(row), first_run(row), corners}; }

  const ComponentProblem& problem_;
  RowFunctions functions_;
  std::int64_t columns_, words_, row_bytes_, next_row_;
  Id next_run_;
  std::vector<Id> first_run_;  ///< of each row; this and the next three are rings
  std::vector<std::uint64_t> changes_, counted_;
  std::vector<std::uint32_t> runs_before_;
  std::vector<Touch> touches_;
};

class Finder {
 public:
  Finder(Stream& stream, const ComponentProblem& problem, ComponentState& state)
      : stream_(stream), problem_(problem), state_(state), layout_(problem.labels.shape(), stream.threads()) {}

  void run() {
    number_runs();
    parallel_for(stream_, layout_.slabs, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t slab = begin; slab < end; ++slab) join_within(slab);
    });
    for (std::int64_t slab = 1; slab < layout_.slabs; ++slab) join_with_previous(slab);
    number_roots();
  }

 private:
  Id* parents() { return state_.numbers.host().data; }

  /// Counts the runs of each band, so that every run has its number, and its place, before any is joined.
  void number_runs() {
    const auto count_runs = row_functions(problem_.labels.type()).count_runs;
    const std::int64_t row_bytes = layout_.columns * bytes_of(problem_.labels.type());
    std::vector<std::int64_t> runs(at(layout_.count), 0);
    parallel_for(stream_, layout_.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t band = begin; band < end; ++band)
        for (std::int64_t row = layout_.first_row_of_band(band); row < layout_.first_row_of_band(band + 1); ++row)
          runs[at(band)] += count_runs(static_cast<const char*>(problem_.labels.data()) + row * row_bytes,
                                       layout_.columns, problem_.joined == Joined::background);
    });
    std::int64_t all = 0;
    for (const std::int64_t of_band : runs) {
      state_.first_runs.push_back(static_cast<Id>(all));
      all += of_band;
    }
    if (all >= (std::int64_t{1} << 32) - 1)
      throw Error(ErrorCode::input, "the labels change more than 4294967294 times along x; crop the volume");
    state_.numbers = Array<std::uint32_t, 1>({all}, stream_.device());
  }

  RecentRows rows_from_band(std::int64_t band) {
    return {problem_, layout_, layout_.first_row_of_band(band), state_.first_runs[at(band)]};
  }

  void join_within(std::int64_t slab) {
    const std::int64_t first_row = layout_.first_row(slab), end_row = layout_.first_row(slab + 1);
    RecentRows rows = rows_from_band(slab * layout_.bands_of_slab);
    for (std::int64_t row = first_row; row < end_row; ++row) {
      if (row % layout_.rows_of_slice == 0) stream_.check();
      const Id first = rows.next_run();
      const std::int64_t runs = rows.read_next();
      std::iota(parents() + first, parents() + first + runs, first);
      if (runs != 0) rows.join(row, neighbours_of(layout_, row, problem_.connectivity, first_row, row), parents());
    }
  }

  /// The rows before a slab that its first rows can touch, and as many of its own that touch them.
  void join_with_previous(std::int64_t slab) {
    const std::int64_t seam = layout_.first_row(slab), reach = layout_.rows_of_slice + 1;
    const std::int64_t first_band = std::max<std::int64_t>(0, seam - reach) / layout_.rows_of_band;
    const std::int64_t first_row = layout_.first_row_of_band(first_band);
    RecentRows rows = rows_from_band(first_band);
    for (std::int64_t row = first_row; row < seam; ++row) rows.read_next();
    const std::int64_t end = std::min(layout_.first_row(slab + 1), seam + reach);
    for (std::int64_t row = seam; row < end; ++row) {
      stream_.check();
      rows.read_next();
      rows.join(row, neighbours_of(layout_, row, problem_.connectivity, first_row, seam), parents());
    }
  }

  /// A parent is never after its child, so that its number is known.
  void number_roots() {
    Id* const number = parents();
    Id count = 0;
    for (std::int64_t run = 0; run < state_.numbers.size(); ++run)
      number[run] = number[run] == run ? ++count : number[number[run]];
    state_.count = count;
  }

  Stream& stream_;
  const ComponentProblem& problem_;
  ComponentState& state_;
  Layout layout_;
};

}  // namespace

void find_components(Stream& stream, const ComponentProblem& problem, ComponentState& state) {
  Finder(stream, problem, state).run();
}

}  // namespace kiban::image::cpu
