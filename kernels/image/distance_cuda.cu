// Squared distances along x by a warp a row; then along y and z the lower envelope of parabolas by a thread a column,
// whose list lies beside those of its neighbours: every access of a warp is one line of memory.
#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/distance.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

constexpr unsigned kWarp = 32, kRowsPerBlock = 8, kBlock = 128;
/// A wall so far away, and its square: what there is of another kind is nearer.
constexpr float kFar = 1e15F, kFarSquare = 1e30F, kNone = 1e29F;

template <class T>
struct Kinds {
  const T* labels;
  DistanceRule rule;

  KIBAN_DEVICE std::uint32_t operator()(std::int64_t at) const {
    return rule.labels_apart ? static_cast<std::uint32_t>(labels[at]) : labels[at] != 0;
  }
  KIBAN_DEVICE bool is_measured(std::uint32_t kind) const { return kind != 0 || rule.is_signed; }
};

/// The rows are walked twice, 32 voxels at a time: to the right with the last wall before each voxel, which `squares`
/// holds meanwhile; and back with the first wall after it.   reads 2 labels, writes 2 and reads 1 float a voxel
template <class T>
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    measure_rows(const Kinds<T> kinds, std::int64_t rows, std::int64_t columns, float step, float* squares) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.y;
  if (row >= rows) return;  // the whole warp
  const int lane = static_cast<int>(threadIdx.x);
  const std::int64_t first = row * columns, chunks = (columns + kWarp - 1) / kWarp;
  const float far = kFar / step;
  float carried = -far;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t x = chunk * kWarp + lane;
    const bool changes = x > 0 && x < columns && kinds(first + x) != kinds(first + x - 1);
    const unsigned walls = __ballot_sync(~0u, changes), before = walls & (~0u >> (kWarp - 1 - lane));
    const float wall = before ? static_cast<float>(chunk * kWarp + 30 - __clz(static_cast<int>(before))) : carried;
    if (x < columns) squares[first + x] = static_cast<float>(x) - wall;
    carried = __shfl_sync(~0u, wall, kWarp - 1);
  }
  carried = far;
  for (std::int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
    const std::int64_t x = chunk * kWarp + lane;
    const bool inside = x < columns, changes = x + 1 < columns && kinds(first + x) != kinds(first + x + 1);
    const unsigned after = __ballot_sync(~0u, changes) & (~0u << lane);
    const float wall = after ? static_cast<float>(chunk * kWarp + __ffs(static_cast<int>(after))) : carried;
    carried = __shfl_sync(~0u, wall, 0);
    if (!inside) continue;
    const float length = fminf(squares[first + x], wall - static_cast<float>(x)) * step;
    squares[first + x] = kinds.is_measured(kinds(first + x)) ? fminf(length * length, kFarSquare) : 0.0F;
  }
}

/// Columns of a volume: column c begins at c / inner * outer_stride + c % inner.
struct Columns {
  std::int64_t first, count, length, inner, outer_stride, stride;
  float step;
  bool is_last;
  float unit_mm;
};

/// The lists, [voxel of the column, column of the launch].
struct Envelope {
  float* height;
  float* from;
  std::int32_t* left;
  std::int64_t columns;

  KIBAN_DEVICE std::int64_t at(std::int64_t voxel) const {
    return voxel * columns + std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  }
};

KIBAN_DEVICE float to_mm(float square, const Columns& columns, const DistanceRule& rule, std::uint32_t kind) {
  if (kind == 0 && !rule.is_signed) return 0.0F;
  const float distance = square >= kNone ? INFINITY : sqrtf(square) * columns.unit_mm;
  return kind != 0 && rule.is_signed ? -distance : distance;
}

/// As distance_cpu.cpp has it. A run's first wall is found anew on the way back, at its end.
///   reads 3 labels and 2 floats, writes 1 float, and reads and writes 12 bytes of lists a voxel
template <class T>
__global__ void __launch_bounds__(kBlock)
    measure_columns(const Kinds<T> kinds, const Columns columns, const Envelope envelope, float* squares) {
  const std::int64_t column = columns.first + std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (column >= columns.first + columns.count) return;
  const std::int64_t begin = column / columns.inner * columns.outer_stride + column % columns.inner;
  const float two_squares = 2 * columns.step * columns.step;
  std::int32_t top = -1, before_run = -1;
  float top_height = 0, top_from = 0, run_from = -kFar;
  std::uint32_t kind = kinds(begin);
  for (std::int64_t j = 0; j < columns.length; ++j) {
    const std::uint32_t new_kind = kinds(begin + j * columns.stride);
    const auto place = static_cast<float>(j);
    if (new_kind != kind) {
      kind = new_kind;
      before_run = top;
      run_from = place - 0.5F;
    }
    const float own = squares[begin + j * columns.stride];
    float crossing = run_from;
    while (top != before_run) {
      const auto top_place = static_cast<float>(top);
      crossing = fmaf(0.5F, place + top_place, (own - top_height) / (two_squares * (place - top_place)));
      if (crossing > top_from) break;
      top = envelope.left[envelope.at(top)];
      crossing = run_from;
      if (top == before_run) break;
      top_height = envelope.height[envelope.at(top)];
      top_from = envelope.from[envelope.at(top)];
    }
    const std::int64_t slot = envelope.at(j);
    envelope.height[slot] = own;
    envelope.from[slot] = crossing;
    envelope.left[slot] = top;
    top = static_cast<std::int32_t>(j);
    top_height = own;
    top_from = crossing;
  }
  // Back: the wall after the run is known, that before it is looked for at the run's last voxel.
  float wall_after = kFar / columns.step, wall_before = -wall_after;
  std::int64_t run_begin = columns.length;
  for (std::int64_t j = columns.length - 1; j >= 0; --j) {
    if (j < run_begin) {
      if (run_begin < columns.length) wall_after = static_cast<float>(run_begin);
      kind = kinds(begin + j * columns.stride);
      run_begin = j;
      while (run_begin > 0 && kinds(begin + (run_begin - 1) * columns.stride) == kind) --run_begin;
      wall_before = run_begin == 0 ? -kFar / columns.step : static_cast<float>(run_begin - 1);
    }
    const auto place = static_cast<float>(j);
    while (top_from > place) {
      top = envelope.left[envelope.at(top)];
      top_height = envelope.height[envelope.at(top)];
      top_from = envelope.from[envelope.at(top)];
    }
    const float to_site = (place - static_cast<float>(top)) * columns.step;
    const float to_wall = fminf(wall_after - place, place - wall_before) * columns.step;
    const float square = fminf(fminf(fmaf(to_site, to_site, top_height), to_wall * to_wall), kFarSquare);
    squares[begin + j * columns.stride] = columns.is_last ? to_mm(square, columns, kinds.rule, kind) : square;
  }
}

template <class T>
void measure_along(Stream& stream, const Kinds<T>& kinds, Columns columns, std::int64_t all, float* squares) {
  constexpr std::int64_t kListVoxels = 1 << 24;
  const std::int64_t at_a_time = std::min(all, std::max<std::int64_t>(kListVoxels / columns.length, 1));
  const std::int64_t threads = gpu::blocks_for(at_a_time, kBlock) * std::int64_t{kBlock};
  Array<float, 1> height({threads * columns.length}, stream.device()), from(height.shape(), stream.device());
  Array<std::int32_t, 1> left(height.shape(), stream.device());
  const Envelope envelope{height.span().on(stream.device()).data, from.span().on(stream.device()).data,
                          left.span().on(stream.device()).data, threads};
  for (columns.first = 0; columns.first < all; columns.first += at_a_time) {
    columns.count = std::min(at_a_time, all - columns.first);
    gpu::launch(stream, gpu::blocks_for(columns.count, kBlock), kBlock, &measure_columns<T>, kinds, columns, envelope,
                squares);
  }
  stream.synchronize();  // the lists go away
}

}  // namespace

void find_distances(Stream& stream, const DistanceProblem& problem, Span<float, 3> distances) {
  with_label_type(problem.labels.type(), [&]<class T>() {
    const Kinds<T> kinds{problem.labels.as<T>().on(stream.device()).data, problem.rule};
    const ArrayView<float, 3> squares = distances.on(stream.device());
    const std::int64_t nz = squares.shape[0], ny = squares.shape[1], nx = squares.shape[2];
    gpu::launch(stream, gpu::blocks_for(nz * ny, kRowsPerBlock), dim3(kWarp, kRowsPerBlock), &measure_rows<T>, kinds,
                nz * ny, nx, problem.step[0], squares.data);
    measure_along<T>(stream, kinds, {0, 0, ny, nx, ny * nx, nx, problem.step[1], false, problem.unit_mm}, nz * nx,
                     squares.data);
    measure_along<T>(stream, kinds, {0, 0, nz, ny * nx, 0, ny * nx, problem.step[2], true, problem.unit_mm}, ny * nx,
                     squares.data);
  });
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
