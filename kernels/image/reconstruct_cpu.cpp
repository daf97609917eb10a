// Slabs of slices, one a thread, each as Vincent's hybrid algorithm does a volume: down, up, and a flood of what is
// left. Then what came to the faces between slabs goes on beyond them, until nothing changes: the result is the only
// one that does not, whatever the slabs.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/level_queue.hpp"
#include "kernels/image/neighbours.hpp"
#include "kernels/image/reconstruct.hpp"
#include "kernels/image/sinking_cpu.hpp"

namespace kiban::image::cpu {
namespace {

template <class T, Extreme which>
class Slab {
  using Order = Sinking<T, which>;

 public:
  Slab(const Shape<3>& shape, Connectivity connectivity, const T* image, T* result, std::int64_t begin,
       std::int64_t end)
      : shape_(shape),
        neighbours_(shape, connectivity),
        most_(connectivity == Connectivity::faces   ? 1
              : connectivity == Connectivity::edges ? 2
                                                    : 3),
        image_(image),
        result_(result),
        begin_(begin),
        end_(end),
        beside_(static_cast<std::size_t>(shape[2])) {}

  /// One more step: a flood of what waits, or, where most of the slab may have to sink, sweeps, which are faster then.
  void go_on(const Stream& stream) {
    if (sweeps_next_)
      sweep(stream);
    else
      flood(stream);
  }

  /// Values at the faces of this slab sink to those of the slabs beside, which rest meanwhile. False: nothing waits.
  bool take_over() {
    constexpr int kMostSweeps = 4;  // in one go: along a maze they get nowhere
    const std::size_t before = waiting_, much = static_cast<std::size_t>(shape_[1] * shape_[2]) / 8;
    for (const std::int64_t z : {begin_, end_ - 1})
      for (std::int64_t y = 0; y < shape_[1]; ++y) note_row(z, y, true);
    sweeps_ = sweeps_next_ ? sweeps_ + 1 : 0;
    sweeps_next_ = waiting_ - before > much && sweeps_ < kMostSweeps;
    return waiting_ != 0;
  }

 private:
  void sweep(const Stream& stream) {
    for (std::int64_t z = begin_; z < end_; ++z) {
      stream.check();
      for (std::int64_t y = 0; y < shape_[1]; ++y) sink_row<1>(z, y);
    }
    for (std::int64_t z = end_ - 1; z >= begin_; --z) {
      stream.check();
      for (std::int64_t y = shape_[1] - 1; y >= 0; --y) sink_row<-1>(z, y);
    }
    for (std::int64_t z = begin_; z < end_; ++z)
      for (std::int64_t y = 0; y < shape_[1]; ++y) note_row(z, y);
  }

  /// What waits goes on to its neighbours in the slab, lowest values first.
  void flood(const Stream& stream) {
    std::vector<LevelQueue::Entry> level;
    std::size_t done = 0;
    while (queue_.next(level)) {
      if ((done += level.size()) >= (1 << 20)) {
        stream.check();
        done = 0;
      }
      for (std::size_t k = 0; k < level.size(); ++k) flood_from(level[k], level);
    }
    queue_.restart();
    waiting_ = 0;
  }

  std::int64_t row(std::int64_t z, std::int64_t y) const { return (z * shape_[1] + y) * shape_[2]; }

  /// Fills `beside_` with the lowest of the neighbours in other rows. Direction 1: in the rows before; -1: after; 0: in
  /// both. `elsewhere`: in slices of other slabs, else in those of this.
  template <int direction>
  bool find_beside(std::int64_t z, std::int64_t y, bool elsewhere) {
    bool any = false;
    for (int dz = -1; dz <= 1; ++dz)
      for (int dy = -1; dy <= 1; ++dy) {
        const int order = 3 * dz + dy;
        const bool is_before = order < 0;
        if (order == 0 || (direction == 1 && !is_before) || (direction == -1 && is_before)) continue;
        const int differing = std::abs(dz) + std::abs(dy);
        if (differing > most_ || y + dy < 0 || y + dy >= shape_[1] || z + dz < 0 || z + dz >= shape_[0]) continue;
        if ((z + dz < begin_ || z + dz >= end_) != elsewhere) continue;
        lower_by(result_ + row(z + dz, y + dy), most_ - differing, !any);
        any = true;
      }
    return any;
  }

  /// beside_[x] = lowest of it and line[x - reach .. x + reach]
  void lower_by(const T* line, int reach, bool is_first) {
    const std::int64_t n = shape_[2];
    T* const beside = beside_.data();
    if (is_first)
      std::copy_n(line, n, beside);
    else
      for (std::int64_t x = 0; x < n; ++x) beside[x] = Order::lower(beside[x], line[x]);
    if (reach == 0) return;
    for (std::int64_t x = 1; x < n; ++x) beside[x] = Order::lower(beside[x], line[x - 1]);
    for (std::int64_t x = 0; x + 1 < n; ++x) beside[x] = Order::lower(beside[x], line[x + 1]);
  }

  template <int direction>
  void sink_row(std::int64_t z, std::int64_t y) {
    T* const line = result_ + row(z, y);
    const T* const floor = image_ + row(z, y);
    const std::int64_t n = shape_[2];
    if (find_beside<direction>(z, y, false))
      for (std::int64_t x = 0; x < n; ++x)
        line[x] = Order::not_below(floor[x], Order::lower(line[x], beside_[static_cast<std::size_t>(x)]));
    T before = direction == 1 ? line[0] : line[n - 1];
    for (std::int64_t k = 1; k < n; ++k) {
      const std::int64_t x = direction == 1 ? k : n - 1 - k;
      before = Order::not_below(floor[x], Order::lower(line[x], before));
      line[x] = before;
    }
  }

  /// Sinks what the rows beside (of this slab: and the row itself) still let sink, and notes it.
  void note_row(std::int64_t z, std::int64_t y, bool elsewhere = false) {
    if (!find_beside<0>(z, y, elsewhere) && elsewhere) return;
    T* const line = result_ + row(z, y);
    const T* const floor = image_ + row(z, y);
    const std::int64_t n = shape_[2];
    const bool has_rows = elsewhere || shape_[1] > 1 || end_ - begin_ > 1;
    for (std::int64_t x = 0; x < n; ++x) {
      T value = has_rows ? Order::lower(line[x], beside_[static_cast<std::size_t>(x)]) : line[x];
      if (!elsewhere && x > 0) value = Order::lower(value, line[x - 1]);
      if (!elsewhere && x + 1 < n) value = Order::lower(value, line[x + 1]);
      value = Order::not_below(floor[x], value);
      if (!Order::is_below(value, line[x])) continue;
      line[x] = value;
      queue_.push({Order::level(value), static_cast<std::uint32_t>(row(z, y) + x)});
      ++waiting_;
    }
  }

  void flood_from(const LevelQueue::Entry entry, std::vector<LevelQueue::Entry>& level) {
    const std::int64_t at = entry.voxel, n = shape_[2];
    const T value = result_[at];
    if (Order::level(value) != entry.level) return;  // it has sunk since
    const std::int64_t x = at % n, y = at / n % shape_[1], z = at / n / shape_[1];
    std::uint8_t ends = ends_at(shape_, z, y, x);
    if (z == begin_) ends |= 16;
    if (z == end_ - 1) ends |= 32;
    const std::uint32_t reached = entry.level;
    for (int k = 0; k < neighbours_.count; ++k) {
      if ((ends & neighbours_.missing_at[k]) != 0) continue;
      const std::int64_t beside = at + neighbours_.offset[k];
      const T sunk = Order::not_below(image_[beside], value);
      if (!Order::is_below(sunk, result_[beside])) continue;
      result_[beside] = sunk;
      const LevelQueue::Entry next{Order::level(sunk), static_cast<std::uint32_t>(beside)};
      if (next.level == reached)
        level.push_back(next);
      else
        queue_.push(next);
    }
  }

  Shape<3> shape_;
  Neighbours neighbours_;
  int most_;
  const T* image_;
  T* result_;
  std::int64_t begin_, end_;
  std::vector<T> beside_;
  LevelQueue queue_;
  std::size_t waiting_ = 0;  ///< in the queue, while no flood is under way
  bool sweeps_next_ = true;
  int sweeps_ = 0;
};

template <class T, Extreme which>
void reconstruct_slabs(Stream& stream, const T* image, const Shape<3>& shape, Connectivity connectivity, T* result) {
  const std::int64_t count = std::min<std::int64_t>(stream.threads(), std::max<std::int64_t>(shape[0] / 4, 1));
  std::vector<Slab<T, which>> slabs;
  for (std::int64_t k = 0; k < count; ++k)
    slabs.emplace_back(shape, connectivity, image, result, k * shape[0] / count, (k + 1) * shape[0] / count);
  while (true) {
    parallel_for(stream, count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) slabs[static_cast<std::size_t>(k)].go_on(stream);
    });
    bool changed = false;
    for (Slab<T, which>& slab : slabs) changed = slab.take_over() || changed;
    if (!changed) return;
  }
}

}  // namespace

void reconstruct_from(Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
                      const VoxelSpan& result) {
  with_sinking(image.type(), which, [&]<class T, Extreme order>() {
    reconstruct_slabs<T, order>(stream, static_cast<const T*>(image.data()), image.shape(), connectivity,
                                static_cast<T*>(result.data()));
  });
}

void keep_beside(Stream& stream, const ConstVoxelSpan& image, const ConstVoxelSpan& marker, double shift, Extreme which,
                 const VoxelSpan& result) {
  with_sinking(image.type(), which, [&]<class T, Extreme order>() {
    const T *const floor = static_cast<const T*>(image.data()), *const from = static_cast<const T*>(marker.data());
    T* const made = static_cast<T*>(result.data());
    parallel_for(stream, image.size(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        made[i] = Sinking<T, order>::not_below(floor[i], shifted(from[i], shift));
    });
  });
}

void find_pits(Stream& stream, const ConstVoxelSpan& image, Connectivity connectivity, Extreme which,
               Span<std::uint8_t, 3> pits, Span<std::uint8_t, 3> leaks) {
  const Shape<3> shape = image.shape();
  const Neighbours neighbours(shape, connectivity);
  std::uint8_t *const pit = pits.host().data, *const leak = leaks.host().data;
  with_sinking(image.type(), which, [&]<class T, Extreme order>() {
    const T* const value = static_cast<const T*>(image.data());
    const auto for_each = [&](const auto& body) {
      parallel_for(stream, shape[0] * shape[1], 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin, at = begin * shape[2]; row < end; ++row)
          for (std::int64_t x = 0; x < shape[2]; ++x, ++at) body(at, ends_at(shape, row / shape[1], row % shape[1], x));
      });
    };
    for_each([&](std::int64_t at, std::uint8_t ends) {
      bool is_pit = true;
      for (int k = 0; k < neighbours.count && is_pit; ++k)
        is_pit = (ends & neighbours.missing_at[k]) != 0 ||
                 !Sinking<T, order>::is_below(value[at + neighbours.offset[k]], value[at]);
      pit[at] = is_pit ? 1 : 0;
    });
    for_each([&](std::int64_t at, std::uint8_t ends) {
      bool leaks_out = false;
      for (int k = 0; k < neighbours.count && !leaks_out && pit[at] != 0; ++k)
        leaks_out = (ends & neighbours.missing_at[k]) == 0 && pit[at + neighbours.offset[k]] == 0 &&
                    value[at + neighbours.offset[k]] == value[at];
      leak[at] = leaks_out ? 1 : 0;
    });
  });
}

}  // namespace kiban::image::cpu
