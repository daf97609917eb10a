#include "kernels/image/components.hpp"

#include <algorithm>
#include <string>

namespace kiban::image {
namespace {

/// Drops axes of length 1: what touches what does not change, and rows become as long as they can be.
Shape<3> without_short_axes(const Shape<3>& shape) {
  Shape<3> kept{1, 1, 1};
  std::size_t to = 3;
  for (std::size_t from = 3; from-- > 0;)
    if (shape[from] != 1) kept[--to] = shape[from];
  return kept;
}

ComponentProblem problem_of(const ConstVoxelSpan& labels, Connectivity connectivity, Joined joined) {
  return {ConstVoxelSpan(labels.data(), labels.type(), without_short_axes(labels.shape()), labels.device()),
          connectivity, joined};
}

VoxelSpan seen_alike(const VoxelSpan& values) {
  return {values.data(), values.type(), without_short_axes(values.shape()), values.device()};
}

void require_held(std::uint64_t value, VoxelType type, const std::string& what) {
  if (bytes_of(label_type_for(value)) > bytes_of(type))
    throw Error(ErrorCode::input, what + " " + std::to_string(value) + " is more than " + name(type) +
                                      " holds; give an array of " + name(label_type_for(value)));
}

void require_like(const VoxelSpan& values, const ConstVoxelSpan& labels) {
  if (values.shape() != labels.shape()) throw Error(ErrorCode::internal, "components are written to another shape");
  with_label_type(values.type(), []<class T>() {});
  if (values.device() != labels.device())
    throw Error(ErrorCode::device,
                "memory of " + name(values.device()) + " was handed to work on " + name(labels.device()));
}

}  // namespace

Components::Components(Stream& stream, const ConstVoxelSpan& labels, Connectivity connectivity, Joined joined)
    : labels_(labels), connectivity_(connectivity), joined_(joined) {
  with_label_type(labels.type(), []<class T>() {});
  for (const std::int64_t extent : labels.shape())
    if (extent > INT32_MAX)
      throw Error(ErrorCode::input, "an axis of 2^31 voxels or more cannot be labelled; crop the volume");
  if (labels.device() != stream.device())
    throw Error(ErrorCode::device,
                "memory of " + name(labels.device()) + " was handed to work on " + name(stream.device()));
  if (labels.size() == 0) return;
  KIBAN_BACKEND_FOR(stream, find_components)(stream, problem_of(labels, connectivity, joined), state_);
}

std::vector<ComponentMeasure> Components::measure(Stream& stream) const {
  std::vector<ComponentMeasure> measures(state_.count);
  if (state_.count != 0) KIBAN_BACKEND_FOR(stream, measure_components)
  (stream, problem_of(labels_, connectivity_, joined_), state_, measures);
  return measures;
}

std::vector<std::uint32_t> Components::marked(Stream& stream, Span<const std::uint8_t, 3> marks) const {
  if (marks.shape() != labels_.shape()) throw Error(ErrorCode::internal, "components are marked in another shape");
  if (marks.device() != labels_.device())
    throw Error(ErrorCode::device,
                "memory of " + name(marks.device()) + " was handed to work on " + name(labels_.device()));
  std::vector<std::uint32_t> marked(state_.count);
  if (state_.count == 0) return marked;
  const ComponentProblem problem = problem_of(labels_, connectivity_, joined_);
  const ConstVoxelSpan seen(marks.on(marks.device()).data, problem.labels.shape(), marks.device());
  KIBAN_BACKEND_FOR(stream, find_marked_components)(stream, problem, state_, seen, marked);
  return marked;
}

void Components::number(Stream& stream, const VoxelSpan& numbers) const {
  require_like(numbers, labels_);
  require_held(state_.count, numbers.type(), "component");
  if (numbers.size() == 0) return;
  KIBAN_BACKEND_FOR(stream, paint_components)
  (stream, problem_of(labels_, connectivity_, joined_), state_, {}, seen_alike(numbers));
}

void Components::paint(Stream& stream, std::span<const std::uint32_t> value_of, const VoxelSpan& values) const {
  require_like(values, labels_);
  if (values.type() != labels_.type() || value_of.size() != state_.count)
    throw Error(ErrorCode::internal, "components are painted with values for other components");
  if (values.size() == 0) return;
  if (!value_of.empty()) require_held(*std::ranges::max_element(value_of), values.type(), "the value");
  // Without a component there is nothing to look up; the backends take an empty table for numbers.
  static constexpr std::uint32_t kUnused = 0;
  KIBAN_BACKEND_FOR(stream, paint_components)
  (stream, problem_of(labels_, connectivity_, joined_), state_,
   value_of.empty() ? std::span<const std::uint32_t>(&kUnused, 1) : value_of, seen_alike(values));
}

}  // namespace kiban::image
