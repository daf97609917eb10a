// Levels in ascending order, each in layers of equal steps. The voxels of a layer take their neighbours in any order,
// on any thread: a neighbour that two of them want gets the smaller label.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/level_queue.hpp"
#include "kernels/image/neighbours.hpp"
#include "kernels/image/watershed.hpp"

namespace kiban::image::cpu {
namespace {

#define KIBAN_HD
#include "kernels/image/key_math-inl.hpp"
#undef KIBAN_HD

/// A voxel's state: the ends of the volume it lies at, and these.
constexpr std::uint8_t kTaken = 64, kOfThisLayer = 128;
/// Layers of so many voxels are worth a second thread; and pieces of so many.
constexpr std::size_t kSharedLayer = 2048, kPiece = 512;

using Entries = std::vector<LevelQueue::Entry>;

template <class T, class Label>
class Flood {
 public:
  Flood(Stream& stream, const WatershedProblem& problem, Label* labels)
      : stream_(stream),
        shape_(problem.image.shape()),
        neighbours_(shape_, problem.connectivity),
        image_(static_cast<const T*>(problem.image.data())),
        turned_(problem.from == Extreme::largest ? ~std::uint32_t{0} : 0),
        labels_(labels),
        state_(shape_) {}

  void begin(const Label* markers, const std::uint8_t* mask) {
    std::uint8_t* const state = state_.host().data;
    const std::int64_t slice = shape_[1] * shape_[2];
    parallel_for(stream_, shape_[0], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t z = begin, at = begin * slice; z < end; ++z)
        for (std::int64_t y = 0; y < shape_[1]; ++y)
          for (std::int64_t x = 0; x < shape_[2]; ++x, ++at) {
            const bool floods = mask == nullptr || mask[at] != 0;
            const bool is_taken = !floods || markers[at] != 0;
            labels_[at] = !floods ? Label(0) : markers[at] != 0 ? markers[at] : kUnreached;
            state[at] = static_cast<std::uint8_t>(ends_at(shape_, z, y, x) | (is_taken ? kTaken : 0));
          }
    });
    std::vector<Entries> sources(static_cast<std::size_t>(shape_[0]));
    parallel_for(stream_, shape_[0], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin * slice; at < end * slice; ++at)
        if ((state[at] & kTaken) != 0 && labels_[at] != 0 && has_room_beside(at))
          sources[static_cast<std::size_t>(at / slice)].push_back({key(at), static_cast<std::uint32_t>(at)});
    });
    for (const Entries& of_slice : sources)
      for (const LevelQueue::Entry& entry : of_slice) queue_.push(entry);
  }

  void run() {
    Entries layer;
    while (queue_.next(layer))
      for (; !layer.empty(); std::swap(layer, next_layer_)) {
        next_layer_.clear();
        if (stream_.threads() > 1 && layer.size() >= kSharedLayer)
          take_beside_in_pieces(layer);
        else
          take_beside<false>(layer.data(), layer.data() + layer.size(), pieces_[0]);
        for (Entries& taken : pieces_) pass_on(taken);
        done_ += layer.size();
        if (done_ >= kCheck) check();
      }
  }

  void end() {
    const std::uint8_t* const state = state_.host().data;
    parallel_for(stream_, state_.size(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end; ++at)
        if ((state[at] & kTaken) == 0) labels_[at] = 0;
    });
  }

 private:
  static constexpr Label kUnreached = std::numeric_limits<Label>::max();
  static constexpr std::size_t kCheck = 1 << 20;

  /// Values in the order of the flood. -0 is 0.
  std::uint32_t key(std::int64_t at) const {
    return std::uint32_t{key_of(static_cast<T>(image_[at] + T(0)))} ^ turned_;
  }

  bool has_room_beside(std::int64_t at) const {
    const std::uint8_t* const state = state_.host().data;
    for (int k = 0; k < neighbours_.count; ++k)
      if ((state[at] & neighbours_.missing_at[k]) == 0 && (state[at + neighbours_.offset[k]] & kTaken) == 0)
        return true;
    return false;
  }

  /// The neighbours of voxels [entry, end) that nobody had before this layer take their labels, and go to `taken`.
  template <bool shared>
  void take_beside(const LevelQueue::Entry* entry, const LevelQueue::Entry* end, Entries& taken) {
    std::uint8_t* const state = state_.host().data;
    for (; entry < end; ++entry) {
      const std::int64_t at = entry->voxel;
      const std::uint8_t ends = state[at];
      const Label label = labels_[at];
      for (int k = 0; k < neighbours_.count; ++k) {
        if ((ends & neighbours_.missing_at[k]) != 0) continue;
        const std::int64_t beside = at + neighbours_.offset[k];
        const std::uint8_t before = take<shared>(state[beside]);
        if ((before & kTaken) == 0) taken.push_back({key(beside), static_cast<std::uint32_t>(beside)});
        if ((before & kTaken) == 0 || (before & kOfThisLayer) != 0) lower<shared>(labels_[beside], label);
      }
    }
  }

  /// Returns the state before.
  template <bool shared>
  static std::uint8_t take(std::uint8_t& state) {
    if constexpr (shared) {
      const std::atomic_ref<std::uint8_t> common(state);
      const std::uint8_t before = common.load(std::memory_order_relaxed);
      return (before & kTaken) != 0 ? before : common.fetch_or(kTaken | kOfThisLayer, std::memory_order_relaxed);
    } else {
      const std::uint8_t before = state;
      if ((before & kTaken) == 0) state = static_cast<std::uint8_t>(before | kTaken | kOfThisLayer);
      return before;
    }
  }
  template <bool shared>
  static void lower(Label& of, Label to) {
    if constexpr (shared) {
      const std::atomic_ref<Label> common(of);
      Label now = common.load(std::memory_order_relaxed);
      while (to < now && !common.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
      }
    } else {
      of = std::min(of, to);
    }
  }

  void take_beside_in_pieces(const Entries& layer) {
    const std::size_t count = (layer.size() + kPiece - 1) / kPiece;
    if (pieces_.size() < count) pieces_.resize(count);
    parallel_for(stream_, static_cast<std::int64_t>(count), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto piece = static_cast<std::size_t>(begin); piece < static_cast<std::size_t>(end); ++piece) {
        const LevelQueue::Entry* const first = layer.data() + piece * kPiece;
        take_beside<true>(first, std::min(first + kPiece, layer.data() + layer.size()), pieces_[piece]);
      }
    });
  }

  /// What was taken waits for its own level, or is of the next layer of this one.
  void pass_on(Entries& taken) {
    std::uint8_t* const state = state_.host().data;
    for (const LevelQueue::Entry& entry : taken) {
      state[entry.voxel] = static_cast<std::uint8_t>(state[entry.voxel] & ~kOfThisLayer);
      if (entry.level > queue_.level())
        queue_.push(entry);
      else
        next_layer_.push_back(entry);
    }
    taken.clear();
  }

  void check() {
    stream_.check();
    done_ = 0;
  }

  Stream& stream_;
  Shape<3> shape_;
  Neighbours neighbours_;
  const T* image_;
  std::uint32_t turned_;
  Label* labels_;
  Array<std::uint8_t, 3> state_;
  LevelQueue queue_;
  Entries next_layer_;
  std::vector<Entries> pieces_ = std::vector<Entries>(1);
  std::size_t done_ = 0;
};

}  // namespace

void flood(Stream& stream, const WatershedProblem& problem, const VoxelSpan& labels) {
  const std::uint8_t* const mask = problem.mask.size() == 0 ? nullptr : problem.mask.host().data;
  with_label_type(labels.type(), [&]<class Label>() {
    with_voxel_type(problem.image.type(), [&]<class T>() {
      stream.execute([&] {
        Flood<T, Label> flood(stream, problem, static_cast<Label*>(labels.data()));
        flood.begin(static_cast<const Label*>(problem.markers.data()), mask);
        flood.run();
        flood.end();
      });
    });
  });
}

}  // namespace kiban::image::cpu
