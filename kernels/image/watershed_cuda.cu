// What a voxel is reached by, its level and steps in one word, and its label, as relax.cuh finds them.
#include <cstring>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/relax.cuh"
#include "kernels/image/watershed.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/key_math-inl.hpp"

constexpr unsigned kBlock = 256;
constexpr unsigned long long kNever = ~0ULL;

template <class T>
KIBAN_DEVICE std::uint32_t level_of(T value, std::uint32_t turned) {
  return std::uint32_t{key_of(static_cast<T>(value + T(0)))} ^ turned;  // -0 is 0
}

template <class T, class Label>
struct WatershedRule {
  struct State {
    unsigned long long reached;  ///< level, then steps
    std::uint32_t label;
    KIBAN_DEVICE bool operator==(const State& other) const { return reached == other.reached && label == other.label; }
  };
  struct Ground {
    std::uint32_t level;
    bool is_fixed;
  };

  const T* image;
  const Label* markers;
  const std::uint8_t* mask;
  std::uint32_t turned;
  unsigned long long* reached;
  Label* labels;

  KIBAN_DEVICE State nowhere() const { return {kNever, 0}; }
  KIBAN_DEVICE Ground ground(std::int64_t at) const {
    return {level_of(image[at], turned), markers[at] != 0 || (mask != nullptr && mask[at] == 0)};
  }
  KIBAN_DEVICE State load(std::int64_t at) const { return {reached[at], labels[at]}; }
  KIBAN_DEVICE void store(std::int64_t at, const State& state) const {
    reached[at] = state.reached;
    labels[at] = static_cast<Label>(state.label);
  }
  KIBAN_DEVICE bool first(const State& a, const State& b) const {
    return a.reached < b.reached || (a.reached == b.reached && a.label < b.label);
  }
  KIBAN_DEVICE State next(const Ground& ground, const State& own, const State& best) const {
    if (ground.is_fixed || best.reached == kNever) return own;
    const bool from_below = static_cast<std::uint32_t>(best.reached >> 32) < ground.level;
    return {from_below ? static_cast<unsigned long long>(ground.level) << 32 : best.reached + 1, best.label};
  }
};

///   reads a value, a marker and a mask, writes a word and a label
template <class T, class Label>
__global__ void __launch_bounds__(kBlock) begin_flood(std::int64_t voxels, const WatershedRule<T, Label> rule) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= voxels) return;
  const bool is_source = rule.markers[at] != 0 && (rule.mask == nullptr || rule.mask[at] != 0);
  rule.reached[at] = is_source ? static_cast<unsigned long long>(level_of(rule.image[at], rule.turned)) << 32 : kNever;
  rule.labels[at] = is_source ? rule.markers[at] : Label(0);
}

}  // namespace

void flood(Stream& stream, const WatershedProblem& problem, const VoxelSpan& labels) {
  const std::int64_t voxels = problem.image.size();
  Array<unsigned long long, 1> reached({voxels}, stream.device());
  with_label_type(labels.type(), [&]<class Label>() {
    with_voxel_type(problem.image.type(), [&]<class T>() {
      const WatershedRule<T, Label> rule{
          static_cast<const T*>(problem.image.data()),
          static_cast<const Label*>(problem.markers.data()),
          problem.mask.size() == 0 ? nullptr : problem.mask.on(stream.device()).data,
          problem.from == Extreme::largest ? ~std::uint32_t{0} : 0,
          reached.span().on(stream.device()).data,
          static_cast<Label*>(labels.data()),
      };
      gpu::launch(stream, gpu::blocks_for(voxels, kBlock), kBlock, &begin_flood<T, Label>, voxels, rule);
      relax(stream, rule, problem.image.shape(), problem.connectivity);
    });
  });
  stream.synchronize();  // the words go away
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
