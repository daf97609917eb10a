// Levels in ascending order, each in layers of equal steps. The voxels of a layer take their neighbours in any order: a
// neighbour that two of them want gets the smaller label. Every thread owns blocks of the volume, and only it changes
// their voxels: it gives to the owners what its own voxels want of others' blocks.
#include <hwy/cache_control.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/core/team.hpp"
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
/// Layers of fewer voxels are done by one thread while the others wait: meeting twice would cost more than it saves.
constexpr std::size_t kSharedLayer = 64;
/// Voxels that are worth a thread; blocks that each owns at most, and no less than half of: so many that each has its
/// part of most layers, and so few that most voxels lie inside of one.
constexpr std::int64_t kWorthAThread = 1 << 18, kBlocks = 16;
/// A layer of some thousand voxels feeds no more.
constexpr int kMostThreads = 16;

/// So far ahead, what a voxel of a layer needs is fetched from memory.
constexpr std::size_t kAhead = 16;
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
        held_(shape_),
        size_(held_.size()),
        state_(held_.host().data),
        team_(threads_for(stream.threads(), static_cast<const Label*>(problem.markers.data()))),
        members_(static_cast<std::size_t>(team_.size())) {
    const auto size = static_cast<std::uint64_t>(size_);
    const auto threads = static_cast<std::uint64_t>(team_.size());
    block_bits_ = std::max(static_cast<int>(std::bit_width(size / (threads * kBlocks))), 12);
    reach_ = (shape_[0] > 1 ? shape_[1] * shape_[2] : 0) + (shape_[1] > 1 ? shape_[2] : 0) + 1;
    for (std::uint64_t block = 0; block << block_bits_ < size; ++block)
      owners_.push_back(static_cast<std::uint16_t>(block % threads));
    fetched_ = {0, shape_[2], -shape_[2], shape_[1] * shape_[2], -shape_[1] * shape_[2]};
    for (Member& member : members_) member.wanted.resize(members_.size());
  }

  void begin(const Label* markers, const std::uint8_t* mask) {
    parallel_for(stream_, shape_[0], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t z = begin, at = begin * shape_[1] * shape_[2]; z < end; ++z)
        for (std::int64_t y = 0; y < shape_[1]; ++y, at += shape_[2]) {
          begin_row(at, markers + at, mask == nullptr ? nullptr : mask + at, ends_at(shape_, z, y, -1));
          state_[at] |= ends_at(shape_, z, y, 0);
          state_[at + shape_[2] - 1] |= ends_at(shape_, z, y, shape_[2] - 1);
        }
    });
  }

  void run() {
    team_.run([this](int member) { flood_as(static_cast<std::size_t>(member)); });
  }

 private:
  static constexpr std::size_t kCheck = 1 << 20;
  static constexpr std::int64_t kRoom = 64;

  /// What a thread wants for a voxel of another's block.
  struct Wanted {
    std::uint32_t voxel;
    Label label;
  };
  /// What the others know of a member: how many voxels it has in the layer, and the level that it waits for.
  struct Progress {
    std::size_t count;
    std::int64_t lowest;
  };
  struct alignas(64) Member {
    LevelQueue queue;
    Entries layer, taken;
    std::vector<std::vector<Wanted>> wanted;  ///< of each other member
    /// Two, in turn: what all read in one step and what is written for the next.
    std::array<Progress, 2> progress;
  };

  int threads_for(int threads, const Label* markers) const {
    const std::int64_t worth = std::clamp<std::int64_t>(size_ / kWorthAThread, 1, std::min(threads, kMostThreads));
    return worth > 1 && !nearly_all_differ(markers) ? static_cast<int>(worth) : 1;
  }

  /// Whether levels are of a voxel or few, going by voxels here and there. Then nothing is to be shared, and one queue
  /// is faster than a queue for each thread.
  bool nearly_all_differ(const Label* markers) const {
    if constexpr (sizeof(T) < sizeof(std::uint32_t)) return false;
    std::vector<std::uint32_t> keys;
    for (std::int64_t k = 0; k < 4096; ++k) {
      const std::int64_t at = k * 2654435761 % size_;  // steps that no length of a row divides
      if (markers[at] == 0) keys.push_back(key(at));
    }
    std::ranges::sort(keys);
    const auto repeated = std::ranges::unique(keys);
    return 2 * repeated.size() < keys.size();
  }

  /// Values in the order of the flood. -0 is 0.
  std::uint32_t key(std::int64_t at) const {
    return std::uint32_t{key_of(static_cast<T>(image_[at] + T(0)))} ^ turned_;
  }

  std::size_t owner(std::int64_t at) const { return owners_[static_cast<std::size_t>(at >> block_bits_)]; }
  bool is_inside_a_block(std::int64_t at) const {
    const std::int64_t block = std::int64_t{1} << block_bits_, offset = at & (block - 1);
    return offset >= reach_ && offset + reach_ < block;
  }

  /// Every member walks the same steps, as all decide by the same progress.
  void flood_as(std::size_t self) {
    Member& member = members_[self];
    const bool leads = self == 0;
    push_sources(self);
    member.progress[0] = {0, member.queue.lowest()};
    for (std::size_t turn = 0;; turn = 1 - turn) {
      team_.meet();
      std::size_t count = 0;
      std::int64_t lowest = LevelQueue::kNone;
      for (const Member& other : members_) {
        count += other.progress[turn].count;
        lowest = std::min(lowest, other.progress[turn].lowest);
      }
      if (count == 0 && lowest == LevelQueue::kNone) return;
      if (members_.size() == 1 || (count > 0 && count < kSharedLayer)) {
        if (!leads) continue;
        flood_alone();
        for (Member& each : members_) each.progress[1 - turn] = {each.layer.size(), each.queue.lowest()};
      } else if (count == 0) {
        if (leads) level_ = lowest;
        if (member.progress[turn].lowest == lowest) member.queue.next(member.layer);
        member.progress[1 - turn] = {member.layer.size(), member.queue.lowest()};
      } else {
        take_beside<false>(member.layer, self);
        team_.meet();
        for (Member& other : members_) {
          for (const Wanted& wanted : other.wanted[self]) take(wanted.voxel, wanted.label, member.taken);
          other.wanted[self].clear();
        }
        member.layer.clear();
        pass_on(member.taken, [&](const LevelQueue::Entry& entry, bool waits) {
          if (waits)
            member.queue.push(entry);
          else
            member.layer.push_back(entry);
        });
        member.progress[1 - turn] = {member.layer.size(), member.queue.lowest()};
        if (leads) check_after(count);
      }
    }
  }

  void begin_row(std::int64_t at, const Label* markers, const std::uint8_t* mask, std::uint8_t ends) {
    Label* const labels = labels_ + at;
    std::uint8_t* const state = state_ + at;
    const std::int64_t count = shape_[2];
    const auto taken = static_cast<std::uint8_t>(ends | kTaken);
    for (std::int64_t x = 0; x < count; ++x) {
      const Label marker = markers[x];
      const bool floods = mask == nullptr || mask[x] != 0;
      labels[x] = floods ? marker : Label(0);
      state[x] = !floods || marker != 0 ? taken : ends;
    }
  }

  /// Markers of the member's blocks that have room beside.
  void push_sources(std::size_t self) {
    const std::int64_t block = std::int64_t{1} << block_bits_;
    for (std::int64_t piece = 0; piece < size_; piece += kRoom) {
      if (owner(piece) != self) {
        piece += block - kRoom;
        continue;
      }
      if (self == 0 && piece % block == 0) stream_.check();
      if (!has_room_near(piece)) continue;
      const std::int64_t end = std::min(piece + kRoom, size_);
      for (std::int64_t at = piece; at < end; ++at)
        if ((state_[at] & kTaken) != 0 && labels_[at] != 0 && has_room_beside(at))
          members_[self].queue.push({key(at), static_cast<std::uint32_t>(at)});
    }
  }
  /// False: nobody of kRoom voxels has room beside, as is so within large markers.
  bool has_room_near(std::int64_t begin) const {
    for (int k = 0; k < neighbours_.count; ++k) {
      const std::int64_t first = begin + neighbours_.offset[k];
      if (first + kRoom <= 0 || first >= size_) continue;
      if (first < 0 || first + kRoom > size_) return true;
      std::uint8_t all = kTaken;
      for (std::int64_t i = 0; i < kRoom; ++i) all &= state_[first + i];
      if (all == 0) return true;
    }
    return false;
  }
  bool has_room_beside(std::int64_t at) const {
    for (int k = 0; k < neighbours_.count; ++k)
      if ((state_[at] & neighbours_.missing_at[k]) == 0 && (state_[at + neighbours_.offset[k]] & kTaken) == 0)
        return true;
    return false;
  }

  /// Floods everybody's voxels while the others wait, until a layer is worth sharing or nothing is left.
  void flood_alone() {
    const std::size_t shared = members_.size() == 1 ? ~std::size_t{0} : kSharedLayer;
    Entries layer;
    for (std::size_t count = 0; count < shared;) {
      for (Member& member : members_) {
        if (layer.empty())
          std::swap(layer, member.layer);
        else
          layer.insert(layer.end(), member.layer.begin(), member.layer.end());
        member.layer.clear();
      }
      while (!layer.empty()) {
        if (layer.size() >= shared) {
          for (const LevelQueue::Entry& entry : layer) members_[owner(entry.voxel)].layer.push_back(entry);
          return;
        }
        take_beside<true>(layer, 0);
        check_after(layer.size());
        layer.clear();
        pass_on(members_[0].taken, [&](const LevelQueue::Entry& entry, bool waits) {
          if (waits)
            members_[owner(entry.voxel)].queue.push(entry);
          else
            layer.push_back(entry);
        });
      }
      std::int64_t lowest = LevelQueue::kNone;
      for (Member& member : members_) lowest = std::min(lowest, member.queue.lowest());
      if (lowest == LevelQueue::kNone) return;
      level_ = lowest;
      count = 0;
      for (Member& member : members_) {
        if (member.queue.lowest() == lowest) member.queue.next(member.layer);
        count += member.layer.size();
      }
    }
  }

  /// The voxels of a layer take the neighbours that nobody had before this layer, or let their owners.
  template <bool alone>
  void take_beside(const Entries& layer, std::size_t self) {
    Member& member = members_[self];
    for (std::size_t i = 0; i < layer.size(); ++i) {
      if (i + kAhead < layer.size()) fetch(layer[i + kAhead].voxel);
      const std::int64_t at = layer[i].voxel;
      const std::uint8_t ends = state_[at];
      const Label label = labels_[at];
      const bool is_inside = alone || is_inside_a_block(at);
      for (int k = 0; k < neighbours_.count; ++k) {
        if ((ends & neighbours_.missing_at[k]) != 0) continue;
        const std::int64_t beside = at + neighbours_.offset[k];
        if (is_inside || owner(beside) == self)
          take(beside, label, member.taken);
        else
          member.wanted[owner(beside)].push_back({static_cast<std::uint32_t>(beside), label});
      }
    }
  }

  /// Where a voxel's neighbours lie in memory, whether they exist or not: fetching from anywhere does no harm.
  void fetch(std::int64_t at) const {
    hwy::Prefetch(labels_ + at);
    for (const std::int64_t step : fetched_) {
      hwy::Prefetch(state_ + at + step);
      hwy::Prefetch(image_ + at + step);
    }
  }

  void take(std::int64_t at, Label label, Entries& taken) {
    const std::uint8_t before = state_[at];
    if ((before & kTaken) == 0) {
      state_[at] = static_cast<std::uint8_t>(before | kTaken | kOfThisLayer);
      labels_[at] = label;
      taken.push_back({key(at), static_cast<std::uint32_t>(at)});
    } else if ((before & kOfThisLayer) != 0) {
      labels_[at] = std::min(labels_[at], label);
    }
  }

  /// What was taken waits for its own level, or is of the next layer of this one.
  template <class To>
  void pass_on(Entries& taken, const To& to) {
    const auto level = static_cast<std::uint32_t>(level_);
    for (const LevelQueue::Entry entry : taken) {
      state_[entry.voxel] = static_cast<std::uint8_t>(state_[entry.voxel] & ~kOfThisLayer);
      to(entry, entry.level > level);
    }
    taken.clear();
  }

  void check_after(std::size_t count) {
    done_ += count;
    if (done_ < kCheck) return;
    done_ = 0;
    stream_.check();
  }

  Stream& stream_;
  Shape<3> shape_;
  Neighbours neighbours_;
  const T* image_;
  std::uint32_t turned_;
  Label* labels_;
  Array<std::uint8_t, 3> held_;
  std::int64_t size_;
  std::uint8_t* state_;
  Team team_;
  std::vector<Member> members_;
  int block_bits_;
  std::array<std::int64_t, 5> fetched_{};
  std::int64_t reach_;  ///< to the furthest neighbour, in memory
  std::vector<std::uint16_t> owners_;
  std::int64_t level_ = 0;  ///< the leader's to set, while nobody reads it
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
      });
    });
  });
}

}  // namespace kiban::image::cpu
