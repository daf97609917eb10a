#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/core/backends.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::image {

/// Which voxels touch: across a face (6), an edge too (18), a corner too (26).
enum class Connectivity { faces = 6, edges = 18, corners = 26 };

/// What is joined: voxels of the same label, or the voxels of label 0 between them.
enum class Joined { labels, background };

/// What is known of one component.
struct ComponentMeasure {
  std::int64_t voxels = 0;
  std::uint32_t label = 0;                           ///< of its voxels
  bool touches_border = false;                       ///< one of its voxels is at the end of an axis longer than 1
  std::uint32_t least_label = 0, largest_label = 0;  ///< of Joined::background: of all labels that its faces touch
};

/// Memory between the calls of a Components; what it holds is the backend's business.
struct ComponentState {
  std::uint32_t count = 0;
  Array<std::uint32_t, 1> numbers;        ///< component (from 1 on) of each run of equal labels (CPU), each voxel (GPU)
  std::vector<std::uint32_t> first_runs;  ///< CPU: number of the runs before each band of rows
};

/// The connected components of a label map: two voxels are in one if a path of touching voxels, all of the same label
/// (not 0), joins them. Components have numbers from 1 on, in the order of their first voxels as the array lies in
/// memory, so that every device and number of threads gives the same.
///   labels [z,y,x]   uint8, uint16 or uint32, on the stream's device; they must outlive the object, unchanged
/// Errors: input (another type; more than 2^32 - 2 runs or components; an axis of 2^31 voxels) · device (memory
/// elsewhere).
/// Cost: the labels are read twice to find components, and once more in each other call. Workspace: on a CPU 4 bytes
/// for each run of equal labels along x, and of a thread a third of a byte for each voxel of a slice; on a GPU 4 bytes
/// a voxel, 12 from 2^31 voxels on. Synchronous. Source: He, Chao, Suzuki, "A run-based two-scan labeling algorithm",
/// IEEE Trans. Image Processing 17 (2008); on a GPU Playne and Hawick, "A new algorithm for parallel
/// connected-component labelling on GPUs", IEEE TPDS 29 (2018).
class Components {
 public:
  Components(Stream& stream, const ConstVoxelSpan& labels, Connectivity connectivity, Joined joined = Joined::labels);

  std::uint32_t count() const { return state_.count; }

  /// Of component k in place k - 1.
  std::vector<ComponentMeasure> measure(Stream& stream) const;

  /// For each component, in place k - 1, whether one of its voxels is marked: 1 or 0.
  ///   marks [z,y,x]   not 0 where marked
  /// Errors: internal (another shape) · device.
  std::vector<std::uint32_t> marked(Stream& stream, Span<const std::uint8_t, 3> marks) const;

  /// numbers[z,y,x] = component of the voxel, 0 for the rest.
  ///   numbers [z,y,x]   uint8, uint16 or uint32, all voxels are written
  /// Errors: input (`count` is more than the type holds) · internal (another shape) · device.
  void number(Stream& stream, const VoxelSpan& numbers) const;

  /// values[z,y,x] = value of the voxel's component. Where there is no component: the label.
  ///   value_of [count]   of component k in place k - 1
  ///   values [z,y,x]     the labels' type, all voxels are written; may be the labels' own memory, after which only
  ///                      `count` may be asked
  /// Errors: as above; input (a value is more than the type holds).
  void paint(Stream& stream, std::span<const std::uint32_t> value_of, const VoxelSpan& values) const;

 private:
  ConstVoxelSpan labels_;
  Connectivity connectivity_;
  Joined joined_;
  ComponentState state_;
};

/// The labels, seen so that x is not of length 1 where another axis is longer: no voxel moves in memory.
struct ComponentProblem {
  ConstVoxelSpan labels;
  Connectivity connectivity;
  Joined joined;
};

/// The backends. `value_of`: empty for the component's own number, and 0 elsewhere.
KIBAN_BACKENDS(find_components, Stream& stream, const ComponentProblem& problem, ComponentState& state)
KIBAN_BACKENDS(measure_components, Stream& stream, const ComponentProblem& problem, const ComponentState& state,
               std::vector<ComponentMeasure>& measures)
KIBAN_BACKENDS(find_marked_components, Stream& stream, const ComponentProblem& problem, const ComponentState& state,
               const ConstVoxelSpan& marks, std::vector<std::uint32_t>& marked)
KIBAN_BACKENDS(paint_components, Stream& stream, const ComponentProblem& problem, const ComponentState& state,
               std::span<const std::uint32_t> value_of, const VoxelSpan& values)

}  // namespace kiban::image
