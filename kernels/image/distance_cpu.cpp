// Squared distances along x from the runs of each row; then along y and z the lower envelope of the parabolas that
// stand on the voxels of a column, as many columns side by side as a vector has lanes. A column's parabolas are a list:
// each knows the one to its left in the envelope, so that lanes, whose envelopes differ, write one row of the list
// together, and only where a parabola is covered must its left neighbour be looked up lane by lane.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/distance_cpu.cpp"
#include <hwy/foreach_target.h>
// foreach_target comes first: it includes this file once more for each instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/distance.hpp"
#include "kernels/image/label_rows_cpu.hpp"

#ifndef KIBAN_DISTANCE_CPU_ONCE
#define KIBAN_DISTANCE_CPU_ONCE
namespace kiban::image::cpu {

/// A wall so far away, and its square: what there is of another kind is nearer.
constexpr float kFar = 1e15F, kFarSquare = 1e30F, kNone = 1e29F;

/// Columns side by side, as they lie in the volume.
struct Columns {
  const void* labels;
  float* squares;
  std::int64_t count, length, stride;
  float step;
  DistanceRule rule;
  bool is_last;  ///< write distances in mm instead of squares
  float unit_mm;
};

/// The list of parabolas, and the columns' kinds; a row of lanes for each voxel.
struct Envelope {
  std::vector<float> height, from, wall;  ///< from: where it begins to be the lowest; wall: the voxel of another kind
                                          ///< before the run
  std::vector<std::int32_t> left;         ///< place in these arrays of the one before it, or -1
  std::vector<std::uint32_t> kind;
};

struct DistanceFunctions {
  /// Squared distances to the walls of each run, and `between` them, too, where it is else 0.
  void (*measure_runs)(const Run* runs, std::int64_t count, std::int64_t columns, float step, bool between,
                       float* squares);
  void (*measure_columns)(const Columns& columns, Envelope& envelope);
  std::int64_t lanes;
};

}  // namespace kiban::image::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace kiban::image::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
using Floats = hn::CappedTag<float, 1>;
#else
using Floats = hn::CappedTag<float, 16>;
#endif
using Ints = hn::RebindToSigned<Floats>;
using Kinds = hn::RebindToUnsigned<Floats>;

/// From left to right whole vectors are stored: what they write beyond a run is written again by the next.
void measure_runs_of(const Run* runs, std::int64_t count, std::int64_t columns, float step, bool between,
                     float* squares) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto fill = [&](std::int64_t begin, std::int64_t end, auto value_at, auto single) HWY_ATTR {
    for (; begin < end && begin + lanes <= columns; begin += lanes) hn::StoreU(value_at(begin), d, squares + begin);
    for (; begin < end; ++begin) squares[begin] = single(begin);
  };
  const auto measure = [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    // The voxels of another kind at either end.
    const float left = begin == 0 ? -kFar / step : static_cast<float>(begin) - 1;
    const float right = end == columns ? kFar / step : static_cast<float>(end);
    fill(
        begin, end,
        [&](std::int64_t x) HWY_ATTR {
          const auto place = hn::Iota(d, static_cast<float>(x));
          const auto steps = hn::Min(hn::Sub(place, hn::Set(d, left)), hn::Sub(hn::Set(d, right), place));
          const auto length = hn::Mul(steps, hn::Set(d, step));
          return hn::Min(hn::Mul(length, length), hn::Set(d, kFarSquare));
        },
        [&](std::int64_t x) {
          const float length = std::min(static_cast<float>(x) - left, right - static_cast<float>(x)) * step;
          return std::min(length * length, kFarSquare);
        });
  };
  const auto pass = [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    if (between) return measure(begin, end);
    fill(
        begin, end, [&](std::int64_t) HWY_ATTR { return hn::Zero(d); }, [](std::int64_t) { return 0.0F; });
  };
  std::int64_t done = 0;
  for (std::int64_t r = 0; r < count; ++r) {
    pass(done, runs[r].begin);
    measure(runs[r].begin, runs[r].end);
    done = runs[r].end;
  }
  pass(done, columns);
}

template <class T>
HWY_ATTR HWY_INLINE hn::Vec<Kinds> kinds_at(const T* labels, bool labels_apart) {
  const Kinds d;
  hn::Vec<Kinds> kinds;
  if constexpr (sizeof(T) == 4)
    kinds = hn::LoadU(d, labels);
  else
    kinds = hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, Kinds>(), labels));
  return labels_apart ? kinds : hn::Min(kinds, hn::Set(d, 1));
}

/// Brings the columns' squares and kinds beside each other: independent reads, many under way at a time.
template <class T>
HWY_ATTR void gather_columns(const Columns& columns, Envelope& envelope) {
  const Floats d;
  const Kinds dk;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const T* const labels = static_cast<const T*>(columns.labels);
  if (columns.count == lanes) {
    for (std::int64_t j = 0; j < columns.length; ++j) {
      hn::StoreU(hn::LoadU(d, columns.squares + j * columns.stride), d,
                 &envelope.height[static_cast<std::size_t>(j * lanes)]);
      hn::StoreU(kinds_at(labels + j * columns.stride, columns.rule.labels_apart), dk,
                 &envelope.kind[static_cast<std::size_t>(j * lanes)]);
    }
    return;
  }
  for (std::int64_t j = 0; j < columns.length; ++j)
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t from = j * columns.stride + std::min(lane, columns.count - 1);
      const auto to = static_cast<std::size_t>(j * lanes + lane);
      envelope.height[to] = columns.squares[from];
      const auto label = static_cast<std::uint32_t>(labels[from]);
      envelope.kind[to] = columns.rule.labels_apart ? label : std::min<std::uint32_t>(label, 1);
    }
}

/// Whether voxels are background in all columns, and nobody asks for distances in it.
HWY_ATTR HWY_INLINE bool are_idle(const Columns& columns, hn::Vec<Kinds> kind) {
  return !columns.rule.is_signed && hn::AllTrue(Kinds(), hn::Eq(kind, hn::Zero(Kinds())));
}

/// The columns' list of parabolas from the first voxel to the last. Runs of one kind have lists of their own, which
/// follow each other: the first parabola of a run begins at its wall, and has the last of the run before to its left.
/// The first voxel is in the list, whatever it is, so that every list has an end; other idle ones are not.
HWY_ATTR hn::Vec<Ints> build_envelope(const Columns& columns, Envelope& envelope) {
  const Floats d;
  const Ints di;
  const Kinds dk;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto lane = hn::Iota(di, 0);
  const auto one = hn::Set(d, 1), half = hn::Set(d, 0.5F), per_lane = hn::Set(d, 1 / static_cast<float>(lanes));
  const auto two_squares = hn::Set(d, 2 * columns.step * columns.step);
  const float* const height = envelope.height.data();
  float* const from = envelope.from.data();
  std::int32_t* const left = envelope.left.data();
  auto top = hn::Set(di, -1), before_run = top;  // places in the arrays
  auto top_place = hn::Zero(d), top_height = hn::Zero(d), top_from = hn::Zero(d);
  auto wall = hn::Set(d, -kFar / columns.step), run_from = wall;
  auto kind = hn::LoadU(dk, envelope.kind.data());
  for (std::int64_t j = 0; j < columns.length; ++j) {
    const auto place = hn::Set(d, static_cast<float>(j));
    const auto new_kind = hn::LoadU(dk, envelope.kind.data() + j * lanes);
    const auto changed = hn::RebindMask(d, hn::Ne(new_kind, kind));
    kind = new_kind;
    if (!hn::AllFalse(d, changed)) {
      wall = hn::IfThenElse(changed, hn::Sub(place, one), wall);
      run_from = hn::IfThenElse(changed, hn::Sub(place, half), run_from);
      before_run = hn::IfThenElse(hn::RebindMask(di, changed), top, before_run);
    }
    if (j > 0 && are_idle(columns, kind)) continue;
    const auto own = hn::LoadU(d, height + j * lanes);
    // Covered: where this one is lower than the last from where that begins.
    while (true) {
      const auto reach = hn::Mul(two_squares, hn::Sub(place, top_place));
      const auto middle = hn::Mul(half, hn::Add(place, top_place));
      const auto covers = hn::Le(hn::Sub(own, top_height), hn::Mul(hn::Sub(top_from, middle), reach));
      const auto covered = hn::And(covers, hn::RebindMask(d, hn::Ne(top, before_run)));
      if (hn::AllFalse(d, covered)) break;
      top = hn::IfThenElse(hn::RebindMask(di, covered), hn::GatherIndex(di, left, hn::Max(top, hn::Zero(di))), top);
      const auto next = hn::Max(top, hn::Zero(di));
      top_place = hn::Mul(hn::ConvertTo(d, hn::Sub(top, lane)), per_lane);
      top_height = hn::IfThenElse(covered, hn::GatherIndex(d, height, next), top_height);
      top_from = hn::IfThenElse(covered, hn::GatherIndex(d, from, next), top_from);
    }
    const auto reach = hn::Mul(two_squares, hn::Sub(place, top_place));
    const auto crossing = hn::MulAdd(half, hn::Add(place, top_place), hn::Div(hn::Sub(own, top_height), reach));
    const auto is_first = hn::RebindMask(d, hn::Eq(top, before_run));
    top_from = hn::IfThenElse(is_first, run_from, crossing);
    hn::StoreU(wall, d, envelope.wall.data() + j * lanes);
    hn::StoreU(top_from, d, from + j * lanes);
    hn::StoreU(top, di, left + j * lanes);
    top = hn::Add(lane, hn::Set(di, static_cast<std::int32_t>(j * lanes)));
    top_place = place;
    top_height = own;
  }
  return top;
}

template <class Vector>
HWY_ATTR HWY_INLINE Vector distance_of(const Columns& columns, Vector square, hn::Vec<Kinds> kind) {
  const Floats d;
  const auto infinite = hn::Ge(square, hn::Set(d, kNone));
  auto distance = hn::Mul(hn::Sqrt(square), hn::Set(d, columns.unit_mm));
  distance = hn::IfThenElse(infinite, hn::Set(d, std::numeric_limits<float>::infinity()), distance);
  const auto is_object = hn::RebindMask(d, hn::Ne(kind, hn::Zero(Kinds())));
  if (columns.rule.is_signed) return hn::IfThenElse(is_object, hn::Neg(distance), distance);
  return hn::IfThenElseZero(is_object, distance);
}

/// Walks the list back from the last voxel to the first.
HWY_ATTR void read_envelope(const Columns& columns, const Envelope& envelope, hn::Vec<Ints> top) {
  const Floats d;
  const Ints di;
  const Kinds dk;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto lane = hn::Iota(di, 0);
  const auto one = hn::Set(d, 1), per_lane = hn::Set(d, 1 / static_cast<float>(lanes));
  const auto step = hn::Set(d, columns.step);
  const float* const height = envelope.height.data();
  const float* const from = envelope.from.data();
  const std::int32_t* const left = envelope.left.data();
  auto top_place = hn::Mul(hn::ConvertTo(d, hn::Sub(top, lane)), per_lane);
  auto top_height = hn::GatherIndex(d, height, top), top_from = hn::GatherIndex(d, from, top);
  auto wall = hn::Set(d, kFar / columns.step);
  auto kind = hn::LoadU(dk, envelope.kind.data() + (columns.length - 1) * lanes);
  float spilled[16];
  for (std::int64_t j = columns.length - 1; j >= 0; --j) {
    const auto place = hn::Set(d, static_cast<float>(j));
    const auto new_kind = hn::LoadU(dk, envelope.kind.data() + j * lanes);
    wall = hn::IfThenElse(hn::RebindMask(d, hn::Ne(new_kind, kind)), hn::Add(place, one), wall);
    kind = new_kind;
    auto square = hn::Zero(d);
    if (!are_idle(columns, kind)) {
      while (true) {
        const auto later = hn::Gt(top_from, place);
        if (hn::AllFalse(d, later)) break;
        top = hn::IfThenElse(hn::RebindMask(di, later), hn::GatherIndex(di, left, hn::Max(top, hn::Zero(di))), top);
        const auto next = hn::Max(top, hn::Zero(di));
        top_place = hn::Mul(hn::ConvertTo(d, hn::Sub(top, lane)), per_lane);
        top_height = hn::IfThenElse(later, hn::GatherIndex(d, height, next), top_height);
        top_from = hn::IfThenElse(later, hn::GatherIndex(d, from, next), top_from);
      }
      const auto to_site = hn::Mul(hn::Sub(place, top_place), step);
      const auto to_wall =
          hn::Mul(hn::Min(hn::Sub(wall, place), hn::Sub(place, hn::LoadU(d, envelope.wall.data() + j * lanes))), step);
      square = hn::Min(hn::MulAdd(to_site, to_site, top_height), hn::Mul(to_wall, to_wall));
      square = columns.is_last ? distance_of(columns, square, kind) : hn::Min(square, hn::Set(d, kFarSquare));
    }
    float* const target = columns.squares + j * columns.stride;
    if (columns.count == lanes) {
      hn::StoreU(square, d, target);
    } else {
      hn::StoreU(square, d, spilled);
      std::copy_n(spilled, columns.count, target);
    }
  }
}

template <class T>
void measure_columns_of(const Columns& columns, Envelope& envelope) {
  const auto size = static_cast<std::size_t>(columns.length) * hn::Lanes(Floats());
  if (envelope.height.size() < size) {
    envelope.height.resize(size);
    envelope.from.resize(size);
    envelope.wall.resize(size);
    envelope.left.resize(size);
    envelope.kind.resize(size);
  }
  gather_columns<T>(columns, envelope);
  read_envelope(columns, envelope, build_envelope(columns, envelope));
}

DistanceFunctions distance_functions_of(VoxelType type) {
  return with_label_type(type, []<class T>() {
    return DistanceFunctions{&measure_runs_of, &measure_columns_of<T>, static_cast<std::int64_t>(hn::Lanes(Floats()))};
  });
}

}  // namespace kiban::image::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::image::cpu {
namespace {

HWY_EXPORT(distance_functions_of);

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

class Measurement {
 public:
  Measurement(const DistanceProblem& problem, Span<float, 3> distances)
      : problem_(problem),
        functions_(HWY_DYNAMIC_DISPATCH(distance_functions_of)(problem.labels.type())),
        rows_(row_functions(problem.labels.type())),
        squares_(distances.host()),
        label_bytes_(bytes_of(problem.labels.type())) {}

  /// Along x, and while the slice is near, along y.
  void slices(std::int64_t begin, std::int64_t end) const {
    const std::int64_t rows = squares_.shape[1], columns = squares_.shape[2];
    std::vector<Run> runs(at(columns + 1));
    Envelope envelope;
    for (std::int64_t z = begin; z < end; ++z) {
      for (std::int64_t row = z * rows; row < (z + 1) * rows; ++row) {
        const std::int64_t count = runs_of(row, runs);
        functions_.measure_runs(runs.data(), count, columns, problem_.step[0], problem_.rule.is_signed,
                                squares_.data + row * columns);
      }
      for (std::int64_t x = 0; x < columns; x += functions_.lanes)
        measure(z * rows * columns + x, std::min(functions_.lanes, columns - x), rows, columns, 1, envelope);
    }
  }

  /// Columns [begin, end) of a slice along z.
  void columns(std::int64_t begin, std::int64_t end) const {
    Envelope envelope;
    for (std::int64_t x = begin; x < end; x += functions_.lanes)
      measure(x, std::min(functions_.lanes, end - x), squares_.shape[0], squares_.shape[1] * squares_.shape[2], 2,
              envelope);
  }

 private:
  /// Of all kinds but the background.
  std::int64_t runs_of(std::int64_t row, std::vector<Run>& runs) const {
    const std::int64_t columns = squares_.shape[2];
    const void* const labels = static_cast<const char*>(problem_.labels.data()) + row * columns * label_bytes_;
    const std::int64_t count = rows_.find_runs(labels, columns, false, runs.data());
    if (problem_.rule.labels_apart) return count;
    std::int64_t kept = 0;
    for (std::int64_t r = 0; r < count; ++r) {
      if (kept != 0 && runs[at(kept - 1)].end == runs[at(r)].begin)
        runs[at(kept - 1)].end = runs[at(r)].end;
      else
        runs[at(kept++)] = runs[at(r)];
    }
    return kept;
  }

  void measure(std::int64_t first, std::int64_t count, std::int64_t length, std::int64_t stride, std::size_t axis,
               Envelope& envelope) const {
    functions_.measure_columns(
        {static_cast<const char*>(problem_.labels.data()) + first * label_bytes_, squares_.data + first, count, length,
         stride, problem_.step[axis], problem_.rule, axis == 2, problem_.unit_mm},
        envelope);
  }

  const DistanceProblem& problem_;
  DistanceFunctions functions_;
  RowFunctions rows_;
  ArrayView<float, 3> squares_;
  std::int64_t label_bytes_;
};

}  // namespace

void find_distances(Stream& stream, const DistanceProblem& problem, Span<float, 3> distances) {
  const Measurement measurement(problem, distances);
  parallel_for(stream, distances.extent(0), 1,
               [&](std::int64_t begin, std::int64_t end) { measurement.slices(begin, end); });
  constexpr std::int64_t kColumns = 64;  // a cache line of labels
  const std::int64_t columns = distances.extent(1) * distances.extent(2);
  parallel_for(stream, (columns + kColumns - 1) / kColumns, 1, [&](std::int64_t begin, std::int64_t end) {
    measurement.columns(begin * kColumns, std::min(end * kColumns, columns));
  });
}

}  // namespace kiban::image::cpu
#endif
