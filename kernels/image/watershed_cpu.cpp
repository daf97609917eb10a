// The definition in four passes, none of which walks the volume in the order of its values. Levels are a
// reconstruction. They tell of nearly every voxel the neighbour that it is reached from; on plateaus of levels steps,
// breadth first, do. Following these neighbours gives labels, and where several neighbours are as near, the label of
// one of them, which is mended to the smallest. All but the mending is shared by threads, and as the definition has one
// solution it does not matter who comes first.
#include <hwy/cache_control.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/level_queue.hpp"
#include "kernels/image/neighbours.hpp"
#include "kernels/image/reconstruct.hpp"
#include "kernels/image/sinking_cpu.hpp"
#include "kernels/image/watershed.hpp"

namespace kiban::image::cpu {
namespace {

/// Where a voxel is reached from: the number of a neighbour, or one of these.
constexpr std::uint8_t kMarker = 26, kOutside = 27, kPlateau = 28, kWhere = 31;
/// And beside it: another neighbour may be as near; it is reached over a plateau, so that steps are written down.
constexpr std::uint8_t kSeveral = 32, kHasSteps = 64;
/// Rows that are worth a piece of work, and voxels of a plateau's front.
constexpr std::int64_t kRows = 32, kFront = 4096;
/// So far ahead, what a voxel of a front needs is fetched from memory.
constexpr std::int64_t kAhead = 16;

using Voxels = std::vector<std::uint32_t>;

/// What threads share: another writes the same value, or one that is mended later.
template <class T>
T seen(const T& value) {
  return std::atomic_ref<T>(const_cast<T&>(value)).load(std::memory_order_relaxed);
}
template <class T>
void put(T& place, T value) {
  std::atomic_ref<T>(place).store(value, std::memory_order_relaxed);
}

template <class T, Extreme which, class Label>
class Flood {
  using Order = Sinking<T, which>;

 public:
  Flood(Stream& stream, const WatershedProblem& problem, Label* labels)
      : stream_(stream),
        shape_(problem.image.shape()),
        neighbours_(shape_, problem.connectivity),
        labels_(labels),
        held_levels_(problem.image.type(), shape_),
        held_steps_(shape_),
        held_from_(shape_),
        levels_(static_cast<T*>(held_levels_.span().data())),
        steps_(held_steps_.host().data),
        from_(held_from_.host().data) {}

  void run(const WatershedProblem& problem) {
    begin(problem);
    for_rows([&](const Row& row, Buffers& buffers) { look_down(row, buffers); });
    cross_plateaus();
    for_rows([&](const Row& row, Buffers&) { follow(row); });
    mend();
  }

 private:
  /// Row y of slice z begins at `at`. `ends`: those in y and z.
  struct Row {
    std::int64_t at;
    std::uint8_t ends;
  };
  /// Of each place of a row.
  struct Buffers {
    std::vector<T> lowest;
    std::vector<std::uint8_t> from;
    std::vector<Label> differing;
    Voxels found;
  };

  template <class Body>
  void for_rows(const Body& body) {
    parallel_for(stream_, shape_[0] * shape_[1], kRows, [&](std::int64_t begin, std::int64_t end) {
      const auto columns = static_cast<std::size_t>(shape_[2]);
      Buffers buffers{std::vector<T>(columns), std::vector<std::uint8_t>(columns), std::vector<Label>(columns), {}};
      for (std::int64_t row = begin; row < end; ++row)
        body(Row{row * shape_[2], ends_at(shape_, row / shape_[1], row % shape_[1], -1)}, buffers);
    });
  }

  /// Calls `body(k, first, last, offset)` for each neighbour that places [first, last) of a row have.
  template <class Body>
  void for_neighbours_of(const Row& row, const Body& body) const {
    for (int k = 0; k < neighbours_.count; ++k) {
      const std::uint8_t missing = neighbours_.missing_at[k];
      if ((row.ends & missing) == 0) body(k, missing & 1, shape_[2] - (missing >> 1 & 1), neighbours_.offset[k]);
    }
  }

  /// Calls `body(k, neighbour)`.
  template <class Body>
  void for_neighbours(std::uint32_t at, const Body& body) const {
    const auto rows = static_cast<std::uint32_t>(shape_[1]), columns = static_cast<std::uint32_t>(shape_[2]);
    const std::uint32_t row = at / columns, z = row / rows;
    const std::uint8_t ends = ends_at(shape_, z, row - z * rows, at - row * columns);
    for (int k = 0; k < neighbours_.count; ++k)
      if ((ends & neighbours_.missing_at[k]) == 0) body(k, at + neighbours_.offset[k]);
  }

  /// Markers, and levels.
  void begin(const WatershedProblem& problem) {
    const T* const image = static_cast<const T*>(problem.image.data());
    const Label* const markers = static_cast<const Label*>(problem.markers.data());
    const bool is_masked = problem.mask.size() != 0;
    const std::uint8_t* const mask = is_masked ? problem.mask.host().data : nullptr;
    VoxelArray held_ground(problem.image.type(), is_masked ? shape_ : Shape<3>{});
    T* const ground = static_cast<T*>(held_ground.span().data());
    parallel_for(stream_, held_from_.size(), 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      constexpr std::int64_t kNear = 4096;  // stays in the nearest cache from loop to loop
      for (std::int64_t at = begin; at < end; at += kNear) {
        const std::int64_t last = std::min(at + kNear, end);
        std::copy(markers + at, markers + last, labels_ + at);
        for (std::int64_t i = at; is_masked && i < last; ++i) labels_[i] = mask[i] != 0 ? labels_[i] : Label(0);
        for (std::int64_t i = at; i < last; ++i) from_[i] = labels_[i] != 0 ? kMarker : kPlateau;
        for (std::int64_t i = at; is_masked && i < last; ++i) from_[i] = mask[i] != 0 ? from_[i] : kOutside;
        for (std::int64_t i = at; i < last; ++i) levels_[i] = from_[i] == kMarker ? image[i] : Order::kTop;
        for (std::int64_t i = at; is_masked && i < last; ++i) ground[i] = mask[i] != 0 ? image[i] : Order::kTop;
      }
    });
    reconstruct_from(stream_, is_masked ? std::as_const(held_ground).span() : problem.image, problem.connectivity,
                     which, held_levels_.span());
  }

  /// Voxels that have a lower neighbour are reached from the lowest.
  void look_down(const Row& row, Buffers& buffers) {
    std::uint8_t* const from = from_ + row.at;
    const auto columns = static_cast<std::size_t>(shape_[2]);
    if (std::memchr(from, kPlateau, columns) == nullptr) return;
    T* const lowest = buffers.lowest.data();
    std::uint8_t* const lowest_from = buffers.from.data();
    std::fill_n(lowest, columns, Order::kTop);
    const T* const levels = levels_ + row.at;
    for_neighbours_of(row, [&](int k, std::int64_t first, std::int64_t last, std::int64_t offset) {
      const T* const beside = levels + offset;
      for (std::int64_t x = first; x < last; ++x) {
        const bool is_lower = Order::is_below(beside[x], lowest[x]), is_equal = beside[x] == lowest[x];
        const auto also = static_cast<std::uint8_t>(lowest_from[x] | kSeveral);
        lowest_from[x] = is_lower ? static_cast<std::uint8_t>(k) : is_equal ? also : lowest_from[x];
        lowest[x] = Order::lower(lowest[x], beside[x]);
      }
    });
    for (std::size_t x = 0; x < columns; ++x)
      if (from[x] == kPlateau && Order::is_below(lowest[x], levels[x])) from[x] = lowest_from[x];
  }

  /// The others are of a plateau that water crosses step by step from where it enters, all plateaus at once.
  void cross_plateaus() {
    Voxels front, next;
    std::mutex mutex;
    for_rows([&](const Row& row, Buffers& buffers) {
      find_entrances(row, buffers);
      if (buffers.found.empty()) return;
      const std::lock_guard lock(mutex);
      front.insert(front.end(), buffers.found.begin(), buffers.found.end());
    });
    for (const std::uint32_t voxel : front) enter(voxel);
    for (std::uint32_t steps = 2; !front.empty(); ++steps) {
      next.clear();
      parallel_for(stream_, static_cast<std::int64_t>(front.size()), kFront, [&](std::int64_t begin, std::int64_t end) {
        Voxels taken;
        for (std::int64_t i = begin; i < end; ++i) {
          fetch(front[static_cast<std::size_t>(std::min(i + kAhead, end - 1))]);
          step_from(front[static_cast<std::size_t>(i)], steps, taken);
        }
        const std::lock_guard lock(mutex);
        next.insert(next.end(), taken.begin(), taken.end());
      });
      std::swap(front, next);
    }
  }

  /// Voxels of plateaus beside one of the same level that is a marker or has lower neighbours.
  void find_entrances(const Row& row, Buffers& buffers) const {
    buffers.found.clear();
    const std::uint8_t* const end = from_ + row.at + shape_[2];
    for (const std::uint8_t* place = from_ + row.at; place < end; ++place) {
      place = static_cast<const std::uint8_t*>(std::memchr(place, kPlateau, static_cast<std::size_t>(end - place)));
      if (place == nullptr) return;
      const auto at = static_cast<std::uint32_t>(place - from_);
      bool is_entrance = false;
      for_neighbours(at, [&](int, std::int64_t beside) { is_entrance = is_entrance || enters(at, beside); });
      if (is_entrance) buffers.found.push_back(at);
    }
  }
  bool enters(std::uint32_t at, std::int64_t from) const {
    const std::uint8_t state = from_[from];
    return (state & kWhere) <= kMarker && (state & kHasSteps) == 0 && levels_[from] == levels_[at];
  }
  void enter(std::uint32_t at) {
    for_neighbours(at, [&](int k, std::int64_t beside) {
      if (enters(at, beside)) from_[at] = static_cast<std::uint8_t>(k | kSeveral | kHasSteps);
    });
    steps_[at] = 1;
  }

  /// Two voxels that touch and have no lower neighbours are of one level. Two threads may take the same voxel, and both
  /// go on from it: to wait for each other would cost more.
  void step_from(std::uint32_t at, std::uint32_t steps, Voxels& taken) {
    for_neighbours(at, [&](int k, std::int64_t beside) {
      if (seen(from_[beside]) != kPlateau) return;
      // Back by the neighbour on the other side: they are numbered so.
      put(from_[beside], static_cast<std::uint8_t>((neighbours_.count - 1 - k) | kSeveral | kHasSteps));
      put(steps_[beside], steps);
      taken.push_back(static_cast<std::uint32_t>(beside));
    });
  }
  /// What a voxel's neighbours will be asked for, whether they exist or not: fetching from anywhere does no harm.
  void fetch(std::int64_t at) const {
    for (const std::int64_t offset :
         {std::int64_t{0}, shape_[2], -shape_[2], shape_[1] * shape_[2], -shape_[1] * shape_[2]})
      hwy::Prefetch(from_ + at + offset);
  }

  /// Labels of what is reached: that of the first voxel on the way back that has one.
  void follow(const Row& row) {
    for (std::int64_t at = row.at; at < row.at + shape_[2]; ++at) {
      if ((from_[at] & kWhere) >= kMarker || seen(labels_[at]) != 0) continue;
      std::int64_t end = back_from(at);
      while (seen(labels_[end]) == 0) end = back_from(end);
      const Label label = seen(labels_[end]);
      for (std::int64_t on = at; seen(labels_[on]) == 0; on = back_from(on)) put(labels_[on], label);
    }
  }

  /// Voxels that could be reached from another label, too, get the one that they should have, and so what comes after.
  void mend() {
    LevelQueue queue;
    std::mutex mutex;
    for_rows([&](const Row& row, Buffers& buffers) {
      find_wrong(row, buffers);
      if (buffers.found.empty()) return;
      const std::lock_guard lock(mutex);
      for (const std::uint32_t voxel : buffers.found) queue.push({Order::level(levels_[voxel]), voxel});
    });
    std::vector<LevelQueue::Entry> level;
    for (std::size_t done = 0; queue.next(level);)
      for (std::size_t i = 0; i < level.size(); ++i) {
        if (++done % kCheck == 0) stream_.check();
        mend_from(level[i].voxel, level, queue);
      }
  }

  void find_wrong(const Row& row, Buffers& buffers) {
    Voxels& found = buffers.found;
    found.clear();
    const std::uint8_t* const from = from_ + row.at;
    const Label* const labels = labels_ + row.at;
    Label* const differing = buffers.differing.data();
    std::fill_n(differing, shape_[2], Label(0));
    for_neighbours_of(row, [&](int, std::int64_t first, std::int64_t last, std::int64_t offset) {
      const Label* const beside = labels + offset;
      for (std::int64_t x = first; x < last; ++x) differing[x] |= labels[x] ^ beside[x];
    });
    for (std::int64_t x = 0; x < shape_[2]; ++x) {
      const auto at = static_cast<std::uint32_t>(row.at + x);
      if (differing[x] != 0 && (from[x] & kSeveral) != 0 && label_of(at) != labels[x]) found.push_back(at);
    }
  }

  void mend_from(std::uint32_t at, std::vector<LevelQueue::Entry>& level, LevelQueue& queue) {
    const Label before = labels_[at], label = label_of(at);
    if (label == before) return;
    labels_[at] = label;
    const T own_level = levels_[at];
    const std::uint32_t own_steps = steps_of(at);
    for_neighbours(at, [&](int, std::int64_t beside) {
      // Those that may be reached from here and took the old label, or would take the new one.
      if ((from_[beside] & kWhere) >= kMarker || (labels_[beside] != before && labels_[beside] <= label)) return;
      const std::int64_t first = back_from(beside);
      if (levels_[first] != own_level || steps_of(first) < own_steps) return;
      const bool is_level = levels_[beside] == own_level;
      if (is_level && steps_of(beside) <= own_steps) return;
      const LevelQueue::Entry later{Order::level(levels_[beside]), static_cast<std::uint32_t>(beside)};
      if (is_level)
        level.push_back(later);
      else
        queue.push(later);
    });
  }

  std::int64_t back_from(std::int64_t at) const { return at + neighbours_.offset[from_[at] & kWhere]; }
  std::uint32_t steps_of(std::int64_t at) const { return (from_[at] & kHasSteps) != 0 ? steps_[at] : 0; }

  /// By the definition, from the neighbours' labels as they are. None lies lower than the one that `from_` names.
  Label label_of(std::uint32_t at) const {
    const std::int64_t first = back_from(at);
    const T level = levels_[first];
    std::uint32_t steps = steps_of(first);
    Label label = labels_[first];
    for_neighbours(at, [&](int, std::int64_t beside) {
      if (levels_[beside] != level || (from_[beside] & kWhere) > kMarker) return;
      const std::uint32_t steps_beside = steps_of(beside);
      if (steps_beside > steps || (steps_beside == steps && labels_[beside] >= label)) return;
      steps = steps_beside;
      label = labels_[beside];
    });
    return label;
  }

  static constexpr std::size_t kCheck = 1 << 20;

  Stream& stream_;
  Shape<3> shape_;
  Neighbours neighbours_;
  Label* labels_;
  VoxelArray held_levels_;
  Array<std::uint32_t, 3> held_steps_;
  Array<std::uint8_t, 3> held_from_;
  T* levels_;
  std::uint32_t* steps_;  ///< of what is reached over a plateau
  std::uint8_t* from_;
};

}  // namespace

void flood(Stream& stream, const WatershedProblem& problem, const VoxelSpan& labels) {
  with_label_type(labels.type(), [&]<class Label>() {
    with_sinking(problem.image.type(), problem.from, [&]<class T, Extreme which>() {
      Flood<T, which, Label>(stream, problem, static_cast<Label*>(labels.data())).run(problem);
    });
  });
}

}  // namespace kiban::image::cpu
