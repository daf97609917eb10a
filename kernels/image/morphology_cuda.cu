// The extremes under an element: a thread a voxel, which walks the element's rows; a box goes along its axes one after
// the other. Labels spread by a thread a column, whose lists lie beside those of its neighbours.
#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/morphology.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/nearest_math-inl.hpp"

constexpr unsigned kBlock = 256, kColumnBlock = 128;

struct Extents {
  std::int64_t z, y, x;
};

///   reads as many voxels as the element has, near each other, writes one
template <class T, bool largest>
__global__ void __launch_bounds__(kBlock)
    extreme_kernel(const T* image, const Extents extent, const Element::Row* rows, int row_count, T* extremes) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= extent.z * extent.y * extent.x) return;
  const std::int64_t x = at % extent.x, y = at / extent.x % extent.y, z = at / extent.x / extent.y;
  T found = image[at];
  bool has_one = false;
  for (int k = 0; k < row_count; ++k) {
    const Element::Row row = rows[k];
    if (z + row.dz < 0 || z + row.dz >= extent.z || y + row.dy < 0 || y + row.dy >= extent.y) continue;
    const T* const line = image + ((z + row.dz) * extent.y + y + row.dy) * extent.x;
    const std::int64_t end = x + row.reach < extent.x ? x + row.reach : extent.x - 1;
    for (std::int64_t i = x > row.reach ? x - row.reach : 0; i <= end; ++i) {
      const T value = line[i];
      found = !has_one || (largest ? value > found : value < found) ? value : found;
      has_one = true;
    }
  }
  extremes[at] = found;
}

/// The element of one step along an axis of a box.
Element part_of_box(const Element& box, int axis) {
  if (axis == 0) return image::box({box.rows.front().reach, 0, 0});
  return axis == 1 ? image::box({0, box.reach_y(), 0}) : image::box({0, 0, box.reach_z()});
}

void extremes_once(Stream& stream, const ConstVoxelSpan& image, const Element& element, Extreme which,
                   const VoxelSpan& extremes) {
  const Shape<1> shape{static_cast<std::int64_t>(element.rows.size())};
  Array<Element::Row, 1> rows(shape, stream.device());
  copy(stream, Span<const Element::Row, 1>(element.rows.data(), shape), rows.span());
  with_voxel_type(image.type(), [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(image.size(), kBlock), kBlock,
                which == Extreme::largest ? &extreme_kernel<T, true> : &extreme_kernel<T, false>,
                image.as<T>().on(stream.device()).data, Extents{image.extent(0), image.extent(1), image.extent(2)},
                rows.span().on(stream.device()).data, static_cast<int>(shape[0]), static_cast<T*>(extremes.data()));
  });
  stream.synchronize();  // the rows go away
}

/// The lists of a launch's columns, [voxel of the column, column].
template <class T>
struct SpreadLists {
  std::int32_t* sites;
  float* begins;
  float* squares;
  T* labels;
  std::int64_t columns, column;

  KIBAN_DEVICE std::int32_t& site(std::int64_t k) const { return sites[k * columns + column]; }
  KIBAN_DEVICE float& from(std::int64_t k) const { return begins[k * columns + column]; }
  KIBAN_DEVICE float& new_square(std::int64_t j) const { return squares[j * columns + column]; }
  KIBAN_DEVICE T& new_label(std::int64_t j) const { return labels[j * columns + column]; }
};

/// Columns of a volume: column c begins at c / inner * outer_stride + c % inner * inner_stride.
struct SpreadColumns {
  std::int64_t first, count, length, inner, inner_stride, outer_stride, stride;
  float step, most;
};

///   reads and writes a float and a label, and writes and reads as much and 8 bytes of lists, a voxel
template <class T>
__global__ void __launch_bounds__(kColumnBlock, 4)
    spread_kernel(const SpreadColumns columns, SpreadLists<T> lists, float* squares, T* labels) {
  lists.column = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (lists.column >= columns.count) return;
  const std::int64_t column = columns.first + lists.column;
  const std::int64_t begin =
      column / columns.inner * columns.outer_stride + column % columns.inner * columns.inner_stride;
  const LabelLine<T> line{squares + begin, labels + begin, columns.length, columns.stride, columns.step, columns.most};
  spread_along(line, lists);
  for (std::int64_t j = 0; j < columns.length; ++j) {
    line.squares[j * columns.stride] = lists.new_square(j);
    line.labels[j * columns.stride] = lists.new_label(j);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock) first_squares(std::int64_t voxels, const T* labels, float* squares) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at < voxels) squares[at] = labels[at] != T(0) ? 0.0F : kNowhere;
}

template <class T>
__global__ void __launch_bounds__(kBlock) cut_far(std::int64_t voxels, const float* squares, float most, T* labels) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at < voxels && !(squares[at] <= most)) labels[at] = T(0);
}

///   reads a float and one or two labels, writes a label
template <class T>
__global__ void __launch_bounds__(kBlock)
    keep_kernel(std::int64_t voxels, const float* distances, float radius_mm, const T* kept, T* labels) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at < voxels && !(distances[at] > radius_mm || (kept != nullptr && kept[at] != T(0)))) labels[at] = T(0);
}

template <class T>
void spread_along_axis(Stream& stream, SpreadColumns columns, std::int64_t all, float* squares, T* labels) {
  constexpr std::int64_t kListVoxels = 1 << 24;
  const std::int64_t at_a_time = std::min(all, std::max<std::int64_t>(kListVoxels / columns.length, 1));
  const Shape<1> shape{at_a_time * columns.length};
  Array<std::int32_t, 1> sites(shape, stream.device());
  Array<float, 1> begins(shape, stream.device()), new_squares(shape, stream.device());
  Array<T, 1> new_labels(shape, stream.device());
  const auto data = [&](auto& array) { return array.span().on(stream.device()).data; };
  const SpreadLists<T> lists{data(sites), data(begins), data(new_squares), data(new_labels), at_a_time, 0};
  for (columns.first = 0; columns.first < all; columns.first += at_a_time) {
    columns.count = std::min(at_a_time, all - columns.first);
    gpu::launch(stream, gpu::blocks_for(columns.count, kColumnBlock), kColumnBlock, &spread_kernel<T>, columns, lists,
                squares, labels);
  }
  stream.synchronize();  // the lists go away
}

}  // namespace

void find_extremes(Stream& stream, const ConstVoxelSpan& image, const Element& element, Extreme which,
                   const VoxelSpan& extremes) {
  if (!element.is_box) return extremes_once(stream, image, element, which, extremes);
  VoxelArray first(image.type(), image.shape(), stream.device()), second(image.type(), image.shape(), stream.device());
  extremes_once(stream, image, part_of_box(element, 0), which, first.span());
  extremes_once(stream, std::as_const(first).span(), part_of_box(element, 1), which, second.span());
  extremes_once(stream, std::as_const(second).span(), part_of_box(element, 2), which, extremes);
}

void spread_labels(Stream& stream, const VoxelSpan& result, const std::array<float, 3>& step, float most,
                   Span<float, 3> squares) {
  const std::int64_t slices = result.extent(0), rows = result.extent(1), columns = result.extent(2);
  const std::int64_t slice = rows * columns;
  float* const all = squares.on(stream.device()).data;
  with_label_type(result.type(), [&]<class T>() {
    T* const labels = static_cast<T*>(result.data());
    const unsigned blocks = gpu::blocks_for(result.size(), kBlock);
    gpu::launch(stream, blocks, kBlock, &first_squares<T>, result.size(), labels, all);
    spread_along_axis<T>(stream, {0, 0, columns, 1, 0, columns, 1, step[0], most}, slices * rows, all, labels);
    spread_along_axis<T>(stream, {0, 0, rows, columns, 1, slice, columns, step[1], most}, slices * columns, all,
                         labels);
    spread_along_axis<T>(stream, {0, 0, slices, slice, 1, 0, slice, step[2], most}, slice, all, labels);
    gpu::launch(stream, blocks, kBlock, &cut_far<T>, result.size(), all, most, labels);
  });
}

void keep_deep(Stream& stream, const VoxelSpan& labels, Span<const float, 3> distances, float radius_mm,
               const ConstVoxelSpan& kept) {
  with_label_type(labels.type(), [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(labels.size(), kBlock), kBlock, &keep_kernel<T>, labels.size(),
                distances.on(stream.device()).data, radius_mm, static_cast<const T*>(kept.data()),
                static_cast<T*>(labels.data()));
  });
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
